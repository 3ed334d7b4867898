// Classify images in the browser: ONNX Runtime Web computes, and no image leaves the device.

import { isRefused, predictionSet, referenceFeatures, refuses } from "./doubt.js";
import * as ort from "./ort.wasm.min.mjs";

const TOP = 5; // classes shown
const NAMED = 10; // classes of a prediction set
const STRIP = 32; // rows of a reduced image that are read at a time: a whole photo may be too large for a canvas

const at = (id) => document.getElementById(id);
const tell = (text) => { at("status").textContent = text; };
const percent = (share) => `${(100 * share).toFixed(1)}%`;

let session, manifest; // undefined until they are loaded
let reference; // the features of training images; undefined too where none are known
let next = null; // what to classify when the model is loaded and free
let busy = false;

/** Classify an image as soon as the model is loaded and free; of several that wait, only the last. */
async function classify(source, name) {
  next = { source, name };
  if (!session || busy) return;
  busy = true;
  while (next) {
    const { source, name } = next;
    next = null;
    try {
      await answer(source, name);
    } catch (error) {
      stopCamera();
      at("result").hidden = true;
      tell(`${name} cannot be classified: ${error.message}`);
    }
  }
  busy = false;
}

async function answer(source, name) {
  const live = source === at("video");
  if (!live) tell(`Classifying ${name}`);
  const bitmap = await decoded(source);
  const image = reduced(bitmap, reduction(bitmap));
  draw(bitmap, image.dims);
  bitmap.close();
  const start = performance.now();
  const { probabilities, features } = await session.run({ image });
  const seconds = (performance.now() - start) / 1000;
  const ranked = [...probabilities.data].map((share, place) => [manifest.class_names[place], share]);
  ranked.sort(([, one], [, other]) => other - one);
  at("answers").replaceChildren(...ranked.slice(0, TOP).map(([className, share]) => row(className, share)));
  at("result").hidden = false;
  const { thresholds } = manifest.export;
  const refused = reference && isRefused(features.data, reference, thresholds);
  at("verdict").textContent = refused ? REFUSAL : named(predictionSet(probabilities.data, thresholds));
  at("verdict").hidden = !at("verdict").textContent;
  const [[className, share]] = ranked;
  const said = refused ? "none of these classes, perhaps" : `${className}, ${percent(share)}`;
  if (!live) tell(`${name}: ${said} (${seconds.toFixed(2)} s)`);
}

const REFUSAL =
  "None of these classes, perhaps: the image is less like the training images than 95% of images like theirs.";

/** Return a prediction set as a sentence; nothing where it is not known. */
function named(places) {
  if (!places) return "";
  const names = places.slice(0, NAMED).map((place) => manifest.class_names[place]);
  if (places.length > NAMED) names.push(`${places.length - NAMED} others`);
  return `${names.join(" or ")}. For 95% of images like the training's, the right class is among these.`;
}

async function decoded(source) {
  try {
    // as in Python: upright, and without color profiles
    return await createImageBitmap(source, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error("this browser cannot read it as an image.");
  }
}

/** Return the factor by which to reduce an image, the same as for a large JPEG in Python. */
function reduction({ width, height }) {
  const { image_size: size, image } = manifest.export;
  const enough = Math.ceil((2 * Math.max(...size)) / image.fit.crop_ratio);
  return [8, 4, 2, 1].find((factor) => factor === 1 || Math.floor(Math.min(width, height) / enough) >= factor);
}

/** Return an image as the network takes it, on white: RGB, each pixel the mean of a square of factor x factor. */
function reduced(bitmap, factor) {
  const width = Math.ceil(bitmap.width / factor);
  const height = Math.ceil(bitmap.height / factor);
  const rgb = new Uint8Array(3 * width * height);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = STRIP * factor;
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  for (let top = 0; top < bitmap.height; top += canvas.height) {
    const rows = Math.min(canvas.height, bitmap.height - top);
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, rows);
    context.drawImage(bitmap, 0, -top);
    const strip = context.getImageData(0, 0, canvas.width, rows);
    rgb.set(means(strip, factor), (3 * width * top) / factor);
  }
  return new ort.Tensor("uint8", rgb, [height, width, 3]);
}

/** Return the mean color of each square of pixels; those at the right and at the bottom may be smaller. */
function means({ data, width, height }, factor) {
  const columns = Math.ceil(width / factor);
  const rgb = new Uint8Array(3 * columns * Math.ceil(height / factor));
  for (let top = 0, to = 0; top < height; top += factor) {
    const bottom = Math.min(top + factor, height);
    for (let left = 0; left < width; left += factor) {
      const right = Math.min(left + factor, width);
      let red = 0, green = 0, blue = 0;
      for (let y = top; y < bottom; y++) {
        for (let from = 4 * (y * width + left), end = 4 * (y * width + right); from < end; from += 4) {
          red += data[from];
          green += data[from + 1];
          blue += data[from + 2];
        }
      }
      const count = (bottom - top) * (right - left);
      rgb[to++] = Math.round(red / count);
      rgb[to++] = Math.round(green / count);
      rgb[to++] = Math.round(blue / count);
    }
  }
  return rgb;
}

function draw(bitmap, [height, width]) {
  const canvas = at("canvas");
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, width, height);
}

function row(className, share) {
  const made = document.createElement("tr");
  const name = document.createElement("th");
  const bar = document.createElement("div");
  name.scope = "row";
  name.textContent = className;
  bar.className = "bar";
  bar.style.setProperty("--share", `${100 * share}%`);
  name.append(bar);
  made.append(name);
  made.insertCell().textContent = percent(share);
  return made;
}

function take(files) {
  if (!files.length) {
    tell("Expected an image file, got a link or text: save the image first.");
    return;
  }
  stopCamera();
  classify(files[0], files.length === 1 ? files[0].name : `${files[0].name}, the first of ${files.length} files,`);
}

async function startCamera() {
  const video = at("video");
  at("camera").disabled = true; // while the browser asks for permission
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    await video.play();
  } catch (error) {
    stopCamera();
    tell(`The camera cannot be used: ${error.message}`);
    return;
  } finally {
    at("camera").disabled = false;
  }
  showCamera(true);
  tell(session ? "The camera is on." : "The camera is on. The model is still loading.");
  while (video.srcObject) {
    if (!busy) await classify(video, "The camera");
    await new Promise(requestAnimationFrame); // none comes while the page is hidden
  }
}

/** Stop the camera; its last image stays, with the answer. */
function stopCamera() {
  const stream = at("video").srcObject;
  if (!stream) return;
  stream.getTracks().forEach((track) => track.stop());
  at("video").srcObject = null;
  next = null;
  showCamera(false);
  tell("The camera is off.");
}

function showCamera(on) {
  at("video").hidden = !on;
  at("canvas").hidden = on;
  at("camera").textContent = on ? "Stop the camera" : "Use the camera";
}

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}.`);
  return response;
}

async function load() {
  try {
    manifest = await (await fetched("resnet50.json")).json();
    describe(manifest.class_names);
    const names = ["model.onnx", ...(refuses(manifest.export.thresholds) ? ["thresholds.npz"] : [])];
    const responses = await Promise.all(names.map(fetched));
    const size = responses.reduce((sum, { headers }) => sum + Number(headers.get("Content-Length")), 0);
    tell(`Loading the model${size ? `, ${(size / 1e6).toFixed(1)} MB` : ""}`);
    const [model, arrays] = await Promise.all(responses.map(async (each) => new Uint8Array(await each.arrayBuffer())));
    if (arrays) reference = referenceFeatures(arrays);
    session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  } catch (error) {
    at("drop").hidden = true;
    tell(`The model cannot be loaded: ${error.message}`);
    return;
  }
  tell("Ready");
  if (next) classify(next.source, next.name);
}

function describe(classNames) {
  at("count").textContent = `The ${classNames.length} classes that the model knows`;
  at("classes").replaceChildren(...classNames.map((className) => {
    const item = document.createElement("li");
    item.textContent = className;
    return item;
  }));
  at("about").hidden = false;
}

ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
ort.env.wasm.proxy = true; // a worker computes, and the page stays responsive

at("file").addEventListener("change", ({ target }) => {
  if (target.files.length) take(target.files);
  target.value = ""; // so that the same file can be chosen again
});
addEventListener("paste", ({ clipboardData }) => take(clipboardData.files));
addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) at("drop").classList.remove("over"); // it left the window
});
addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
at("drop").hidden = false;
at("camera").hidden = !navigator.mediaDevices?.getUserMedia; // only over https and on localhost
at("camera").addEventListener("click", () => (at("video").srcObject ? stopCamera() : startCamera()));

load();
