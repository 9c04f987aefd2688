// Noise by number, that of e2e_art/noise.py: the same seed gives the same noise in every language, at every size.

// Returns channels x height x width values, even in -1..1; seed: 0..2^32 - 1.
export function seededNoise(seed, channels, height, width) {
  const values = new Float32Array(channels * height * width);
  const first = mixed(seed);
  let at = 0;
  for (let channel = 0; channel < channels; channel++) {
    const plane = mixed(first ^ channel);
    for (let row = 0; row < height; row++) {
      const line = mixed(plane ^ row);
      for (let column = 0; column < width; column++) values[at++] = mixed(line ^ column) / 2 ** 31 - 1;
    }
  }
  return values;
}

// Returns a number of 32 bits whose every bit depends on every bit of x (lowbias32).
function mixed(x) {
  x = (x + 0x9e3779b9) >>> 0; // so that 0 does not stay 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}
