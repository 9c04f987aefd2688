// What a network of any style is told of a painting, as e2e_art/painting/describe.py makes it.

import { resize } from "./resize.js";

const EDGE = 400; // pixels of the long side of paintings that are described,
const MULTIPLE = 16; // and what both sides divide by

// Returns an ImageData in the size that is described.
export function inDescribedSize(image) {
  const { width, height } = image;
  const [wide, high] = [width, height].map((side) => {
    const scaled = Math.max(1, even((side * EDGE) / Math.max(width, height)));
    return Math.max(MULTIPLE, even(scaled / MULTIPLE) * MULTIPLE);
  });
  return resize(image, wide, high);
}

// Rounds as Python does: halves to the even one of their neighbors.
function even(value) {
  return value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);
}
