// The answer to a drawing, after a stroke as Streamlit sends it and during one as the lab's own route gives it; see
// answer.py. Called by Streamlit on mount and on every change of data. The finished strokes are on the canvas's lower
// layer and the one under way is on its upper layer (Fabric.js); a picture of both goes to the route.

const views = new WeakMap(); // parentElement → view: survives between calls, goes when the element goes
const LEAST_MS = 1000 / 15; // between two pictures of a stroke
const SHARE = 3; // and this many times what the last one took, so that a busy server gets fewer,
const MOST_MS = 1000; // but not longer than this
const SMALL = 2; // one pixel of so many on each side: the route halves a canvas itself, and less is sent sooner
const STALE_MS = 1000; // for so long after a stroke an answer to fewer strokes is one that was overtaken
const REST_MS = 2000; // after the route has failed
const PATIENCE_MS = 700; // a model that takes longer to answer is being loaded
const MOST_BARS = 20;
const OPEN = "[role='listbox'], [role='dialog'], [role='menu']"; // which close by Esc

export default function ({ parentElement, data }) {
  const box = parentElement.querySelector(".answer");
  if (!box || !data) return;
  const view = views.get(parentElement) ?? mount(parentElement, box);
  accept(view, data);
  // Streamlit also runs this when newer data overtake the ones before, with the answer still on the page.
  return () => setTimeout(() => box.isConnected || unmount(parentElement), 0);
}

function mount(parentElement, box) {
  const pen = { pen: null, strokes: 0, settled: -1, up: -STALE_MS };
  const route = { busy: false, next: 0, closed: false };
  const view = { box, data: null, draws: 0, parts: build(box), ...pen, ...route };
  const listeners = { pointerdown: begin, pointermove: move, pointerup: lift, pointercancel: lift, keydown: press };
  view.listeners = Object.entries(listeners).map(([type, act]) => [type, (event) => act(view, event)]);
  view.listeners.forEach(([type, act]) => window.addEventListener(type, act, true));
  views.set(parentElement, view);
  return view;
}

function unmount(parentElement) {
  const view = views.get(parentElement);
  views.delete(parentElement);
  view?.listeners.forEach(([type, act]) => window.removeEventListener(type, act, true));
}

// ---- what Streamlit sends -------------------------------------------------------------------------------------------

function accept(view, data) {
  const before = view.data;
  view.data = data;
  const sameCanvas = before?.version === data.version && before.route === data.route;
  if (!sameCanvas) {
    view.pen = null;
    if (before?.route !== data.route) probe(view);
  }
  const overtaken = () => view.pen?.down || (data.strokes < view.strokes && performance.now() - view.up < STALE_MS);
  const take = () => {
    view.strokes = data.strokes;
    view.settled = data.answer ? data.strokes : -1; // so many strokes are answered for good
    mark(view, data.strokes > 0);
    show(view, data.answer, "page");
  };
  if (!sameCanvas || view.closed || !overtaken()) return take();
  // the stroke may have been none, such as a touch that the system took over
  setTimeout(() => view.data === data && !view.pen?.down && take(), STALE_MS);
}

const paper = () => document.querySelector(".st-key-paper, .st-key-paper-wide");

function mark(view, drawn) {
  if (drawn) paper()?.setAttribute("data-pen", "");
  else paper()?.removeAttribute("data-pen");
  // it shows on hover alone, repeats Clear and Undo, and invisible it would lie over the canvas's corner
  toolbar()?.style.setProperty("display", "none", "important");
}

function toolbar() {
  const host = paper()?.querySelector("[data-testid='stBidiComponentIsolated']");
  return host?.shadowRoot?.querySelector(".dc-toolbar");
}

// Has the canvas tell Streamlit of its strokes now, which it else does after 200 ms: Undo knows of them sooner.
const report = () => toolbar()?.querySelector("button[title^='Update the app']")?.click();

// ---- the pen --------------------------------------------------------------------------------------------------------

function begin(view, event) {
  const [canvas] = event.composedPath();
  if (!view.data.route || event.button || !event.isPrimary || !canvas.matches?.("canvas.upper-canvas")) return;
  const lower = canvas.parentElement.querySelector("canvas.lower-canvas");
  view.pen = { layers: [lower, canvas], pointer: event.pointerId, down: true };
  view.strokes += 1;
  mark(view, true);
  draw(view);
}

function move(view, event) {
  if (!view.pen?.down || event.pointerId !== view.pen.pointer) return;
  if (event.buttons) draw(view);
  else lift(view, event); // it was lifted where no page could see it
}

function draw(view) {
  view.fresh = view.pen.layers[0].width / SMALL;
  pump(view);
}

function lift(view, event) {
  const { pen } = view;
  if (!pen?.down || event.pointerId !== pen.pointer) return;
  pen.down = false;
  view.fresh = 0; // until the next frame the stroke is on neither layer
  view.up = performance.now();
  const settle = () =>
    setTimeout(() => {
      if (view.pen !== pen) return;
      view.pen = null;
      view.fresh = pen.layers[0].width;
      view.layers = pen.layers;
      view.next = 0;
      pump(view);
    }, 0);
  const frame = requestAnimationFrame;
  frame(event.pointerType === "mouse" ? settle : () => frame(settle)); // a touch ends after its pointer
}

// Streamlit keeps `c` from its buttons' shortcuts, and its Esc would clear a drawing while it closes a list.
function press(view, event) {
  if (!["c", "Escape"].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  const [target] = event.composedPath();
  const typing = target.closest?.("input:not([type='range']), textarea, select, [contenteditable]");
  const clear = document.querySelector(".st-key-clear button");
  if (!clear || !view.data.route || typing || document.querySelector(OPEN)) return;
  event.stopImmediatePropagation();
  clear.click();
}

// ---- the route ------------------------------------------------------------------------------------------------------

// Sends the newest picture when the one before has been answered: at most one is under way.
async function pump(view) {
  clearTimeout(view.timer);
  if (!view.fresh || view.busy || view.closed || view.settled >= view.strokes) return;
  const wait = view.next - performance.now();
  if (wait > 0) return (view.timer = setTimeout(pump, wait, view));
  const width = view.fresh;
  const { layers } = view.pen ?? view;
  const whole = width === layers[0].width;
  const { version, route } = view.data;
  const stroke = view.strokes;
  view.fresh = 0;
  view.busy = true;
  const begun = performance.now();
  let pause = 0;
  try {
    // a single digit is read sooner where nobody asks whether it is a number, which it may be when the pen is up
    const number = route.includes("&number=") ? "" : whole ? "&number=apart" : "&number=0";
    const answer = await ask(route + number, pictureOf(layers, width));
    pause = answer.pause;
    const current = version === view.data.version && route === view.data.route && layers[0].isConnected;
    const last = !view.pen && !view.fresh;
    if (current && stroke > view.settled) show(view, answer, last ? "pen-up" : "pen");
  } catch (error) {
    pause = REST_MS;
    view.closed = error.status !== 429 && error.status < 500; // Streamlit answers after the stroke
  }
  view.busy = false;
  if (whole && layers[0].isConnected) report();
  const taken = performance.now() - begun;
  view.next = begun + Math.max(LEAST_MS, Math.min(MOST_MS, SHARE * taken), pause);
  if (view.fresh && !view.pen && pause !== REST_MS) view.next = 0; // the pen is up
  pump(view);
}

// toBlob would wait for a moment in which the browser has nothing else to do; this takes a millisecond or two.
function pictureOf(layers, width) {
  const sheet = document.createElement("canvas");
  const height = Math.round((width * layers[0].height) / layers[0].width);
  Object.assign(sheet, { width, height });
  const context = sheet.getContext("2d");
  for (const layer of layers) context.drawImage(layer, 0, 0, width, height);
  const [, encoded] = sheet.toDataURL("image/png").split(",");
  return Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
}

async function ask(route, picture) {
  // Relative to the document, as Streamlit loads its own scripts: right below a base path and on a deep link.
  const url = new URL(route, window.__streamlit?.BACKEND_BASE_URL ?? document.baseURI);
  const headers = { "Content-Type": "image/png" };
  const answer = await fetch(url, { method: "POST", headers, body: picture, signal: AbortSignal.timeout(30000) });
  // the server spreads what all people together send
  if (answer.ok) return { ...(await answer.json()), pause: 1000 * (Number(answer.headers.get("X-Pause")) || 0) };
  const said = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(said.error ?? ""), { status: answer.status });
}

// Asks once for nothing, so that the model is loaded before the first stroke; says so where that takes a while.
async function probe(view) {
  const { route } = view.data;
  view.closed = false;
  view.loading = "";
  if (!route) return;
  const current = () => view.data.route === route;
  const sentence = "The model is being loaded. You can draw already.";
  const late = setTimeout(() => current() && say(view, sentence), PATIENCE_MS);
  let said = "";
  try {
    const blank = document.createElement("canvas");
    blank.width = blank.height = 28;
    await ask(route, pictureOf([blank], 28));
  } catch (error) {
    if (error.status === 404) said = error.message; // a model that cannot be read, or is gone
    if (current()) view.closed = error.status !== 429 && error.status < 500;
  }
  clearTimeout(late);
  if (current()) say(view, said);
}

// ---- what is seen ---------------------------------------------------------------------------------------------------

function element(name, className, parent, attributes = {}) {
  const made = document.createElement(name);
  made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function build(box) {
  box.replaceChildren();
  box.dataset.testid = "answer";
  box.dataset.draws = 0;
  const head = element("div", "answer-head", box);
  const digit = element("h2", "answer-digit", head, { "data-testid": "answer-digit" });
  const words = element("div", "answer-words", head, { "data-testid": "answer-words" });
  const seen = element("figure", "answer-seen", head, { "data-testid": "answer-seen" });
  const input = element("canvas", "", seen, { role: "img", "aria-label": "What the model sees" });
  element("figcaption", "", seen).textContent = "What the model sees";
  const bars = element("ol", "answer-bars", box, { "aria-label": "Probabilities" });
  const spoken = element("div", "answer-spoken", box, { "aria-live": "polite" });
  return { digit, words, input, bars, spoken };
}

function say(view, sentence) {
  view.loading = sentence;
  if (!view.shown?.answer) show(view, null, view.shown?.source ?? "page");
}

// The same answer twice changes nothing on the page.
function show(view, answer, source) {
  const { box, parts, data } = view;
  const read = answer && answer.digit !== null ? answer : null;
  const said = [answer?.probabilities, answer?.rejection, answer?.number, answer?.digits];
  const state = JSON.stringify([said, data.classes, data.invitation, view.loading]);
  const still = source !== "pen"; // while the pen is down, only what is short changes
  box.dataset.source = source;
  if (still) box.dataset.strokes = view.strokes; // which this answer is to
  if (state === view.state && still === view.still) return;
  view.shown = { answer, source };
  view.state = state;
  view.still = still;
  const lines = sentences(view, answer, still);
  text(parts.digit, lines[0]);
  const several = isSeveral(read);
  box.classList.toggle("answer-waits", !read);
  box.classList.toggle("answer-number", several);
  box.classList.toggle("answer-long", lines[0].length > 2 && !several);
  if (JSON.stringify(lines) !== view.lines) {
    view.lines = JSON.stringify(lines);
    parts.words.replaceChildren();
    for (const line of lines.slice(1)) element("p", "", parts.words).textContent = line;
  }
  drawBars(view, read);
  drawBoxes(read);
  drawInput(parts, read?.input);
  if (still) text(parts.spoken, read ? `${lines[0]}. ${lines[1]}` : "");
  box.dataset.digit = read ? data.classes[read.digit] : "";
  box.dataset.number = read?.number ?? "";
  box.dataset.draws = ++view.draws;
}

const text = (node, words) => node.textContent === words || (node.textContent = words);

const isSeveral = (read) => Boolean(read?.number) && read.number.length > 1;

function sentences(view, answer, still) {
  const { classes, rejections, invitation } = view.data;
  if (!answer || (answer.digit === null && !still)) return view.loading ? [invitation[0], view.loading] : invitation;
  const name = answer.digit === null ? "" : classes[answer.digit];
  const sure = `The model is ${(100 * answer.confidence).toFixed(1)}% sure.`;
  if (!answer.rejection) return [name, sure];
  if (isSeveral(answer)) {
    const least = answer.digits.reduce((a, b) => (b.confidence < a.confidence ? b : a));
    const doubt = `The least sure is the ${classes[least.digit]}, at ${(100 * least.confidence).toFixed(1)}%.`;
    return [answer.number, `${answer.digits.length} digits.`, doubt];
  }
  if (!still) return [`${name}?`, sure];
  const [headline, why, advice] = rejections[answer.rejection];
  const filled = `${name} (${Math.round(100 * answer.confidence)}%)`;
  return [headline.replace("{}", () => name), why.replace("{}", () => filled), advice];
}

function drawBars({ parts: { bars }, data }, read) {
  const several = isSeveral(read); // then a bar for each of its digits
  const classes = several ? read.digits.map(({ digit }) => data.classes[digit]) : data.classes;
  const values = several ? read.digits.map(({ confidence }) => confidence) : (read?.probabilities ?? classes.map(() => 0));
  let shown = values.map((_, index) => index);
  if (classes.length > MOST_BARS) shown = shown.sort((a, b) => values[b] - values[a]).slice(0, MOST_BARS);
  bars.classList.toggle("answer-short", classes.length <= 12 && classes.every((name) => name.length <= 2));
  while (bars.children.length > shown.length) bars.lastChild.remove();
  while (bars.children.length < shown.length) {
    const row = element("li", "", bars);
    for (const part of ["name", "track", "share"]) element("span", `answer-${part}`, row);
    element("i", "", row.children[1]);
  }
  shown.forEach((index, place) => {
    const row = bars.children[place];
    const [name, track, share] = row.children;
    const value = values[index];
    text(name, classes[index]);
    name.title = classes[index];
    track.firstChild.style.setProperty("--share", value.toFixed(4));
    text(share, value >= 0.005 ? `${Math.round(100 * value)}%` : "");
    row.dataset.value = value;
    row.classList.toggle("answer-chosen", several || index === read?.digit);
  });
}

// A frame around each digit of a number, over the drawing.
function drawBoxes(read) {
  const target = paper();
  if (!target) return;
  if (!isSeveral(read)) return target.style.removeProperty("--boxes");
  const [width, height] = read.size;
  const stroke = `fill='none' stroke='%23ff4b4b' stroke-width='${width / 280}' rx='${width / 140}'`;
  const frames = read.digits.map(({ box: [x, y, w, h] }) => `%3Crect x='${x}' y='${y}' width='${w}' height='${h}' ${stroke}/%3E`);
  const head = `%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 ${width} ${height}' preserveAspectRatio='none'%3E`;
  target.style.setProperty("--boxes", `url("data:image/svg+xml,${head}${frames.join("")}%3C/svg%3E")`);
}

// (H, W) or (H, W, 3) in 0…255, each a pixel.
function drawInput({ input }, image) {
  if (!image) return;
  const [height, width] = [image.length, image[0].length];
  if (input.width !== width || input.height !== height) Object.assign(input, { width, height });
  const pixels = new ImageData(width, height);
  image.flat().forEach((value, i) => {
    pixels.data.set(Array.isArray(value) ? [...value, 255] : [value, value, value, 255], 4 * i);
  });
  input.getContext("2d").putImageData(pixels, 0, 0);
}
