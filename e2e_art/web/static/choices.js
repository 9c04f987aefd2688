// A radio button behind a label of any content.

export function choice(group, value, content, checked) {
  const label = Object.assign(document.createElement("label"), { className: "choice" });
  const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value, checked });
  const body = document.createElement("span");
  body.append(...content);
  label.append(input, body);
  return label;
}

// Choices that belong together, under a title of their own.
export function titledGroup(title, choices) {
  const group = Object.assign(document.createElement("fieldset"), { className: "group" });
  group.append(Object.assign(document.createElement("legend"), { textContent: title }), ...choices);
  return group;
}

// The content of a style's label: its small picture, where it has one, and its title.
export function titled(style) {
  return [...pictured(style), Object.assign(document.createElement("span"), { textContent: style.title })];
}

// The small picture of a style, where it has one.
export function pictured({ picture }) {
  const small = { src: picture, alt: "", loading: "lazy", width: 144, height: 88 };
  return picture ? [Object.assign(document.createElement("img"), small)] : [];
}
