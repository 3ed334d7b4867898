// When several classes are named, and when none is: as resnet50 predict does, by the thresholds in resnet50.json.

const COVERAGE = "0.95"; // of a prediction set; both are the defaults of resnet50 predict
const REFUSE = "0.05"; // share of images like the training's that may be refused

/** Return the places of the classes of which one is right at the coverage, the most probable first; null if not known. */
export function predictionSet(probabilities, thresholds) {
  const limits = thresholds?.prediction_set.largest_score[COVERAGE];
  if (limits === undefined) return null;
  const scaled = scale(probabilities, thresholds.temperature);
  const order = [...scaled.keys()].sort((one, other) => probabilities[other] - probabilities[one]);
  let sum = 0;
  return order.filter((place, rank) => {
    sum += scaled[place];
    const score = thresholds.prediction_set.score === "aps" ? sum : 1 - scaled[place];
    return rank === 0 || score <= (Array.isArray(limits) ? limits[place] : limits);
  });
}

/** Return p^(1/T), normalized. */
function scale(probabilities, temperature) {
  const logits = Array.from(probabilities, (share) => Math.log(Math.max(share, 1e-38)) / temperature);
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map((power) => power / sum);
}

/** Return whether a model can refuse images. */
export const refuses = (thresholds) => thresholds?.refusal.largest_distance[REFUSE] !== undefined;

/** Return whether an image is further from all training images than the thresholds allow. */
export function isRefused(features, reference, { refusal }) {
  const length = Math.max(Math.hypot(...features), 1e-12);
  const similarities = reference.map((row) => row.reduce((sum, value, k) => sum + value * features[k], 0) / length);
  const nearest = similarities.sort((one, other) => other - one).slice(0, refusal.neighbors);
  const mean = nearest.reduce((one, other) => one + other) / nearest.length;
  return 1 - mean > refusal.largest_distance[REFUSE];
}

/** Return the features of the training images in thresholds.npz, each of length 1. */
export function referenceFeatures(npz) {
  const array = member(npz, "features.npy");
  const view = new DataView(array.buffer, array.byteOffset, array.length);
  const [start, size] = array[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const header = new TextDecoder().decode(array.subarray(start, start + size));
  const [, count, width] = header.match(/'descr': '<f2', 'fortran_order': False, 'shape': \((\d+), (\d+)\)/).map(Number);
  const values = Float32Array.from({ length: 1 << 16 }, (_, bits) => half(bits));
  return Array.from({ length: count }, (_, row) => {
    const from = start + size + 2 * width * row;
    const features = Float32Array.from({ length: width }, (_, k) => values[view.getUint16(from + 2 * k, true)]);
    const length = Math.max(Math.hypot(...features), 1e-12);
    return features.map((value) => value / length);
  });
}

/** Return the content of an uncompressed file in a zip archive without a comment. */
function member(archive, name) {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.length);
  const end = archive.length - 22; // the record that ends the archive
  for (let at = view.getUint32(end + 16, true); at < end;) {
    const [size, nameSize, extra, comment] = [view.getUint32(at + 24, true), ...[28, 30, 32].map((k) => view.getUint16(at + k, true))];
    if (new TextDecoder().decode(archive.subarray(at + 46, at + 46 + nameSize)) === name) {
      const local = view.getUint32(at + 42, true);
      const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      return archive.subarray(from, from + size);
    }
    at += 46 + nameSize + extra + comment;
  }
  throw new Error(`thresholds.npz has no ${name}.`);
}

/** Return the number that a float16 has the bits of; all here are finite. */
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const magnitude = exponent ? 2 ** (exponent - 25) * (1024 + (bits & 1023)) : 2 ** -24 * (bits & 1023);
  return bits & 0x8000 ? -magnitude : magnitude;
}
