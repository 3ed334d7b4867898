import * as ort from "./ort.wasm.min.mjs";

const TOP = 5;
const at = (id) => document.getElementById(id);
const say = (text) => { at("status").textContent = text; };

ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
// several threads need headers that few servers send
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
ort.env.wasm.proxy = true; // a worker computes, and the page stays responsive

let session, manifest, busy = false;

try {
  manifest = await (await fetch("./resnet50.json")).json();
  session = await ort.InferenceSession.create(new URL("./model.onnx", import.meta.url).href, { executionProviders: ["wasm"] });
  say("Ready");
} catch (error) {
  say(`The model cannot be loaded: ${error.message}`);
}

/** Return the RGB pixels of an image as the network takes them; a large one is reduced, as for a JPEG in Python. */
async function pixels(source) {
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const whole = await createImageBitmap(source, options);
  const enough = (2 * Math.max(...manifest.export.image_size)) / manifest.export.image.fit.crop_ratio;
  const scale = Math.min(1, enough / Math.min(whole.width, whole.height));
  const canvas = at("canvas");
  canvas.width = Math.round(whole.width * scale);
  canvas.height = Math.round(whole.height * scale);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // shows where the image is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  return new ort.Tensor("uint8", rgb, [canvas.height, canvas.width, 3]);
}

/** Classify a file or the current picture of a video, and show the answer. */
async function classify(source) {
  if (!session || busy) return;
  busy = true;
  say("Classifying");
  try {
    const image = await pixels(source);
    const start = performance.now();
    const { probabilities } = await session.run({ image });
    const seconds = (performance.now() - start) / 1000;
    const ranked = [...probabilities.data].map((share, k) => [manifest.class_names[k], share]);
    ranked.sort(([, one], [, other]) => other - one);
    show(ranked.slice(0, TOP));
    say(`Classified in ${seconds.toFixed(2)} s`);
  } catch (error) {
    at("result").hidden = true;
    say(`This cannot be classified: ${error.message}`);
  } finally {
    busy = false;
  }
}

function show(answers) {
  at("answers").replaceChildren(...answers.map(([name, share]) => {
    const row = document.createElement("tr");
    const meter = document.createElement("meter");
    meter.value = share;
    meter.setAttribute("aria-hidden", "true");
    row.insertCell().textContent = name;
    row.insertCell().append(meter);
    row.insertCell().textContent = `${(100 * share).toFixed(1)} %`;
    return row;
  }));
  at("result").hidden = false;
}

const firstImage = (data) => [...data.files].find((file) => file.type.startsWith("image/"));

at("file").addEventListener("change", ({ target }) => target.files[0] && classify(target.files[0]));
document.addEventListener("paste", ({ clipboardData }) => {
  const file = firstImage(clipboardData);
  if (file) classify(file);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  const file = firstImage(event.dataTransfer);
  if (file) classify(file);
});

at("camera").hidden = !navigator.mediaDevices?.getUserMedia; // only on secure addresses and on localhost
at("camera").addEventListener("click", async () => {
  try {
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    at("live").hidden = false;
    await at("video").play();
  } catch (error) {
    say(`The camera cannot be used: ${error.message}`);
  }
});
at("shot").addEventListener("click", () => classify(at("video")));
at("stop").addEventListener("click", () => {
  at("video").srcObject.getTracks().forEach((track) => track.stop());
  at("live").hidden = true;
});
