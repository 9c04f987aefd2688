// The camera, painted live at whatever size keeps up.

import { draw, paintingSize, pixels } from "./pictures.js";

const EDGES = [96, 128, 160, 192, 256, 320, 384, 480, 640];
const SLOW = 0.35; // seconds a frame: above this the picture gets smaller,
const FAST = 0.12; // below this larger
const PATIENCE = 3; // frames that must agree before it changes

export class Camera {
  #stream;
  #video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  #edge = 3;
  #votes = 0;

  get running() {
    return Boolean(this.#stream);
  }

  // Opens the camera; throws where there is none, or where it is not allowed.
  async start() {
    if (!navigator.mediaDevices) throw new Error("browsers give cameras to https and localhost pages only");
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } } });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = this.#video.srcObject = undefined;
  }

  // Returns the frame of this moment as ImageData, in the size that keeps up.
  frame() {
    const { videoWidth, videoHeight } = this.#video;
    const { width, height } = paintingSize(videoWidth, videoHeight, EDGES[this.#edge]);
    return pixels(draw(this.#video, width, height));
  }

  // Learns how long a frame took, in seconds, and chooses the next one's size.
  took(seconds) {
    const vote = seconds > SLOW ? -1 : seconds < FAST ? 1 : 0;
    this.#votes = vote && Math.sign(this.#votes) === vote ? this.#votes + vote : vote;
    if (Math.abs(this.#votes) < PATIENCE) return;
    this.#edge = Math.min(EDGES.length - 1, Math.max(0, this.#edge + vote));
    this.#votes = 0;
  }
}
