// The page's side of the worker: promises instead of messages, and a way to stop.

export class Canceled extends Error {}

export class Painter {
  #worker;
  #waiting = new Map(); // id -> {resolve, reject, progress}
  #next = 0;
  #model;
  #speed = 0; // seconds a pixel, of the last painting
  seconds = 0; // that the last painting took

  // Loads a model: {name, folder, graph, files, describe, bytes_in_all} or {name, bytes}; returns {engine, threaded, outputs, styles}.
  // engine: null, "wasm" or "webgpu".  progress(share): called as its bytes come.
  async load(model, engine, progress) {
    this.#model = undefined;
    const answer = await this.#ask({ type: "load", model, engine }, progress);
    this.#model = model;
    return answer;
  }

  // Returns what the model that was loaded, one of any style, is told of a painting, an ImageData: a Float32Array.
  async describe(painting) {
    return (await this.#ask({ type: "describe", painting })).description;
  }

  // Paints an ImageData; returns an ImageData for each stage.  look: {strength, style}, where the model takes a style the
  // weights of its own, or a description.  expect(s): called with the seconds it may take, where known.
  async paint(image, look, expect = () => {}) {
    const { width, height } = image;
    if (this.#speed) expect(this.#speed * width * height);
    const started = performance.now();
    const pixels = image.data.slice().buffer;
    const { stages } = await this.#ask({ type: "paint", pixels, width, height, ...look }, undefined, [pixels]);
    this.seconds = (performance.now() - started) / 1000;
    this.#speed = this.seconds / (width * height);
    return stages.map((buffer) => new ImageData(new Uint8ClampedArray(buffer), width, height));
  }

  // Enlarges an ImageData by the upscaler that was loaded; returns an ImageData.  strength: 0 is the most faithful, 1 the
  // default, 2 the sharpest.  progress(share): called after each tile.
  async enlarge({ data, width, height }, strength, progress) {
    const pixels = data.slice().buffer;
    const { picture, factor } = await this.#ask({ type: "enlarge", pixels, width, height, strength }, progress, [pixels]);
    return new ImageData(new Uint8ClampedArray(picture), factor * width, factor * height);
  }

  // Returns an ImageData in another size.
  async resize(image, width, height) {
    return (await this.#ask({ type: "resize", image, width, height })).picture;
  }

  // Paints a doodle, {width, height, labels: the number of each pixel's region}; returns an ImageData.
  async doodle({ width, height, labels }, regions, seed) {
    const started = performance.now();
    const { picture } = await this.#ask({ type: "doodle", labels: labels.slice(), width, height, regions, seed });
    this.seconds = (performance.now() - started) / 1000;
    return new ImageData(new Uint8ClampedArray(picture), width, height);
  }

  get busy() {
    return this.#waiting.size > 0;
  }

  holds(model) {
    return this.#model === model;
  }

  // Stops whatever is under way, for good: a graph cannot be interrupted, but its worker can be let go.
  cancel() {
    this.#end(new Canceled());
  }

  #end(reason) {
    this.#worker?.terminate();
    this.#worker = this.#model = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(reason);
  }

  #ask(message, progress, transfer = []) {
    this.#worker ??= this.#start();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      this.#worker.postMessage({ ...message, id }, transfer);
    });
  }

  #start() {
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      const waiting = this.#waiting.get(data.id);
      if (data.type === "progress") return waiting?.progress?.(data.share);
      this.#waiting.delete(data.id);
      if (data.type === "done") waiting?.resolve(data);
      else waiting?.reject(new Error(data.reason));
    };
    worker.onerror = (event) => this.#end(new Error(event.message || "the painting engine could not be loaded"));
    return worker;
  }
}
