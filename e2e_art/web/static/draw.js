// The drawing board: hands, brushes, and a painting that follows them.

import { Board } from "./board.js";
import { choice, titled } from "./choices.js";
import { Painter } from "./painter.js";
import { download, draw, pixels, read, receive, show } from "./pictures.js";

const $ = (id) => document.getElementById(id);
const LONGEST = 640; // edge of a drawing that is opened
const SWATCH = 48; // pixels of a brush's picture
const FAR = 12; // pixels that Shift and an arrow key move

const parameters = new URLSearchParams(location.search);
const painter = new Painter();
let doodles = [];
let doodle; // the one chosen
let palette; // its colors, [red, green, blue] each
let board;
let wanted = 0; // counts the paintings that were asked for
let painting; // the promise of the loop that makes them, while it runs
let note = ""; // what the next painting's words begin with
let hand; // where the pointer drew last
let place; // of the keyboard's cursor

// Words

function say(text, state = "") {
  $("message").textContent = text;
  $("message").classList.toggle("wrong", state === "wrong");
  if (state) document.body.dataset.state = state;
}

// What is chosen

function brush() {
  return Number(document.querySelector("input[name=brush]:checked")?.value ?? 0);
}

function seed() {
  return Math.min(2 ** 32 - 1, Math.max(0, Math.floor(Number($("seed").value)) || 0));
}

function size() {
  return $("size").value.split(" x ").map(Number);
}

function showDoodles() {
  doodles.forEach((one, index) => $("styles").append(choice("style", index, titled(one), one === doodle)));
}

// Shows the brushes: each with a little of what it paints.
function showBrushes() {
  const before = brush();
  $("brushes").querySelectorAll(".choice").forEach((old) => old.remove());
  doodle.palette.forEach(({ name }, index) => {
    const swatch = Object.assign(document.createElement("canvas"), { className: "swatch", width: SWATCH, height: SWATCH });
    const color = Object.assign(document.createElement("canvas"), { className: "color", width: 1, height: 1 });
    const context = color.getContext("2d");
    context.fillStyle = doodle.palette[index].color;
    context.fillRect(0, 0, 1, 1);
    const label = Object.assign(document.createElement("span"), { textContent: `${index + 1} ${name}` });
    $("brushes").append(choice("brush", index, [color, swatch, label], index === Math.min(before, palette.length - 1)));
  });
}

async function paintSwatches() {
  const swatches = [...document.querySelectorAll("#brushes .swatch")];
  for (const [index, swatch] of swatches.entries()) {
    const flat = { width: 2 * SWATCH, height: 2 * SWATCH, labels: new Uint8Array(4 * SWATCH * SWATCH).fill(index) };
    show(swatch, await painter.doodle(flat, palette.length, 0));
  }
}

async function choose(one) {
  if (doodle !== one) note = "";
  doodle = one;
  palette = one.palette.map(({ color }) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)));
  const fits = board && Math.max(...board.labels) < palette.length;
  if (!fits) board = new Board(...size(), palette.length);
  showBrushes();
  showBoard();
  await painting; // of the doodle before
  say(`Loading ${one.title} ...`, "loading");
  $("progress").hidden = false;
  const answer = await painter.load(one, parameters.get("engine"), (share) => ($("progress").value = share));
  $("progress").hidden = true;
  const slower = answer.threaded ? "" : ". This page is served without the headers that threads need: it is slower";
  $("engine").textContent = `Painted by ${answer.engine}${slower}.`;
  await paintSwatches();
  paint();
}

// Painting

function showBoard() {
  show($("board"), board.image(palette));
  showCursor();
}

// Asks for a painting of the drawing as it is; while one is made, only the last wish counts.
function paint() {
  wanted++;
  document.body.dataset.state = "painting";
  if (painter.holds(doodle)) painting ??= follow().finally(() => (painting = undefined));
}

async function follow() {
  try {
    for (let made = 0; made !== wanted && painter.holds(doodle); ) {
      made = wanted;
      show($("painting"), await painter.doodle(board, palette.length, seed()));
      $("download").disabled = false;
      const words = `${note}${board.width} x ${board.height} pixels, seed ${seed()}, painted in ${painter.seconds.toFixed(2)} seconds.`;
      say(words, made === wanted ? "painted" : "");
    }
  } catch (error) {
    say(`${doodle.title} could not paint this (${error.message}): try a smaller size.`, "wrong");
  }
}

function changed() {
  showBoard();
  paint();
}

// Hands

function placeOf(event) {
  const { left, top, width, height } = $("board").getBoundingClientRect();
  return [((event.clientX - left) / width) * board.width, ((event.clientY - top) / height) * board.height];
}

function press(event) {
  if (event.button) return;
  place = undefined;
  board.remember();
  hand = placeOf(event);
  if ($("fill").checked) board.fill(hand, brush());
  else board.line(hand, hand, Number($("width").value), brush());
  $("board").setPointerCapture(event.pointerId);
  changed();
}

function move(event) {
  if (!hand || $("fill").checked) return;
  const course = event.getCoalescedEvents?.() ?? [];
  for (const one of course.length ? course : [event]) {
    const next = placeOf(one);
    board.line(hand, next, Number($("width").value), brush());
    hand = next;
  }
  changed();
}

function key(event) {
  const far = event.shiftKey ? FAR : 3;
  const steps = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (steps[event.key]) {
    const [x, y] = place ?? [board.width / 2, board.height / 2];
    const [across, down] = steps[event.key];
    place = [Math.min(board.width - 0.5, Math.max(0.5, x + across)), Math.min(board.height - 0.5, Math.max(0.5, y + down))];
    showCursor();
  } else if (event.key === " " || event.key === "Enter") {
    place ??= [board.width / 2, board.height / 2];
    board.remember();
    if (event.key === "Enter" || $("fill").checked) board.fill(place, brush());
    else board.line(place, place, Number($("width").value), brush());
    changed();
  } else if (event.key === "+" || event.key === "-") {
    $("width").value = Number($("width").value) + (event.key === "+" ? 4 : -4);
    $("width").dispatchEvent(new Event("input"));
  } else {
    const chosen = document.querySelector(`input[name=brush][value="${Number(event.key) - 1}"]`);
    if (!chosen) return;
    chosen.checked = true;
  }
  event.preventDefault();
}

function showCursor() {
  $("cursor").hidden = !place;
  if (!place) return;
  const [x, y] = place;
  $("cursor").style.left = `${(100 * x) / board.width}%`;
  $("cursor").style.top = `${(100 * y) / board.height}%`;
}

function undo() {
  if (!board.undo()) return;
  $("size").value = `${board.width} x ${board.height}`;
  changed();
}

// Files

async function open(file) {
  if (!file) return;
  const name = file.name || "This";
  let image;
  try {
    const canvas = await read(file);
    const share = Math.min(1, LONGEST / Math.max(canvas.width, canvas.height));
    image = pixels(draw(canvas, Math.max(1, Math.round(canvas.width * share)), Math.max(1, Math.round(canvas.height * share))));
  } catch {
    return say(`${name} is no picture that this browser can read: choose a PNG.`, "wrong");
  }
  board.remember();
  if (!board.load(image, palette)) {
    board.undo();
    const known = doodle.palette.map(({ color, name: called }) => `${color} ${called}`).join(", ");
    return say(`${name} has none of the colors that ${doodle.title} paints: draw with ${known}.`, "wrong");
  }
  const words = `${board.width} x ${board.height}`;
  if (![...$("size").options].some((option) => option.value === words)) $("size").append(new Option(words, words));
  $("size").value = words;
  changed();
}

function listen() {
  $("styles").addEventListener("change", (event) => choose(doodles[event.target.value]).catch(failed));
  $("width").addEventListener("input", () => ($("width").nextElementSibling.value = $("width").value));
  $("undo").addEventListener("click", undo);
  $("clear").addEventListener("click", () => {
    board.remember();
    board.clear(brush());
    changed();
  });
  $("size").addEventListener("change", () => {
    board.remember();
    board.resize(...size());
    changed();
  });
  $("seed").addEventListener("change", () => {
    $("seed").value = seed();
    paint();
  });
  $("another").addEventListener("click", () => {
    $("seed").value = (seed() + 1) % 2 ** 32;
    paint();
  });
  $("file").addEventListener("change", () => open($("file").files[0]).finally(() => ($("file").value = "")));
  $("save").addEventListener("click", () => download($("board"), `doodle_${doodle.name}.png`));
  $("download").addEventListener("click", () => download($("painting"), `${doodle.name}_seed-${seed()}.png`));
  $("board").addEventListener("pointerdown", press);
  $("board").addEventListener("pointermove", move);
  for (const kind of ["pointerup", "pointercancel"]) $("board").addEventListener(kind, () => (hand = undefined));
  $("board").addEventListener("keydown", key);
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.type === "number") return;
    event.preventDefault();
    undo();
  });
  receive([$("drop"), open]);
}

function failed(error) {
  say(`${doodle.title} could not be loaded (${error.message}): reload the page.`, "wrong");
}

async function begin() {
  doodles = await (await fetch("doodles.json")).json();
  if (!doodles.length) return say("There are no doodles here: give some with e2e-art serve --model.", "wrong");
  const name = parameters.get("style");
  const first = doodles.find((one) => one.name === name) ?? doodles[0];
  doodle = first;
  showDoodles();
  listen();
  if (name && first.name !== name) note = `There is no doodle '${name}' here: choose one of those shown. `;
  await choose(first).catch(failed);
}

begin().catch((error) => say(`The page could not begin (${error.message}): reload it.`, "wrong"));
