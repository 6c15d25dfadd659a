// What a drawing is, by one tap or key: buttons with the classes under an answer, or a digit that is asked for and Next;
// see labels.py. It listens to the pen on the page's canvas, so that a stroke is kept with its time.

const views = new WeakMap(); // parentElement → view: survives between calls, goes when the element goes
const ANSWER_MS = 3000; // after which Streamlit's answer to a label is no longer waited for
const OPEN = "[role='listbox'], [role='dialog'], [role='menu']";

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".labels");
  if (!box || !data) return;
  const view = views.get(parentElement) ?? mount(parentElement, box);
  view.send = (label) => say(view, label, setTriggerValue);
  accept(view, data);
  // Streamlit also runs this when newer data overtake the ones before, with the buttons still on the page.
  return () => setTimeout(() => box.isConnected || unmount(parentElement), 0);
}

function mount(parentElement, box) {
  const view = { box, data: null, traces: [], whole: true, pen: null, sent: -ANSWER_MS };
  const listeners = { pointerdown: begin, pointermove: move, pointerup: lift, pointercancel: cancel, keydown: press };
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

function accept(view, data) {
  const before = view.data;
  view.data = data;
  if (before?.version !== data.version) {
    // a canvas begun anew has the first of the strokes before, by Undo, or none, by Clear
    view.traces = view.traces.slice(0, data.strokes);
    view.whole = view.traces.length === data.strokes;
    view.pen = null;
  }
  view.sent = -ANSWER_MS;
  draw(view);
}

// ---- the pen --------------------------------------------------------------------------------------------------------

function begin(view, event) {
  const [canvas] = event.composedPath();
  if (event.button || !event.isPrimary || !canvas.matches?.("canvas.upper-canvas")) return;
  view.start = view.traces.length ? view.start : event.timeStamp;
  view.pen = { pointer: event.pointerId, canvas, trace: [] };
  note(view, event);
}

function move(view, event) {
  if (event.pointerId !== view.pen?.pointer) return;
  for (const each of event.getCoalescedEvents?.() ?? [event]) note(view, each);
}

function lift(view, event) {
  if (event.pointerId !== view.pen?.pointer) return;
  note(view, event);
  view.traces.push(view.pen.trace);
  view.pen = null;
  draw(view);
}

function cancel(view, event) {
  if (event.pointerId === view.pen?.pointer) view.pen = null;
}

// Where the pen is, in pixels of the canvas whatever size the page shows it in, and when, since the drawing's start.
function note(view, event) {
  const { canvas, trace } = view.pen;
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height].map((share) => share * view.data.side);
  const point = [round(x), round(y), Math.max(0, Math.round(event.timeStamp - view.start))];
  const last = trace[trace.length - 1];
  if (!last || last[0] !== point[0] || last[1] !== point[1]) trace.push(point);
}

const round = (value) => Math.round(value * 10) / 10;

// ---- the label ------------------------------------------------------------------------------------------------------

const drawn = (view) => Math.max(view.traces.length, view.data.strokes) > 0;

function say(view, label, setTriggerValue) {
  if (!drawn(view) || view.pen || performance.now() - view.sent < ANSWER_MS) return; // a double tap is one
  view.sent = performance.now();
  const { version } = view.data;
  const strokes = Math.max(view.traces.length, view.data.strokes);
  // after a page switch the strokes from before are known to the canvas alone, without their time
  const traces = view.whole && view.traces.length >= view.data.strokes ? view.traces : null;
  setTriggerValue("said", { label, version, strokes, traces });
}

// A digit's key is its label, Enter is Next; not where something is typed or a button has the focus.
function press(view, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector(OPEN)) return;
  const [target] = event.composedPath();
  if (target.closest?.("input:not([type='range']), textarea, select, [contenteditable]")) return;
  const asked = view.data.asked;
  if (asked !== null && event.key === "Enter" && !target.closest?.("button, a")) view.send(asked);
  else if (asked === null && /^\d$/.test(event.key) && view.data.classes.includes(event.key)) view.send(event.key);
  else return;
  event.preventDefault();
}

// ---- what is seen ---------------------------------------------------------------------------------------------------

function element(name, className, parent, attributes = {}) {
  const made = document.createElement(name);
  made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function draw(view) {
  const { box, data } = view;
  // the canvas's own toolbar shows on hover and would lie over its corner
  if (data.asked !== null) canvasToolbar()?.style.setProperty("display", "none", "important");
  const state = JSON.stringify([data.classes, data.asked, data.chosen, data.words, data.hint, drawn(view)]);
  if (state === view.state) return;
  view.state = state;
  box.replaceChildren();
  box.dataset.testid = "labels";
  box.dataset.chosen = data.chosen ?? "";
  if (data.asked === null) choices(view);
  else question(view);
  element("p", "labels-words", box, { "aria-live": "polite" }).textContent = data.words;
}

function choices(view) {
  const { box, data } = view;
  box.hidden = !drawn(view);
  element("p", "labels-title", box).textContent = data.hint;
  const row = element("div", "labels-row", box, { role: "group", "aria-label": data.hint });
  for (const name of data.classes) {
    const button = element("button", "labels-choice", row, { type: "button", "aria-pressed": name === data.chosen });
    button.textContent = name;
    button.title = name === data.chosen ? "Tap again not to keep it" : `That was a ${name}`;
    button.addEventListener("click", () => view.send(name));
  }
}

function question(view) {
  const { box, data } = view;
  element("p", "labels-title", box).textContent = data.hint;
  const asked = element("p", "labels-asked", box, { "data-testid": "asked" });
  asked.textContent = data.asked;
  const next = element("button", "labels-next", box, { type: "button" });
  next.textContent = "Next";
  next.title = "Keeps this drawing and asks for the next. Key: Enter";
  next.disabled = !drawn(view);
  next.addEventListener("click", () => view.send(data.asked));
}

function canvasToolbar() {
  const host = document.querySelector(".st-key-paper [data-testid='stBidiComponentIsolated']");
  return host?.shadowRoot?.querySelector(".dc-toolbar");
}
