// By which upscalers a painting is enlarged, as e2e_art/painting/enlarge.py plans it.

const FACTORS = [2, 4, 8];
const MISSED = 1.1; // times that a painting is interpolated at most, rather than enlarged by the next factor
const WAYS = [[], [2], [4], [8], [4, 2]]; // factors of upscalers, one after another

// Returns how many times larger the photo is than its painting, both {width, height}.
export function missing(painting, photo) {
  return Math.max(photo.width / painting.width, photo.height / painting.height);
}

// Returns the upscalers that enlarge so many times, one after another; where none do, those that come nearest.
export function upscalersFor(times, upscalers) {
  if (times <= 1) return [];
  const wanted = FACTORS.find((factor) => factor * MISSED >= times) ?? FACTORS.at(-1);
  const first = (factor) => upscalers.find((one) => one.factor === factor);
  const ways = WAYS.filter((way) => way.every(first));
  const way = ways.find((factors) => factors.reduce((product, factor) => factor * product, 1) >= wanted) ?? ways.at(-1);
  return way.map(first);
}
