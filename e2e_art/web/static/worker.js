// Paints, beside the page: loads a model's ONNX graph into onnxruntime-web and runs it.
//
// Messages in:  {type: "load", id, model, engine}                     model as styles.json describes it, or one that was dropped
//               {type: "paint", id, pixels, width, height, strength, style}  pixels: the ArrayBuffer of an ImageData (RGBA);
//                                                                     style: what a model takes as its style, if any: weights of its own, or a description
//               {type: "describe", id, painting}                      painting: an ImageData, for a model of any style
//               {type: "enlarge", id, pixels, width, height, strength}  by the upscaler that was loaded, 0..2: from faithful to sharp
//               {type: "resize", id, image, width, height}            image: an ImageData, to be of that size
//               {type: "doodle", id, labels, width, height, regions, seed}  labels: the region of each pixel, 0..regions - 1
// Messages out: {type: "progress", id, share}                         of the bytes of a model, of the tiles of a picture
//               {type: "done", id, ...}                               engine and styles after "load"; ArrayBuffers (RGBA): stages after "paint", picture after "doodle" and "enlarge"
//                                                                     an ImageData, picture, after "resize"; a Float32Array, description, after "describe"
//               {type: "failed", id, reason}

import { inDescribedSize } from "./describing.js";
import { seededNoise } from "./noise.js";
import { resize } from "./resize.js";
import { weightsAt } from "./weights.js";

const WAYS = { load, paint, describe, enlarge, resize: inSize, doodle };
const VENDOR = new URL("vendor/", import.meta.url).href;
const MOST_THREADS = 8;
const TILE = 256; // pixels of a tile to enlarge, all of one shape: others may fail on WebGPU, which uses buffers again

let engine; // {ort, name, provider}
let session;
let describer; // {graph, files} that describe paintings, of a model of any style
let upscaler; // the one loaded: {factor, overlap, graph, stages, strength}; overlap: of tiles, as far as it sees, in
// pixels of the small picture; strength: what the session was opened for
let noise = {}; // {values, like}: what the last drawing was painted on

self.onmessage = async ({ data }) => {
  try {
    const [answer, transfer] = await WAYS[data.type](data);
    self.postMessage({ type: "done", id: data.id, ...answer }, transfer);
  } catch (error) {
    self.postMessage({ type: "failed", id: data.id, reason: meaning(String(error?.message ?? error)) });
  }
};

// What the engine says of a file, in words for people where they are known.
function meaning(reason) {
  if (/IR version|opset \d+ is under development/i.test(reason)) return "it was written for a newer onnxruntime than this page has";
  if (/protobuf/i.test(reason)) return "it is no ONNX graph, or a part of one";
  if (/is not a registered function|No Op registered|not find an implementation/i.test(reason)) return "it needs an operator that this page does not have";
  return reason;
}

async function load({ id, model: wanted, engine: asked }) {
  const [graph, files, describing] = await fetchFiles(wanted, (share) => self.postMessage({ type: "progress", id, share }));
  engine ??= await start(asked);
  describer = describing && { graph: describing, files };
  const { factor, overlap } = wanted;
  upscaler = factor > 1 ? { factor, overlap, graph, stages: files } : undefined;
  const answer = { engine: engine.name, threaded: engine.threaded };
  if (upscaler) return [answer, []]; // opened at the strength that is asked for
  await open(graph, files);
  const styles = wanted.styles ?? (wanted.bytes && stylesIn(wanted.bytes));
  if (wanted.bytes) checkInputs(styles ? ["strength", "style"] : ["strength"]);
  return [{ ...answer, styles, outputs: isOurs() ? session.outputNames.length : 1 }, []];
}

// Throws where a file from elsewhere takes other than one picture; beside: the names of what it may take in addition.
function checkInputs(beside) {
  const [{ name, type, shape }, ...others] = session.inputMetadata;
  const takes = type === "float32" && shape.length === 4 && (shape[1] === 3 || typeof shape[1] !== "number") && !(shape[0] > 1);
  if (!takes || others.some((other) => !beside.includes(other.name))) throw new Error(`it takes ${name} [${shape}] ${type}, not one picture (1, 3, H, W)`);
}

// Returns the styles that a file of several names in its metadata, as `e2e-art export --onnx` writes it; of others nothing.
function stylesIn(bytes) {
  const count = session.inputMetadata.find(({ name }) => name === "style")?.shape[0];
  const found = count && new TextDecoder("latin1").decode(bytes).match(/"styles": (\["[^\]]+"\])/);
  if (!found) return undefined;
  const names = JSON.parse(found[1]);
  return names.length === count ? names.map((name) => ({ name, title: name.replace(/[_-]/g, " ") })) : undefined;
}

function isOurs() {
  return session.inputNames.includes("strength");
}

// Opens a graph in place of the last one.
async function open(graph, externalData) {
  session?.release();
  session = undefined;
  try {
    session = await create(graph, externalData);
  } catch (error) {
    if (engine.provider === "wasm") throw error;
    engine = await start("wasm"); // a graphics driver that cannot
    session = await create(graph, externalData);
  }
}

function create(graph, externalData) {
  const providers = engine.provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"];
  return engine.ort.InferenceSession.create(graph, { executionProviders: providers, externalData, logSeverityLevel: 3 });
}

// Opens the upscaler at a strength: its graph is that of the first stage, whose file then holds other weights.
async function openAt(strength) {
  const { graph, stages } = upscaler;
  upscaler.strength = undefined;
  await open(graph, [{ path: stages[0].path, data: weightsAt(strength, stages.map(({ data }) => data)) }]);
  upscaler.strength = strength;
}

// WebGPU where there is a graphics adapter; else WebAssembly, with threads where the page's headers allow them.
async function start(asked) {
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
  const adapter = asked === "wasm" ? null : await navigator.gpu?.requestAdapter().catch(() => null);
  const real = adapter && (asked === "webgpu" || !adapter.info?.isFallbackAdapter); // not one that a processor plays
  const provider = real ? "webgpu" : "wasm";
  const ort = await import(`${VENDOR}ort.${provider}.min.mjs`);
  ort.env.wasm.wasmPaths = VENDOR;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const name = provider === "webgpu" ? "WebGPU" : threads > 1 ? `WebAssembly, ${threads} threads` : "WebAssembly, one thread";
  return { ort, name, provider, threaded: self.crossOriginIsolated };
}

// Returns the graph, what it keeps in files beside it, and the graph that describes, if any; bytes arrive side by side.
async function fetchFiles(wanted, progress) {
  if (wanted.bytes) return [wanted.bytes, []];
  const parts = [wanted.graph, ...wanted.files, wanted.describe].filter(Boolean);
  let seen = 0;
  const contents = await Promise.all(parts.map(async (name) => {
    const response = await fetch(new URL(`${wanted.folder}/${name}`, import.meta.url));
    if (!response.ok) throw new Error(`${name} could not be fetched (${response.status})`);
    const chunks = [];
    const reader = response.body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value);
      seen += next.value.length;
      progress(Math.min(1, seen / wanted.bytes_in_all));
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  }));
  const [graph, ...others] = contents;
  return [graph, wanted.files.map((path, index) => ({ path, data: others[index] })), others[wanted.files.length]];
}

// By WebAssembly, whatever paints: each painting has a size of its own.
async function describe({ painting }) {
  const { data, width, height } = inDescribedSize(painting);
  const { graph, files } = describer;
  const one = await engine.ort.InferenceSession.create(graph, { executionProviders: ["wasm"], externalData: files, logSeverityLevel: 3 });
  try {
    const given = new engine.ort.Tensor("float32", planes(data, width, height, width, height), [1, 3, height, width]);
    const { style } = await one.run({ painting: given });
    const description = style.data.slice();
    if (!description.every(Number.isFinite)) throw new Error("what describes paintings gives numbers that are none");
    return [{ description }, [description.buffer]];
  } finally {
    await one.release();
  }
}

async function paint({ pixels, width, height, strength, style }) {
  const { Tensor } = engine.ort;
  const rgba = new Uint8ClampedArray(pixels);
  const ours = isOurs();
  const { name: image, shape } = session.inputMetadata[0];
  const [high, wide] = [height, width].map((side, axis) => {
    const own = shape[2 + axis]; // of networks that take one size alone
    // External models round odd sizes up and have a smallest one: they get the photo with reflect padding.
    return own > 0 ? own : ours ? side : Math.max(32, Math.ceil(side / 8) * 8);
  });
  const stretched = shape[2] > 0 || shape[3] > 0;
  const given = stretched ? planes(scaled(rgba, width, height, wide, high), wide, high, wide, high) : planes(rgba, width, height, wide, high);
  const feeds = { [image]: new Tensor("float32", given, [1, 3, high, wide]) };
  if (ours) feeds.strength = new Tensor("float32", [strength], [1]);
  if (style) feeds.style = new Tensor("float32", style, [style.length]);
  const results = await session.run(feeds);
  const stages = [];
  for (const name of ours ? session.outputNames : session.outputNames.slice(0, 1)) {
    const { dims, data } = results[name];
    const [tall, broad] = dims.slice(2);
    if (dims.length !== 4 || dims[1] !== 3) throw new Error(`it gives [${dims}], not a picture (1, 3, H, W)`);
    if (tall < high / 2 || broad < wide / 2) throw new Error(`it makes ${broad} x ${tall} of ${wide} x ${high} pixels, too few for a painting`);
    if (!data.every(Number.isFinite)) throw new Error("it gives infinite numbers or none (NaN), so no picture");
    if (!ours && data.every((value) => Math.abs(value) < 2)) throw new Error("it paints in 0..1, not in 0..255");
    const painted = tall === high && broad === wide && !stretched
      ? rgbaOf(data, width, height, broad, tall)
      : resized(data, broad, tall, stretched ? [width, height] : [wide, high], width, height);
    stages.push((ours ? painted : blend(rgba, painted, strength)).buffer);
    results[name].dispose();
  }
  return [{ stages }, stages];
}

// Three planes of broad x tall -> RGBA bytes of the upper left width x height, once they are scaled to a size.
function resized(values, broad, tall, [wide, high], width, height) {
  return scaled(rgbaOf(values, broad, tall, broad, tall), broad, tall, wide, high, width, height);
}

// RGBA bytes of width x height, scaled to wide x high; of that the upper left part.
function scaled(rgba, width, height, wide, high, left = wide, upper = high) {
  const [from, to] = [new OffscreenCanvas(width, height), new OffscreenCanvas(wide, high)];
  from.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  const context = to.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(from, 0, 0, wide, high);
  return context.getImageData(0, 0, left, upper).data;
}

async function enlarge({ id, pixels, width, height, strength }) {
  if (strength !== upscaler.strength) await openAt(strength);
  const rgba = new Uint8ClampedArray(pixels);
  const { factor, overlap } = upscaler;
  const large = new Uint8ClampedArray(4 * factor * width * factor * height);
  const corners = starts(height, overlap).flatMap((top) => starts(width, overlap).map((left) => [top, left]));
  for (const [done, [top, left]] of corners.entries()) {
    const tile = new engine.ort.Tensor("float32", planes(rgba, width, height, TILE, TILE, top, left), [1, 3, TILE, TILE]);
    const results = await session.run({ image: tile });
    const result = results[session.outputNames[0]];
    const [tall, broad] = [height - top, width - left].map((side) => factor * Math.min(TILE, side));
    const part = rgbaOf(result.data, broad, tall, factor * TILE, factor * TILE);
    result.dispose();
    const [above, before] = [top, left].map((start) => (start ? factor * overlap : 0)); // the tiles there know better
    for (let row = above; row < tall; row++) {
      const to = (factor * top + row) * factor * width + factor * left + before;
      large.set(part.subarray(4 * (row * broad + before), 4 * (row + 1) * broad), 4 * to);
    }
    self.postMessage({ type: "progress", id, share: (done + 1) / corners.length });
  }
  return [{ picture: large.buffer, factor }, [large.buffer]];
}

function inSize({ image, width, height }) {
  return [{ picture: resize(image, width, height) }, []];
}

// Where tiles begin on a side: they overlap, and the last one ends with it.
function starts(length, overlap) {
  const found = [0];
  while (found.at(-1) + TILE < length) found.push(Math.min(found.at(-1) + TILE - 2 * overlap, length - TILE));
  return found;
}

async function doodle({ labels, width, height, regions, seed }) {
  const { Tensor } = engine.ort;
  const pixels = width * height;
  const planes = new Float32Array(regions * pixels); // 1 where a region is, 0 elsewhere
  for (let at = 0; at < pixels; at++) planes[labels[at] * pixels + at] = 1;
  const channels = session.inputMetadata.find(({ name }) => name === "noise").shape[1];
  const like = [seed, channels, height, width].join();
  if (noise.like !== like) noise = { like, values: seededNoise(seed, channels, height, width) };
  const results = await session.run({
    regions: new Tensor("float32", planes, [1, regions, height, width]),
    noise: new Tensor("float32", noise.values, [1, channels, height, width]),
  });
  const { data } = results[session.outputNames.at(-1)];
  const picture = rgbaOf(data, width, height, width, height).buffer;
  for (const result of Object.values(results)) result.dispose();
  return [{ picture }, [picture]];
}

// RGBA bytes of width x height -> three planes of 0..255 of wide x high from a corner, with reflect padding beyond.
function planes(rgba, width, height, wide, high, top = 0, left = 0) {
  const values = new Float32Array(3 * wide * high);
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      const from = 4 * (reflect(top + row, height) * width + reflect(left + column, width));
      const to = row * wide + column;
      for (let channel = 0; channel < 3; channel++) values[channel * wide * high + to] = rgba[from + channel];
    }
  }
  return values;
}

function reflect(place, length) {
  if (place < length) return place;
  const period = Math.max(1, 2 * (length - 1));
  const inside = place % period;
  return Math.min(inside, period - inside);
}

// Three planes of wide x high -> RGBA bytes of their upper left width x height.
function rgbaOf(values, width, height, wide, high) {
  const rgba = new Uint8ClampedArray(4 * width * height); // clamps to 0..255, and rounds
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [from, to] = [row * wide + column, 4 * (row * width + column)];
      for (let channel = 0; channel < 3; channel++) rgba[to + channel] = values[channel * wide * high + from];
      rgba[to + 3] = 255;
    }
  }
  return rgba;
}

// For graphs that know no strength: so much painting, the rest photo.
function blend(photo, painting, strength) {
  for (let at = 0; at < photo.length; at++) painting[at] = photo[at] + strength * (painting[at] - photo[at]);
  return painting;
}
