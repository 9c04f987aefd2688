// The page: what is chosen, what is shown.

import { Camera } from "./camera.js";
import { choice, pictured, titled, titledGroup } from "./choices.js";
import { missing, upscalersFor } from "./enlarging.js";
import { Canceled, Painter } from "./painter.js";
import { download, draw, keepColors, paintingSize, pixels, read, receive, show, thumbnail } from "./pictures.js";
import { styleOf, stylesOf, vectorOf, wordsOf } from "./styles.js";

const LIVE = 0.5; // seconds that a picture may take while a slider moves,
const SMALLEST = 96; // and the least of its long edge

const $ = (id) => document.getElementById(id);
const painter = new Painter();
const enlarger = new Painter(); // with a worker of its own, so that a style stays loaded
const camera = new Camera();
let models = [];
let styles = []; // of all models, and the paintings given
let any; // the model that paints in the style of paintings given, if there is one
let upscalers = []; // of a factor the first one counts: by their names those trained on paintings, where there are any
let style; // the one chosen
let second; // what it is mixed with, if it is
let photo; // {canvas, name}
let work; // {image, stages, mix, seconds, photo}: what was painted last, and all of its stages; no photo: by the camera
let turn = 0; // counts paintings asked for: an old one must not show after a new one
let moved = false; // whether a slider has moved since what `keepUp` paints
let following; // the promise of `keepUp`, while it runs

const parameters = new URLSearchParams(location.search);
const engine = parameters.get("engine"); // "wasm" leaves the graphics card alone, "webgpu" takes whatever plays one

// Words

function say(text, state = "") {
  $("message").textContent = text;
  $("message").classList.toggle("wrong", state === "wrong");
  document.body.dataset.state = state;
}

function busy(share) {
  const working = share !== undefined;
  $("progress").hidden = $("cancel").hidden = !working;
  $("download").disabled = working || !work;
  if (share === null) $("progress").removeAttribute("value");
  else if (working) $("progress").value = share;
}

// Choices

function showStyles() {
  for (const old of document.querySelectorAll("#styles .choice, #styles .group, #yours .choice")) old.remove();
  $("styles").hidden = models.every((model) => model === any);
  $("yours").hidden = !any;
  for (const model of models) {
    const own = [...styles.entries()].filter(([, one]) => one.model === model);
    const choices = own.map(([index, one]) => choice("style", index, titled(one), one === style));
    if (model === any) $("painting-file").before(...choices);
    else $("styles").append(...(model.styles ? [titledGroup(model.title, choices)] : choices));
  }
}

// Shows what the painting can be mixed with: the others of its model.
function showMix() {
  const others = styles.filter((one) => one !== style && one.model === style.model);
  if (!others.includes(second)) second = undefined;
  const options = others.map((one) => new Option(one.title, styles.indexOf(one), false, one === second));
  $("mix").hidden = !others.length;
  $("second").replaceChildren(new Option("no other", ""), ...options);
  $("between").hidden = $("shares").hidden = !second;
  if (second) $("between").replaceChildren(...pictured(style), $("share"), ...pictured(second));
  showShares();
}

function showShares() {
  $("shares").textContent = wordsOf(mix());
  $("share").setAttribute("aria-valuetext", wordsOf(mix()));
}

function showStages(count) {
  $("stages").hidden = count < 2;
  $("stages").querySelectorAll(".choice").forEach((old) => old.remove());
  for (let index = 0; index < count; index++) $("stages").append(choice("stage", index, [`${index}`], index === count - 1));
}

function showFactors() {
  const factors = [...new Set(upscalers.map(({ factor }) => factor))].sort((one, other) => one - other);
  $("to-photo").before(...factors.map((factor) => new Option(`${factor} times`, factor)));
  $("enlarge").parentElement.hidden = !factors.length;
}

// The size of the photo is a choice where its painting is smaller.
function showToPhoto() {
  const offered = Boolean(work.photo) && missing(work.image, work.photo.canvas) > 1;
  $("to-photo").hidden = $("to-photo").disabled = !offered;
  if (!offered && $("to-photo").selected) $("enlarge").value = 1;
  showSharpness();
}

function showSharpness() {
  $("sharpness").parentElement.hidden = !chosenUpscalers().some(({ stages }) => stages > 1);
}

function chosenUpscalers() {
  const times = $("to-photo").selected ? missing(work.image, work.photo.canvas) : Number($("enlarge").value);
  return upscalersFor(times, upscalers);
}

function stage() {
  const chosen = document.querySelector("input[name=stage]:checked");
  return chosen ? Number(chosen.value) : undefined;
}

// Returns the styles to paint in, each with its weight: [[style, weight], ...].
function mix() {
  const share = second ? Number($("share").value) / 100 : 0;
  return [[style, 1 - share], [second, share]].filter(([, weight]) => weight > 0);
}

function look() {
  return { strength: Number($("strength").value), style: vectorOf(mix()) };
}

function choose(one) {
  if (one.model !== style?.model) showStages(one.model.stages);
  style = one;
  showMix();
}

function add(model) {
  models.push(model);
  styles.push(...stylesOf(model));
}

// Painting

// Makes the painter ready for the styles that are chosen, or are while it does.
async function ready() {
  while (!painter.holds(style.model)) await load(style.model);
  const [next] = mix().find(([{ painting }]) => painting) ?? [];
  if (!next) return;
  await learn(next);
  await ready();
}

async function load(wanted) {
  say(`Loading ${wanted.title} ...`, "loading");
  busy(0);
  const answer = await painter.load(wanted, engine, busy);
  if (answer.outputs !== wanted.stages) showStages((wanted.stages = answer.outputs));
  wanted.styles = answer.styles;
  const note = answer.threaded ? "" : ". This page is served without the headers that threads need: it is slower";
  $("engine").textContent = `Painted by ${answer.engine}${note}.`;
}

// Has a painting described, of which no more is needed then.
async function learn(one) {
  say(`Looking at ${one.title} ...`, "loading");
  busy(null);
  one.vector = await painter.describe(one.painting);
  one.painting = undefined;
}

// Paints the photo as chosen, and shows it; a newer wish overtakes it.
async function paint() {
  if (!photo || !style || camera.running) return;
  const mine = ++turn;
  try {
    busy(null);
    moved = false;
    await following;
    if (mine !== turn) return;
    const { width, height } = paintingSize(photo.canvas.width, photo.canvas.height, Number($("size").value));
    const image = pixels(draw(photo.canvas, width, height));
    stop();
    await ready();
    say(`Painting ${width} x ${height} pixels ...`, "painting");
    busy(null);
    const chosen = mix();
    const stages = await painter.paint(image, look(), (seconds) => advance(mine, seconds));
    if (mine !== turn) return;
    const { seconds } = painter;
    work = { image, stages, mix: chosen, seconds, photo };
    showWork();
    say(`${photo.name}, after ${wordsOf(chosen)}, ${width} x ${height} pixels in ${seconds.toFixed(1)} seconds.`, "painted");
  } catch (error) {
    if (mine === turn) fail(error);
  }
  if (mine === turn) busy();
}

// Paints small while a slider moves; once it rests, `paint` makes the painting itself.
function follow() {
  moved = true;
  following ??= keepUp().finally(() => (following = undefined));
}

async function keepUp() {
  while (moved && work && work.photo === photo && painter.holds(style.model) && !painter.busy && !camera.running) {
    moved = false;
    const { width, height } = paintingSize(photo.canvas.width, photo.canvas.height, liveEdge());
    const image = pixels(draw(photo.canvas, width, height));
    try {
      showPainting(image, await painter.paint(image, look()));
    } catch {
      return; // `paint` says what is wrong
    }
  }
}

// Returns the long edge, that of the last painting or less, at which a picture takes about `LIVE` seconds.
function liveEdge() {
  let edge = Math.max(work.image.width, work.image.height);
  for (let { seconds } = work; seconds > LIVE && edge >= 2 * SMALLEST; seconds /= 4) edge = Math.round(edge / 2);
  return edge;
}

// Moves the progress bar along while a painting of about so many seconds is made.
function advance(mine, seconds) {
  const started = performance.now();
  const timer = setInterval(() => {
    const share = (performance.now() - started) / 1000 / seconds;
    if (mine !== turn || document.body.dataset.state !== "painting") clearInterval(timer);
    else busy(Math.min(0.98, share));
  }, 100);
}

// Stops what is painted or enlarged.
function stop() {
  for (const each of [painter, enlarger]) if (each.busy) each.cancel();
}

function fail(error) {
  busy();
  showWork(); // what a slider has shown since is none
  if (error instanceof Canceled) say("Canceled.", "canceled");
  else say(`${style.title} could not paint this (${error.message}): try a smaller size or another style.`, "wrong");
}

function showWork() {
  if (!work) return;
  show($("photo"), work.image);
  showPainting(work.image, work.stages);
  $("stand").hidden = false;
  showToPhoto();
}

// Shows the stage that is chosen, or the last one that there is.
function showPainting(image, stages) {
  const painted = stages[stage()] ?? stages.at(-1);
  show($("painting"), $("keep-colors").checked ? keepColors(painted, image) : painted);
}

// Saving

async function save() {
  const names = work.mix.map(([{ name }]) => name).join("_");
  const name = `${(work.photo?.name ?? "camera").replace(/\.[^.]*$/, "")}_${names}`;
  const chosen = chosenUpscalers();
  if (!chosen.length) return download($("painting"), `${name}.png`);
  const whole = $("to-photo").selected ? work.photo.canvas : undefined;
  leaveCamera();
  const mine = ++turn;
  try {
    say(`Enlarging ${chosen.map(({ factor }) => factor).join(" times, then ")} times ...`, "enlarging");
    busy(0);
    const started = performance.now();
    let large = pixels($("painting"));
    for (const upscaler of chosen) {
      if (!enlarger.holds(upscaler)) await enlarger.load(upscaler, engine);
      large = await enlarger.enlarge(large, Number($("sharpness").value), busy);
    }
    if (whole) large = await enlarger.resize(large, whole.width, whole.height);
    if (mine !== turn) return;
    const seconds = (performance.now() - started) / 1000;
    const canvas = document.createElement("canvas");
    show(canvas, large);
    await download(canvas, `${name}_${large.width}x${large.height}.png`);
    say(`Saved, ${large.width} x ${large.height} pixels, enlarged in ${seconds.toFixed(1)} seconds.`, "saved");
  } catch (error) {
    if (mine !== turn) return;
    if (error instanceof Canceled) say("Canceled.", "canceled");
    else say(`The painting could not be enlarged (${error.message}): try a smaller size, or a sharpness of 0 or 2.`, "wrong");
  }
  busy();
}

// What people give

async function take(file) {
  if (!file) return;
  if (/\.onnx$/i.test(file.name)) return takeGraph(file);
  let canvas;
  try {
    canvas = await read(file);
  } catch {
    return say(unreadable(file), "wrong");
  }
  leaveCamera();
  photo = { canvas, name: file.name || "Your picture" };
  $("result").scrollIntoView({ block: "nearest" }); // on a phone it lies below the controls
  if (!style) return say(`${photo.name} is here: choose a painting.`, "ready");
  await paint();
}

// A painting of one's own, for the model of any style.
async function takePainting(file) {
  if (!file) return;
  let canvas;
  try {
    canvas = await read(file);
  } catch {
    return say(unreadable(file), "wrong");
  }
  const one = styleOf(any, file, thumbnail(canvas), pixels(canvas));
  styles.push(one);
  choose(one);
  showStyles();
  if (photo) {
    $("result").scrollIntoView({ block: "nearest" });
    return paint();
  }
  if (!camera.running) say(`${one.title} is here: choose a photo.`, "ready");
}

function unreadable(file) {
  return `${file.name || "This"} is no picture that this browser can read: choose a JPEG, PNG or WebP.`;
}

// A model from elsewhere: one picture of 0..255 in, one out, or a file that e2e-art exported.
async function takeGraph(file) {
  const own = { name: file.name, title: file.name.replace(/\.onnx$/i, ""), stages: 1, bytes: new Uint8Array(await file.arrayBuffer()) };
  const before = style;
  choose({ model: own, title: own.title });
  try {
    stop();
    await ready();
  } catch (error) {
    style = undefined;
    if (before) choose(before);
    busy();
    return say(`${file.name} is no model that paints here (${error.message}): drop an ONNX file of one picture in, one out.`, "wrong");
  }
  busy();
  add(own);
  choose(styles.find((one) => one.model === own));
  showStyles();
  if (photo) return paint();
  say(`${own.title} is ready: choose a photo.`, "ready");
}

async function live() {
  if (!style) return say("Choose a painting first: it is what the camera's picture is painted in the style of.", "wrong");
  turn++;
  stop();
  try {
    await camera.start();
  } catch (error) {
    camera.stop();
    return say(`The camera cannot be used (${error.message}): allow it, or choose a photo.`, "wrong");
  }
  $("camera").setAttribute("aria-pressed", "true");
  $("camera").textContent = "Stop the camera";
  let rate = 0;
  try {
    while (camera.running) {
      await ready();
      busy();
      const started = performance.now();
      const image = camera.frame();
      const chosen = mix();
      const stages = await painter.paint(image, look());
      if (!camera.running) break;
      work = { image, stages, mix: chosen };
      showWork();
      const seconds = (performance.now() - started) / 1000;
      camera.took(seconds);
      rate = rate ? 0.8 * rate + 0.2 / seconds : 1 / seconds;
      say(`Camera: ${image.width} x ${image.height} pixels, ${rate.toFixed(1)} frames a second.`, "live");
    }
  } catch (error) {
    if (camera.running) fail(error);
  }
  leaveCamera();
}

function leaveCamera() {
  if (camera.running) say("The camera is off.", "ready");
  camera.stop();
  $("camera").setAttribute("aria-pressed", "false");
  $("camera").textContent = "Use the camera";
}

function listen() {
  $("file").addEventListener("change", () => take($("file").files[0]).finally(() => ($("file").value = "")));
  $("painting-file").addEventListener("change", () => takePainting($("painting-file").files[0]).finally(() => ($("painting-file").value = "")));
  $("camera").addEventListener("click", () => (camera.running ? leaveCamera() : live()));
  for (const group of [$("styles"), $("yours")]) {
    group.addEventListener("change", ({ target }) => {
      if (target.name !== "style") return;
      choose(styles[target.value]);
      paint();
    });
  }
  $("second").addEventListener("change", () => {
    second = styles[$("second").value];
    showMix();
    paint();
  });
  $("share").addEventListener("input", showShares);
  $("stages").addEventListener("change", showWork);
  $("keep-colors").addEventListener("change", showWork);
  for (const slider of [$("strength"), $("sharpness")]) {
    slider.addEventListener("input", () => (slider.nextElementSibling.value = Number(slider.value).toFixed(2)));
  }
  for (const slider of [$("share"), $("strength")]) {
    slider.addEventListener("input", follow);
    slider.addEventListener("change", paint);
  }
  $("size").addEventListener("change", paint);
  $("divide").addEventListener("input", () => $("painting").style.setProperty("--divide", `${$("divide").value}%`));
  $("cancel").addEventListener("click", () => (camera.running ? leaveCamera() : stop()));
  $("enlarge").addEventListener("change", showSharpness);
  $("download").addEventListener("click", save);
  receive([$("drop"), take], [$("yours"), takePainting]);
}

async function begin() {
  listen();
  for (const model of await (await fetch("styles.json")).json()) add(model);
  any = models.find(({ describe }) => describe);
  upscalers = await (await fetch("upscalers.json")).json();
  showFactors();
  $("doodles").hidden = !(await (await fetch("doodles.json")).json()).length;
  const wanted = parameters.get("style");
  const found = styles.find((one) => [one.name, one.model.name].includes(wanted));
  if (styles.length) choose(found ?? styles[0]);
  else showStages(0);
  showStyles();
  if (wanted && !found) say(`There is no style '${wanted}' here: choose one of those shown.`, "wrong");
  else say(`Choose a ${style ? "photo" : "painting and a photo"} to begin.`, "ready");
}

begin().catch((error) => say(`The page could not begin (${error.message}): reload it.`, "wrong"));
