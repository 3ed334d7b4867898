"use strict";
const main = document.querySelector("main");
const cards = [...main.querySelectorAll(".card")];
const names = [...document.querySelectorAll("#classes")].flatMap((each) => [...each.content.children].map((one) => one.textContent));
const earlier = new Map([...document.querySelector("#earlier").content.children].map((row) => [row.dataset.path, row.dataset]));
const labeling = "labels" in main.dataset; // images without labels
let marks = new Map();
let stored = true;

function load() {
  for (const [path, row] of earlier) {
    if (row.action === "keep") marks.set(path, { action: "keep", label: "" });
  }
  try {
    const text = localStorage.getItem(main.dataset.key);
    if (text !== null) marks = new Map(JSON.parse(text));
  } catch {
    stored = false;
  }
}

function store() {
  try {
    localStorage.setItem(main.dataset.key, JSON.stringify([...marks]));
  } catch {
    stored = false;
  }
}

function show() {
  for (const card of cards) {
    const mark = marks.get(card.dataset.path);
    if (mark) card.dataset.action = mark.action;
    else delete card.dataset.action;
    const words = mark && (mark.action === "relabel" ? `${labeling ? "" : "relabel as "}${mark.label}` : mark.action);
    card.querySelector(".state").textContent = words || "";
    card.querySelector("select").value = mark && mark.action === "relabel" ? mark.label : "";
    for (const button of card.querySelectorAll("[data-mark]")) {
      const same = mark && mark.action === button.dataset.mark;
      button.setAttribute("aria-pressed", Boolean(same && (mark.action !== "relabel" || mark.label === card.dataset.suggestion)));
    }
  }
  const paths = new Set(cards.map((card) => card.dataset.path));
  const done = [...paths].filter((path) => marks.has(path)).length;
  const note = stored ? "" : "; this browser does not store marks, so save them before you leave";
  document.querySelector("#count").textContent = `${done} of ${paths.size} images marked${note}`;
}

function mark(card, action, label = "") {
  if (action === "relabel" && (!label || label === card.dataset.label)) action = label ? "keep" : "";
  if (action) marks.set(card.dataset.path, { action, label: action === "relabel" ? label : "" });
  else marks.delete(card.dataset.path);
  store();
  show();
}

function move(card, step) {
  const next = cards[cards.indexOf(card) + step];
  if (next) next.focus();
}

// As resnet50 writes cells: text that a spreadsheet would run as a formula gets an apostrophe in front.
function cell(text) {
  const formula = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) && !/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text);
  const harmless = formula ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function table() {
  const rows = new Map([...earlier].map(([path, row]) => [path, [path, row.label, row.action, row.newLabel]]));
  const labels = new Map(cards.map((card) => [card.dataset.path, card.dataset.label]));
  for (const [path, row] of earlier) if (row.action === "keep" && labels.has(path)) rows.delete(path);
  for (const [path, { action, label }] of marks) {
    if (!labels.has(path)) continue;
    const before = earlier.has(path) ? earlier.get(path).label : labels.get(path);
    if (action === "relabel") rows.set(path, label === before ? [path, before, "keep", ""] : [path, before, action, label]);
    else if (action === "keep" && labels.get(path) !== before) rows.set(path, [path, before, "relabel", labels.get(path)]);
    else rows.set(path, [path, before, action, ""]);
  }
  let lines = [["path", "label", "action", "new_label"], ...rows.values()];
  if (labeling) {
    const labeled = [...rows.values()].filter((row) => row[2] === "relabel");
    lines = [["path", "label"], ...labeled.map((row) => [row[0], row[3]])];
  }
  return lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = labeling ? "labels.csv" : "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

for (const card of cards) {
  const select = card.querySelector("select");
  select.append(...names.map((name) => new Option(name, name)));
  select.addEventListener("change", () => mark(card, "relabel", select.value));
  for (const button of card.querySelectorAll("[data-mark]")) {
    button.addEventListener("click", () => {
      const pressed = button.getAttribute("aria-pressed") === "true";
      mark(card, pressed ? "" : button.dataset.mark, card.dataset.suggestion);
    });
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
  const card = document.activeElement.closest(".card");
  if (!card) {
    if (event.key === "ArrowRight" && cards.length) cards[0].focus();
    return;
  }
  const actions = { ...(labeling ? {} : { 1: "keep" }), 2: "relabel", 3: "leave out", 0: "" };
  if (event.key in actions) {
    if (event.key === "2" && !card.dataset.suggestion) card.querySelector("select").focus();
    else {
      mark(card, actions[event.key], card.dataset.suggestion);
      if (event.key !== "0") move(card, 1);
    }
  } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    move(card, event.key === "ArrowRight" ? 1 : -1);
  } else {
    return;
  }
  event.preventDefault();
});

document.querySelector("#save").addEventListener("click", save);
document.querySelector("#clear").addEventListener("click", () => {
  marks = new Map();
  store();
  show();
});
load();
show();
