// Pictures in other sizes, as e2e_art/images/resize.py makes them: a canvas scales in each browser's own way.

const SHARPNESS = -0.75; // of cubic interpolation, as OpenCV has it

// Returns an ImageData in another size: sides that shrink are averaged, sides that grow are interpolated.
export function resize({ data, width, height }, wide, high) {
  const result = new ImageData(wide, high);
  const columns = shares(width, wide);
  const row = new Float32Array(4 * width);
  shares(height, high).forEach((lines, y) => {
    row.fill(0);
    for (const [line, share] of lines) {
      for (let at = 0; at < row.length; at++) row[at] += share * data[line * row.length + at];
    }
    for (let x = 0, to = 4 * y * wide; x < wide; x++) {
      for (let channel = 0; channel < 4; channel++, to++) {
        let sum = 0;
        for (const [column, share] of columns[x]) sum += share * row[4 * column + channel];
        result.data[to] = sum; // clamps to 0..255, and rounds
      }
    }
  });
  return result;
}

// Returns, for each pixel of a new side, which pixels of the old side it has, and by what share of it.
function shares(before, after) {
  const share = after < before ? covered : interpolated;
  return Array.from({ length: after }, (_, index) => share(index, before / after, before));
}

function covered(index, step, length) {
  const [begin, end] = [index * step, Math.min((index + 1) * step, length)];
  const found = [];
  for (let at = Math.floor(begin); at < end; at++) found.push([at, (Math.min(at + 1, end) - Math.max(at, begin)) / step]);
  return found;
}

function interpolated(index, step, length) {
  const place = (index + 0.5) * step - 0.5;
  const before = Math.floor(place);
  return [-1, 0, 1, 2].map((beside) => [Math.min(Math.max(before + beside, 0), length - 1), cubic(Math.abs(place - before - beside))]);
}

// R. Keys: Cubic convolution interpolation, 1981.
function cubic(distance) {
  if (distance < 1) return ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance ** 2 + 1;
  return distance < 2 ? SHARPNESS * (((distance - 5) * distance + 8) * distance - 4) : 0;
}
