"use strict";
// The page: strokes on the paper, and the model's answer to them while the pen moves.

const MODEL = (() => {
  const model = JSON.parse(document.getElementById("model").textContent);
  const bytes = Uint8Array.from(atob(model.content), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(bytes.buffer); // little-endian, as every browser's machine is
  const weights = {};
  for (const [name, [start, length]] of Object.entries(model.tensors)) {
    weights[name] = numbers.subarray(start, start + length);
  }
  return { ...model, content: undefined, weights };
})();

const SIDE = 280, BRUSH = 20;
const paper = document.getElementById("paper"), shown = paper.getContext("2d");
shown.scale(paper.width / SIDE, paper.height / SIDE); // sharp on every screen
const hidden = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
const light = hidden.getContext("2d", { willReadFrequently: true });
const strokes = [];
let drawing = false, due = false;

function trace(context, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = BRUSH;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    if (stroke.length === 1) {
      context.arc(...stroke[0], BRUSH / 2, 0, 2 * Math.PI);
      context.fill();
      continue;
    }
    context.moveTo(...stroke[0]);
    for (const place of stroke.slice(1)) context.lineTo(...place);
    context.stroke();
  }
}

function read() {
  due = false;
  shown.clearRect(0, 0, SIDE, SIDE);
  trace(shown, getComputedStyle(document.body).getPropertyValue("--ink"));
  light.fillStyle = "#000";
  light.fillRect(0, 0, SIDE, SIDE);
  trace(light, "#fff");
  const pixels = light.getImageData(0, 0, SIDE, SIDE).data;
  const image = strokes.length ? prepare(Float32Array.from({ length: SIDE * SIDE }, (_, n) => pixels[4 * n]), SIDE, SIDE) : null;
  show(image, image && probabilities(MODEL, image));
}

function show(image, found) {
  const best = found ? found.indexOf(Math.max(...found)) : -1;
  const name = found ? MODEL.classes[best] : "", field = document.getElementById("class");
  field.hidden = !found;
  field.textContent = name;
  field.classList.toggle("long", name.length > 2);
  document.getElementById("words").textContent = found ? words(found, best) : `Draw ${MODEL.what}, with the mouse or a finger.`;
  const seen = document.getElementById("seen").getContext("2d"), dots = seen.createImageData(28, 28);
  dots.data.fill(255);
  for (let n = 0; n < 28 * 28; n++) dots.data.fill(image ? image[n] : 0, 4 * n, 4 * n + 3);
  seen.putImageData(dots, 0, 0);
  [...document.querySelectorAll("#bars tr")].forEach((row, n) => {
    const share = found ? found[n] : 0;
    row.querySelector("i").style.width = `${100 * share}%`;
    row.lastElementChild.textContent = found ? `${(100 * share).toFixed(1)} %` : "";
  });
}

function words(found, best) {
  const certainty = MODEL.refuse_by === "certainty"
    ? 1 + found.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0) / Math.log(found.length) : found[best];
  const sure = `${(100 * found[best]).toFixed(1)} % sure`;
  return certainty < MODEL.refuse_below ? `${sure}: perhaps it is none of these.` : `${sure}.`;
}

function later() {
  if (!due) requestAnimationFrame(read);
  due = true;
}

function place(event) {
  const box = paper.getBoundingClientRect();
  return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
}

paper.addEventListener("pointerdown", (event) => {
  paper.setPointerCapture(event.pointerId);
  drawing = true;
  strokes.push([place(event)]);
  later();
});
paper.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  const between = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const each of between.length ? between : [event]) strokes[strokes.length - 1].push(place(each));
  later();
});
for (const end of ["pointerup", "pointercancel"]) paper.addEventListener(end, () => { drawing = false; });

const undo = () => { strokes.pop(); later(); };
const clear = () => { strokes.length = 0; later(); };
document.getElementById("undo").addEventListener("click", undo);
document.getElementById("clear").addEventListener("click", clear);
document.addEventListener("keydown", (event) => {
  const held = event.ctrlKey || event.metaKey;
  if (held && event.key === "z") { event.preventDefault(); undo(); }
  else if (!held && (event.key === "Escape" || event.key === "c")) clear();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);

MODEL.classes.forEach((name) => {
  const row = document.getElementById("bars").insertRow();
  row.append(Object.assign(document.createElement("th"), { textContent: name, scope: "row" }));
  row.insertCell().append(document.createElement("meter-bar"));
  row.querySelector("meter-bar").append(document.createElement("i"));
  row.insertCell();
});
read();
