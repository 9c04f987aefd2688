// The styles that people choose from, and mixes of two: those of a model of several are its own styles, one by one;
// those of a model of any style are the paintings that people give.

// Returns the styles of a model: {model, name, title, picture, vector}.
// picture: the address of a small one, if any; vector: what the model takes as its input `style`, if it takes any.
export function stylesOf(model) {
  const { name, title, thumbnail, styles, describe } = model;
  const address = (file) => file && `${model.folder}/${file}`;
  if (describe) return [];
  if (!styles) return [{ model, name, title, picture: address(thumbnail) }];
  return styles.map((style, number) => {
    const vector = Float32Array.from(styles, (_, other) => Number(other === number)); // the weights of all
    return { model, name: style.name, title: style.title, picture: address(style.thumbnail), vector };
  });
}

// Returns the style of a painting, {model, name, title, picture, painting}, which gets its vector once it is described.
// painting: as ImageData.
export function styleOf(model, file, picture, painting) {
  const name = file.name.replace(/\.[^.]*$/, "") || "your_painting";
  return { model, name, title: name.replace(/_+/g, " "), picture, painting };
}

// Returns the vector of a mix of styles; of a model that takes none nothing.
// mix: styles of one model, each with its weight, which add up to 1, [[style, weight], ...].
export function vectorOf(mix) {
  const [[{ vector }]] = mix;
  return vector?.map((_, place) => mix.reduce((sum, [style, weight]) => sum + weight * style.vector[place], 0));
}

// Returns a mix in words, such as "Udnie (70%) and The Scream (30%)".
export function wordsOf(mix) {
  const percent = (weight) => (mix.length > 1 ? ` (${Math.round(100 * weight)}%)` : "");
  return mix.map(([{ title }, weight]) => title + percent(weight)).join(" and ");
}
