// A radio button behind a label of any content.

export function choice(group, value, content, checked) {
  const label = Object.assign(document.createElement("label"), { className: "choice" });
  const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value, checked });
  const body = document.createElement("span");
  body.append(...content);
  label.append(input, body);
  return label;
}

// The content of a style's label: its small picture, where it has one, and its title.
export function titled({ title, folder, thumbnail }) {
  const words = Object.assign(document.createElement("span"), { textContent: title });
  if (!thumbnail) return [words];
  const small = { src: `${folder}/${thumbnail}`, alt: "", loading: "lazy", width: 144, height: 88 };
  return [Object.assign(document.createElement("img"), small), words];
}
