// Pictures in and out: files to pixels, sizes, colors.

export const MOST_PIXELS = 4e6; // larger photos are painted at this size, as infer.py does
const THUMBNAIL = 288; // pixels of the long side of small pictures

// Returns a picture file as a canvas, upright, on white where it is transparent; throws where the browser cannot read it.
export async function read(blob) {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  return draw(bitmap, bitmap.width, bitmap.height);
}

// Hands on each file that is dropped on the page or pasted: to the place that it is dropped on, else to the first one.
// places: [[element, take], ...]; the one that would get it shows so while a file is above the page.
export function receive(...places) {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      const [asked, take] = places.find(([place]) => place.contains(event.target)) ?? places[0];
      for (const [place] of places) place.classList.toggle("over", kind === "dragover" && place === asked);
      if (kind === "drop") take(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("paste", (event) => places[0][1](event.clipboardData.files[0]));
}

export function draw(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return canvas;
}

// Returns the address of a small picture of a canvas, which holds it itself.
export function thumbnail(canvas) {
  const { width, height } = paintingSize(canvas.width, canvas.height, THUMBNAIL);
  return draw(canvas, width, height).toDataURL("image/jpeg");
}

// Returns the size to paint at: {width, height} with the long edge asked for, 0 for the photo's own; never enlarged.
export function paintingSize(width, height, edge) {
  const long = Math.max(width, height);
  const own = long * Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  const share = Math.min(edge || own, own) / long;
  return { width: Math.max(1, Math.round(width * share)), height: Math.max(1, Math.round(height * share)) };
}

export function pixels(canvas) {
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
}

// Returns the painting's luminance in the photo's colors (see e2e_art/colors.py); both ImageData of one size.
export function keepColors(painting, photo) {
  const result = new ImageData(painting.width, painting.height);
  const [p, c, out] = [painting.data, photo.data, result.data];
  for (let at = 0; at < p.length; at += 4) {
    const luminance = light(p, at);
    const gray = light(c, at);
    let fitting = 1; // how much of the color there is room for
    for (let channel = 0; channel < 3; channel++) {
      const chroma = c[at + channel] - gray;
      const room = chroma > 0 ? 255 - luminance : luminance;
      fitting = Math.min(fitting, room / Math.max(Math.abs(chroma), 1e-6));
    }
    for (let channel = 0; channel < 3; channel++) out[at + channel] = luminance + fitting * (c[at + channel] - gray);
    out[at + 3] = 255;
  }
  return result;
}

function light(rgba, at) {
  return 0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2];
}

export function show(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Offers a canvas as a PNG file; throws where it is larger than the browser has them.
export async function download(canvas, name) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("this browser makes no pictures of that size");
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}
