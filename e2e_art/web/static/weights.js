// The weights of an upscaler at any strength: those of a stage, or a mix of two, as infer.py mixes them.

const STRONGEST = 2; // the strength of the last stage; that of the first is 0

// Returns a safetensors file (Uint8Array); stages: those of the stages, of one form, all in half precision.
export function weightsAt(strength, stages) {
  const position = (Math.fround(strength) / STRONGEST) * (stages.length - 1);
  const stage = Math.floor(position);
  return position === stage ? stages[stage] : mixed(stages[stage], stages[stage + 1], position - stage);
}

// share: of the second file, 0..1.
function mixed(one, other, share) {
  if (!DataView.prototype.getFloat16) throw new Error("this browser is too old for a sharpness between two stages");
  const result = one.slice();
  const [to, from] = [result, other].map(({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength));
  const begin = 8 + Number(to.getBigUint64(0, true)); // after the length of the header, and the header
  if (one.length !== other.length || one.subarray(0, begin).some((byte, at) => byte !== other[at])) {
    throw new Error("the weights of its stages are not of one form");
  }
  const [first, second] = [Math.fround(1 - share), Math.fround(share)];
  for (let at = begin; at < one.length; at += 2) {
    const sum = Math.fround(first * to.getFloat16(at, true)) + Math.fround(second * from.getFloat16(at, true));
    to.setFloat16(at, Math.fround(sum), true);
  }
  return result;
}
