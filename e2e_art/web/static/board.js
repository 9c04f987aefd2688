// A drawing in a few colors: which of them each pixel has, and what hands do to it.

const EXACT = 8; // a pixel this near to a color of the palette has it, wherever it lies
const SAME = 64; // farther from all of them, nobody meant one
const FLAT = 16; // how much neighbors differ in a flat area
const REACH = 3; // pixels around an edge, in which the colors on both sides of it lie
const UNDO = 50; // steps back

export class Board {
  #before = []; // {width, height, labels}
  width;
  height;
  labels; // Uint8Array, row by row: the number of each pixel's color

  // Begins with rolling bands of all colors, the first on top: something to paint on.
  constructor(width, height, colors) {
    [this.width, this.height] = [width, height];
    this.labels = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const wave = 0.05 * Math.sin((9 * column) / width) + 0.03 * Math.sin((23 * column) / width + (7 * row) / height);
        const band = Math.floor((row / height + wave) * colors);
        this.labels[row * width + column] = Math.min(colors - 1, Math.max(0, band));
      }
    }
  }

  // Remembers the drawing as it is: what follows is one step to undo.
  remember() {
    this.#before.push({ width: this.width, height: this.height, labels: this.labels.slice() });
    if (this.#before.length > UNDO) this.#before.shift();
  }

  undo() {
    const before = this.#before.pop();
    if (before) Object.assign(this, before);
    return Boolean(before);
  }

  // Draws a line with round ends; places in pixels, from the upper left corner of the first one.
  line([x0, y0], [x1, y1], size, label) {
    const radius = Math.max(0.5, size / 2);
    const [left, right] = [Math.min(x0, x1) - radius, Math.max(x0, x1) + radius];
    const [top, bottom] = [Math.min(y0, y1) - radius, Math.max(y0, y1) + radius];
    const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    for (let row = Math.max(0, Math.floor(top)); row < Math.min(this.height, bottom); row++) {
      for (let column = Math.max(0, Math.floor(left)); column < Math.min(this.width, right); column++) {
        const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
        const along = length ? Math.min(1, Math.max(0, (x * (x1 - x0) + y * (y1 - y0)) / length)) : 0;
        const distance = (x - along * (x1 - x0)) ** 2 + (y - along * (y1 - y0)) ** 2;
        if (distance <= radius ** 2) this.labels[row * this.width + column] = label;
      }
    }
  }

  // Gives a place, and all of its color that hangs together with it, another color.
  fill([x, y], label) {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const begin = row * this.width + column;
    const old = this.labels[begin];
    if (old === undefined || old === label || column < 0 || column >= this.width) return;
    const waiting = [begin];
    this.labels[begin] = label;
    while (waiting.length) {
      const at = waiting.pop();
      const across = at % this.width;
      for (const next of [at - this.width, at + this.width, across ? at - 1 : -1, across < this.width - 1 ? at + 1 : -1]) {
        if (this.labels[next] !== old) continue;
        this.labels[next] = label;
        waiting.push(next);
      }
    }
  }

  clear(label) {
    this.labels.fill(label);
  }

  resize(width, height) {
    const labels = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      const from = Math.floor(((row + 0.5) * this.height) / height) * this.width;
      for (let column = 0; column < width; column++) {
        labels[row * width + column] = this.labels[from + Math.floor(((column + 0.5) * this.width) / width)];
      }
    }
    Object.assign(this, { width, height, labels });
  }

  // Takes an ImageData as the drawing; its colors go to the palette's. Returns whether it has any of them.
  load(image, palette) {
    const labels = snap(image, palette);
    if (labels) Object.assign(this, { width: image.width, height: image.height, labels });
    return Boolean(labels);
  }

  // Returns the drawing as ImageData, in the colors of the palette.
  image(palette) {
    const image = new ImageData(this.width, this.height);
    const colors = new Uint32Array(palette.map(([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0));
    const whole = new Uint32Array(image.data.buffer);
    for (let at = 0; at < whole.length; at++) whole[at] = colors[this.labels[at]];
    return image;
  }
}

// Returns the number of each pixel's color, or undefined where the picture has none of the palette; as `snap` in
// e2e_art/regions.py: a mixed color at an edge goes to one of the colors beside it, even if a third one is nearer.
function snap({ width, height, data }, palette) {
  const distances = palette.map(([red, green, blue]) =>
    Float32Array.from({ length: width * height }, (_, at) =>
      Math.hypot(data[4 * at] - red, data[4 * at + 1] - green, data[4 * at + 2] - blue),
    ),
  );
  if (!distances.some((own) => own.some((distance) => distance < SAME))) return undefined;
  const nearest = (at, possible) => possible.reduce((best, one) => (distances[one][at] < distances[best][at] ? one : best));
  const all = palette.map((_, index) => index);
  const sure = Int16Array.from({ length: width * height }, (_, at) => (isFlat(at) ? nearest(at, all) : -1));
  return Uint8Array.from(sure, (label, at) => {
    if (all.some((one) => distances[one][at] < EXACT)) return nearest(at, all);
    const beside = new Set(around(at, REACH).map((place) => sure[place]));
    beside.delete(-1);
    return nearest(at, beside.size ? [...beside] : all);
  });

  function around(at, reach) {
    const [row, column] = [Math.floor(at / width), at % width];
    const places = [];
    for (let y = Math.max(0, row - reach); y <= Math.min(height - 1, row + reach); y++) {
      for (let x = Math.max(0, column - reach); x <= Math.min(width - 1, column + reach); x++) places.push(y * width + x);
    }
    return places;
  }

  function isFlat(at) {
    const places = around(at, 1);
    return [0, 1, 2].every((channel) => {
      const values = places.map((place) => data[4 * place + channel]);
      return Math.max(...values) - Math.min(...values) <= FLAT;
    });
  }
}
