// Paints, beside the page: loads a style's ONNX graph into onnxruntime-web and runs it.
//
// Messages in:  {type: "load", id, style}                             style as styles.json describes it, or one that was dropped
//               {type: "paint", id, pixels, width, height, strength}  pixels: the ArrayBuffer of an ImageData (RGBA)
// Messages out: {type: "progress", id, share}                         of the bytes of a style
//               {type: "done", id, ...}                               engine after "load"; stages after "paint", ArrayBuffers (RGBA)
//               {type: "failed", id, reason}

const VENDOR = new URL("vendor/", import.meta.url).href;
const MOST_THREADS = 8;

let engine; // {ort, name, provider}
let session;
let style;

self.onmessage = async ({ data }) => {
  try {
    const [answer, transfer] = data.type === "load" ? await load(data) : await paint(data);
    self.postMessage({ type: "done", id: data.id, ...answer }, transfer);
  } catch (error) {
    self.postMessage({ type: "failed", id: data.id, reason: String(error?.message ?? error) });
  }
};

async function load({ id, style: wanted, engine: asked }) {
  const [graph, externalData] = await fetchFiles(wanted, (share) => self.postMessage({ type: "progress", id, share }));
  session?.release();
  session = undefined;
  if (!engine || (asked === "wasm" && engine.provider !== "wasm")) engine = await start(asked);
  try {
    session = await open(graph, externalData);
  } catch (error) {
    if (engine.provider === "wasm") throw error;
    engine = await start("wasm"); // a graphics driver that cannot
    session = await open(graph, externalData);
  }
  style = wanted;
  return [{ engine: engine.name, threaded: engine.threaded, outputs: session.outputNames.length }, []];
}

function open(graph, externalData) {
  const providers = engine.provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"];
  return engine.ort.InferenceSession.create(graph, { executionProviders: providers, externalData, logSeverityLevel: 3 });
}

// WebGPU where there is a graphics adapter; else WebAssembly, with threads where the page's headers allow them.
async function start(asked) {
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
  const adapter = asked === "wasm" ? null : await navigator.gpu?.requestAdapter().catch(() => null);
  const provider = adapter && !adapter.info?.isFallbackAdapter ? "webgpu" : "wasm";
  const ort = await import(`${VENDOR}ort.${provider}.min.mjs`);
  ort.env.wasm.wasmPaths = VENDOR;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const name = provider === "webgpu" ? "WebGPU" : threads > 1 ? `WebAssembly, ${threads} threads` : "WebAssembly, one thread";
  return { ort, name, provider, threaded: self.crossOriginIsolated };
}

// Returns the graph and what it keeps in files beside it; bytes arrive side by side.
async function fetchFiles(wanted, progress) {
  if (wanted.bytes) return [wanted.bytes, []];
  const parts = [wanted.graph, ...wanted.files];
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
  return [contents[0], wanted.files.map((path, index) => ({ path, data: contents[index + 1] }))];
}

async function paint({ pixels, width, height, strength }) {
  const { Tensor } = engine.ort;
  const rgba = new Uint8ClampedArray(pixels);
  const image = new Tensor("float32", planes(rgba), [1, 3, height, width]);
  const ours = session.inputNames.includes("strength");
  const feeds = { [session.inputNames[0]]: image };
  if (ours) feeds.strength = new Tensor("float32", [strength], [1]);
  const results = await session.run(feeds);
  const stages = [];
  for (const name of session.outputNames) {
    const [, , rows, columns] = results[name].dims;
    if (rows !== height || columns !== width) throw new Error("its paintings have another size than the photo");
    const painted = rgbaOf(results[name].data, width * height);
    stages.push((ours ? painted : blend(rgba, painted, strength)).buffer);
    results[name].dispose();
  }
  return [{ stages }, stages];
}

// RGBA bytes -> three planes of 0..255.
function planes(rgba) {
  const count = rgba.length / 4;
  const values = new Float32Array(3 * count);
  for (let at = 0; at < count; at++) {
    for (let channel = 0; channel < 3; channel++) values[channel * count + at] = rgba[4 * at + channel];
  }
  return values;
}

function rgbaOf(values, count) {
  const rgba = new Uint8ClampedArray(4 * count); // clamps to 0..255, and rounds
  for (let at = 0; at < count; at++) {
    for (let channel = 0; channel < 3; channel++) rgba[4 * at + channel] = values[channel * count + at];
    rgba[4 * at + 3] = 255;
  }
  return rgba;
}

// For graphs that know no strength: so much painting, the rest photo.
function blend(photo, painting, strength) {
  for (let at = 0; at < photo.length; at++) painting[at] = photo[at] + strength * (painting[at] - photo[at]);
  return painting;
}
