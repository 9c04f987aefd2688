// The styles that people choose from, and mixes of two: those of a model of several are its own styles, one by one.

// Returns the styles of a model: {model, name, title, folder, thumbnail}, and the number of each where there are several.
export function stylesOf(model) {
  const { name, title, folder, thumbnail, styles } = model;
  if (!styles) return [{ model, name, title, folder, thumbnail }];
  return styles.map((style, number) => ({ ...style, model, folder, number }));
}

// Returns the weights of all styles of a model, which add up to 1; of a model of one style nothing.
// mix: styles of one model, each with its weight, [[style, weight], ...].
export function weightsOf(mix) {
  const [[{ model }]] = mix;
  if (!model.styles) return undefined;
  const weights = new Float32Array(model.styles.length);
  for (const [{ number }, weight] of mix) weights[number] = weight;
  return weights;
}

// Returns a mix in words, such as "Udnie (70%) and The Scream (30%)".
export function wordsOf(mix) {
  const percent = (weight) => (mix.length > 1 ? ` (${Math.round(100 * weight)}%)` : "");
  return mix.map(([{ title }, weight]) => title + percent(weight)).join(" and ");
}
