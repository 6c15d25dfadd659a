// Snapshots of a network side by side: a slider moves through all of them, and a button plays them; see frames.py.
// One frame alone has neither: a network that trains is shown so, again and again.

const views = new WeakMap(); // parentElement → what is shown there
const PLAY_MS = 700; // a frame
const MOVE_MS = 450; // in which the points of the map go to their next places
const SETTLED_MS = 500; // after the last move of the slider the page is told where it stands
const BELOW = [255, 158, 61], ABOVE = [214, 240, 255]; // as in figures/tiles.py
const ASK_MS = 1000; // between two questions for the newest frame of a feed
const FAILED_MS = 3000;
const CURVES = "mnist-lab-curves"; // newer curves are drawn in this frame, or out of sight (chart.js)
const NEAR = { rootMargin: "200px", scrollMargin: "200px" }; // as in chart.js
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".frames");
  if (!box || !data) return;
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = { at: 0, asked: null, timer: 0, told: 0, moving: 0, parts: {} }));
  view.tell = (step) => setTriggerValue("step", step);
  if (data.feed) return follow(parentElement, box, view, data);
  if (view.version !== data.version) {
    if (!data.frames) return view.tell(-1); // a new place on the page, which has never had them
    const before = view.frames?.[view.at]?.step;
    Object.assign(view, { box, data, version: data.version, frames: data.frames.map(unpackFrame) });
    view.labels = data.points && unpack(data.points);
    build(view);
    const wanted = view.asked === data.asked && before !== undefined ? before : data.at;
    view.at = nearest(view, wanted);
  } else if (view.asked !== data.asked) {
    view.at = nearest(view, data.at);
  }
  view.asked = data.asked;
  show(view);
  return () => setTimeout(() => box.isConnected || close(parentElement), 0);
}

function close(parentElement) {
  const view = views.get(parentElement);
  if (!view) return;
  views.delete(parentElement);
  stop(view);
  clearTimeout(view.asking);
  view.watch?.disconnect();
  view.sight?.disconnect();
  cancelAnimationFrame(view.moving);
}

// ---- a network that trains ----

function follow(parentElement, box, view, data) {
  const begun = view.feed;
  Object.assign(view, { box, feed: data.feed, image: data.image, seen: view.image === data.image ? view.seen : "" });
  if (begun !== data.feed) {
    clearTimeout(view.asking);
    view.sight?.disconnect();
    view.sight = new IntersectionObserver((entries) => (view.inView = entries.at(-1).isIntersecting), NEAR);
    view.sight.observe(box);
    ask(view);
  }
  return () => setTimeout(() => box.isConnected || close(parentElement), 0);
}

async function ask(view) {
  const { box, feed } = view;
  let rest = ASK_MS;
  try {
    // what nobody sees costs the training nothing
    if (!document.hidden && (view.inView || !box.dataset.step)) rest = await askOnce(view);
  } catch {
    rest = FAILED_MS; // the server is busy, or begins anew
  }
  if (rest && box.isConnected && view.feed === feed) view.asking = setTimeout(ask, rest, view);
}

async function askOnce(view) {
  const query = new URLSearchParams({ since: view.seen ?? "", image: view.image ?? "" });
  const url = new URL(view.feed, window.__streamlit?.BACKEND_BASE_URL ?? document.baseURI);
  const answer = await fetch(`${url}?${query}`);
  if (!answer.ok) throw new Error(answer.statusText);
  const { ended, stamp, shown } = await answer.json();
  if (shown && view.box.isConnected) {
    const image = query.get("image");
    view.seen = view.image === image || (!view.image && !image) ? stamp : "";
    const drawn = view.drawn !== image; // a person waits for what it makes of a new drawing
    Object.assign(view, { drawn: image, newest: shown });
    if (drawn || !view.box.dataset.step) showNewest(view);
    else withCurves(view);
  }
  return ended ? 0 : ASK_MS;
}

// In the same frame as the curves (chart.js), if they are drawn soon: each frame of its own costs the training more than
// what is drawn in it.
function withCurves(view) {
  const show = () => {
    clearTimeout(view.waiting);
    document.removeEventListener(CURVES, show);
    view.waiting = 0;
    if (view.box.isConnected) showNewest(view);
  };
  if (view.waiting) return;
  document.addEventListener(CURVES, show);
  view.waiting = setTimeout(show, ASK_MS);
}

function showNewest(view) {
  const { newest: shown } = view;
  Object.assign(view, { data: shown, frames: shown.frames.map(unpackFrame), at: 0 });
  const looks = JSON.stringify([shown.classes, shown.digits, shown.words]);
  if (view.looks !== looks) build(view);
  view.looks = looks;
  show(view);
}

function nearest({ frames }, step) {
  const distances = frames.map((frame) => Math.abs(frame.step - step));
  return step === null || step === undefined ? frames.length - 1 : distances.indexOf(Math.min(...distances));
}

// ---- packed arrays ----

const KINDS = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array };

function unpack({ shape, values }, kind = "u1") {
  const bytes = Uint8Array.from(atob(values), (character) => character.charCodeAt(0));
  const numbers = new KINDS[kind](bytes.buffer);
  numbers.shape = shape;
  return numbers;
}

function unpackFrame(frame) {
  const of = (name, kind) => frame[name] && unpack(frame[name], kind);
  return {
    ...frame,
    confusion: of("confusion", "u2"),
    points: of("points", "u2"),
    filters: of("filters", "i1"),
    maps: of("maps", "i1"),
  };
}

// ---- what is there ----

function element(name, className, parent, attributes = {}) {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

function build(view) {
  const { box, data, frames } = view;
  stop(view);
  view.watch?.disconnect();
  box.replaceChildren();
  box.dataset.testid = "frames";
  view.parts = {};
  view.places = null;
  if (frames.length === 1) view.parts.words = element("p", "frames-words", box);
  if (frames.length > 1) buildBar(view);
  const panels = element("div", "frames-panels", box);
  const [first] = frames;
  const add = (name, title, words, wide) => {
    const panel = element("section", wide ? "frames-panel frames-wide" : "frames-panel", panels);
    element("h4", "", panel).textContent = title;
    const inner = element("div", "", panel);
    element("p", "", panel).textContent = words;
    return (view.parts[name] = inner);
  };
  const canvas = (inner) => element("canvas", "", inner, { role: "img" });
  if (data.charts) canvas(add("charts", data.words.chartsTitle, data.words.charts, true));
  if (first.digits) buildDigits(view, add("digits", data.words.digitsTitle, data.words.digits, true));
  if (first.confusion) canvas(add("confusion", "Confusion matrix", data.words.confusion));
  if (first.points) canvas(add("map", "Map of the test images", data.words.map));
  if (first.filters) canvas(add("filters", "Filters of the first layer", data.words.filters));
  if (first.drawn) {
    const inner = add("drawn", data.words.drawnTitle, data.words.drawn);
    const answer = element("div", "frames-answer", inner);
    element("img", "frames-picture", answer, { src: data.picture, alt: data.words.drawnTitle });
    element("strong", "", answer);
    if (first.maps) canvas(inner);
  }
  view.watch = new ResizeObserver(() => draw(view));
  view.watch.observe(panels);
}

function buildBar(view) {
  const bar = element("div", "frames-bar", view.box);
  const play = (view.parts.play = element("button", "", bar, { type: "button" }));
  const range = (view.parts.range = element("input", "", bar, {
    type: "range", min: 0, max: view.frames.length - 1, step: 1, "aria-label": "Snapshot",
  }));
  view.parts.words = element("span", "frames-words", bar);
  play.textContent = "▶ Play";
  play.addEventListener("click", () => (view.timer ? stop(view, true) : start(view)));
  range.addEventListener("input", () => {
    stop(view);
    go(view, Number(range.value));
  });
}

function buildDigits(view, inner) {
  inner.className = "frames-digits";
  view.digits = view.data.digits.map(({ picture, label }) => {
    const figure = element("figure", "frames-digit", inner);
    element("img", "", figure, { src: picture, alt: `An image of ${label}` });
    return [figure, element("b", "", figure), element("span", "", figure)];
  });
}

// ---- moving ----

function start(view) {
  if (view.at === view.frames.length - 1) go(view, 0);
  view.parts.play.textContent = "❚❚ Stop";
  view.timer = setInterval(() => {
    if (!view.box.isConnected) return stop(view);
    go(view, view.at + 1);
    if (view.at >= view.frames.length - 1) stop(view, true);
  }, PLAY_MS);
}

function stop(view, tell) {
  clearInterval(view.timer);
  view.timer = 0;
  if (view.parts.play) view.parts.play.textContent = "▶ Play";
  if (tell) told(view);
}

function told(view) {
  clearTimeout(view.told);
  view.told = setTimeout(() => view.tell(view.frames[view.at].step), SETTLED_MS);
}

function go(view, at) {
  view.at = Math.max(0, Math.min(at, view.frames.length - 1));
  if (!view.timer) told(view);
  show(view);
}

function show(view) {
  const frame = view.frames[view.at];
  const { range, words } = view.parts;
  if (range) {
    range.value = view.at;
    range.setAttribute("aria-valuetext", frame.words);
  }
  if (words) words.textContent = frame.words;
  view.box.dataset.step = frame.step;
  draw(view);
}

function draw(view) {
  const { parts } = view;
  const frame = view.frames[view.at];
  const ink = getComputedStyle(view.box).color;
  if (parts.charts) drawCharts(parts.charts.firstChild, view, frame, ink);
  if (parts.confusion) drawConfusion(parts.confusion.firstChild, view, frame, ink);
  if (parts.map) movePoints(view, frame, ink);
  if (parts.filters) drawTiles(parts.filters.firstChild, frame.filters, "Filters of the first layer");
  if (parts.digits) frame.digits.forEach((answer, n) => sayDigit(view, n, answer));
  if (parts.drawn) {
    const [answer, maps] = parts.drawn.children;
    if (answer.firstChild.src !== view.data.picture) answer.firstChild.src = view.data.picture;
    say(answer.lastChild, said(view, frame.drawn));
    if (maps) drawTiles(maps, frame.maps, "What the filters make of the picture");
  }
}

const said = ({ data }, [label, share]) => `${data.classes[label]} · ${Math.round(100 * share)} %`;

function sayDigit(view, n, answer) {
  const [figure, name, share] = view.digits[n];
  figure.className = `frames-digit ${view.data.digits[n].row === answer[0] ? "frames-right" : "frames-wrong"}`;
  say(name, view.data.classes[answer[0]]);
  say(share, `${Math.round(100 * answer[1])} %`);
}

// A canvas in the pixels of the screen, `height` CSS pixels high, blank.
function blank(canvas, height) {
  const width = canvas.parentElement.clientWidth, ratio = devicePixelRatio || 1;
  resize(canvas, Math.round(width * ratio), Math.round(height * ratio));
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width];
}

// A canvas that gets a size, be it the same, gets new memory.
function resize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

function say(node, words) {
  if (node.textContent !== words) node.textContent = words; // else the browser would lay out the page for nothing
}

// Lines over steps: spaced evenly or, where `double`, by doubling; a vertical line at the frame.
function drawCharts(canvas, { data, frames }, frame, ink) {
  const count = data.charts.length, stacked = canvas.parentElement.clientWidth < 520;
  const [pen, width] = blank(canvas, stacked ? 150 * count : 150);
  const each = stacked ? width : (width - 24 * (count - 1)) / count;
  data.charts.forEach((chart, place) => {
    const left = (stacked ? 0 : place * (each + 24)) + 46, right = left + each - 52;
    const top = (stacked ? place * 150 : 0) + 22, bottom = top + 104;
    drawChart(pen, chart, { left, right, top, bottom }, ink, frame.step, frames.length > 1 || chart.line);
  });
  const titles = data.charts.map(({ title }) => title).join(", ");
  canvas.setAttribute("aria-label", `${titles}, over the steps of the training. ${frame.words}`);
}

function drawChart(pen, chart, { left, right, top, bottom }, ink, step, marked) {
  const { first = 0, last, double, log, percent } = chart;
  const across = double ? (at) => Math.log2(at + 1) / Math.log2(last + 1) : (at) => (at - first) / (last - first || 1);
  const up = log ? (value) => Math.log10(Math.max(value, 1e-9)) : (value) => value;
  const all = chart.lines.flatMap(({ y }) => y).filter((value) => value !== null && (!log || value > 0));
  const low = chart.low ?? Math.min(...all), high = chart.high ?? Math.max(...all);
  const x = (at) => left + across(at) * (right - left);
  const y = (value) => bottom - ((up(value) - up(low)) / (up(high) - up(low) || 1)) * (bottom - top);
  pen.font = "12px sans-serif";
  pen.fillStyle = ink;
  pen.textAlign = "left";
  pen.fillText(chart.title, left, top - 8);
  pen.strokeStyle = ink;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.3;
  pen.strokeRect(left, top, right - left, bottom - top);
  pen.globalAlpha = 1;
  if (!all.length) return;
  pen.textAlign = "right";
  const text = (value) => (percent ? `${Math.round(100 * value)} %` : Number(value.toPrecision(2)).toString());
  for (const value of low === high ? [low] : [low, high]) pen.fillText(text(value), left - 4, y(value) + 4);
  const ticks = double ? powersOfTen(last) : [first, last];
  for (const at of ticks) {
    pen.textAlign = x(at) > right - 20 ? "right" : x(at) < left + 10 ? "left" : "center";
    pen.fillText(at.toLocaleString("en"), Math.min(x(at), right), bottom + 16);
  }
  for (const line of chart.lines) {
    pen.strokeStyle = pen.fillStyle = line.colour;
    pen.lineWidth = line.dots ? 2 : 1.5;
    pen.beginPath();
    line.x.forEach((at, i) => line.y[i] !== null && pen.lineTo(x(at), y(line.y[i])));
    pen.stroke();
    if (line.dots || line.x.length === 1) line.x.forEach((at, i) => pen.fillRect(x(at) - 2, y(line.y[i]) - 2, 4, 4));
  }
  if (!marked) return;
  pen.strokeStyle = ink;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x(step), top);
  pen.lineTo(x(step), bottom);
  pen.stroke();
}

function powersOfTen(last) {
  const found = [];
  for (let at = 1; at <= last; at *= 10) found.push(at);
  return found;
}

function drawConfusion(canvas, { data }, frame, ink) {
  const [classes] = frame.confusion.shape;
  const width = canvas.parentElement.clientWidth, edge = classes > 12 ? 4 : 18;
  const side = Math.min((width - edge) / classes, 34);
  const [pen] = blank(canvas, edge + side * classes);
  let wrong = 1;
  frame.confusion.forEach((count, i) => (wrong = i % (classes + 1) ? Math.max(wrong, count) : wrong));
  pen.font = `${Math.min(12, Math.floor(side / 2.3))}px sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (let true_ = 0; true_ < classes; true_++) {
    for (let read = 0; read < classes; read++) {
      const count = frame.confusion[true_ * classes + read];
      const x = edge + read * side, y = edge + true_ * side;
      if (count) {
        const row = data.rows[true_] || 1;
        const share = true_ === read ? count / row : Math.sqrt(count / wrong);
        pen.fillStyle = true_ === read ? `rgba(0, 114, 178, ${0.15 + 0.5 * share})` : `rgba(213, 94, 0, ${0.12 + 0.7 * share})`;
        pen.fillRect(x + 0.5, y + 0.5, side - 1, side - 1);
      }
      if (count && side >= 20) {
        pen.fillStyle = ink;
        pen.fillText(count, x + side / 2, y + side / 2);
      }
    }
    if (classes <= 12) {
      pen.fillStyle = ink;
      pen.fillText(data.classes[true_].slice(0, 2), edge / 2, edge + (true_ + 0.5) * side);
      pen.fillText(data.classes[true_].slice(0, 2), edge + (true_ + 0.5) * side, edge / 2);
    }
  }
  canvas.setAttribute("aria-label", `Confusion matrix. ${frame.words}. Most often: ${frame.worst}`);
  canvas.title = `Most often: ${frame.worst}`;
  canvas.onpointermove = ({ offsetX, offsetY }) => {
    const [read, true_] = [offsetX, offsetY].map((place) => Math.floor((place - edge) / side));
    const inside = Math.min(read, true_) >= 0 && Math.max(read, true_) < classes;
    const cell = inside && `${data.classes[true_]} read as ${data.classes[read]}: ${frame.confusion[true_ * classes + read]}`;
    canvas.title = cell || `Most often: ${frame.worst}`;
  };
}

function movePoints(view, frame, ink) {
  cancelAnimationFrame(view.moving);
  const canvas = view.parts.map.firstChild, from = view.places, to = frame.points;
  const still = !from || from === to || from.length !== to.length || CALM.matches;
  if (still) {
    view.places = to;
    return drawPoints(canvas, view, to, frame, ink);
  }
  const begun = performance.now(), places = Float32Array.from(from);
  view.places = places; // where they are, should the next frame come before they arrive
  const move = (now) => {
    const share = Math.min(1, Math.max(0, (now - begun) / MOVE_MS)), eased = share * (2 - share);
    for (let i = 0; i < places.length; i++) places[i] = from[i] + (to[i] - from[i]) * eased;
    drawPoints(canvas, view, places, frame, ink);
    if (share < 1) view.moving = requestAnimationFrame(move);
    else view.places = to;
  };
  view.moving = requestAnimationFrame(move);
}

function drawPoints(canvas, view, places, frame, ink) {
  const { data, labels } = view;
  const width = Math.min(canvas.parentElement.clientWidth, 460);
  const [pen, whole] = blank(canvas, width * 0.85);
  const height = width * 0.85, classes = data.classes.length, left = (whole - width) / 2;
  const x = (n) => left + 8 + (places[2 * n] / 65535) * (width - 16), y = (n) => 8 + (places[2 * n + 1] / 65535) * (height - 16);
  const sums = Array.from({ length: classes }, () => [0, 0, 0]);
  labels.forEach((label, n) => {
    pen.fillStyle = data.colours[label];
    pen.globalAlpha = 0.75;
    pen.fillRect(x(n) - 1.5, y(n) - 1.5, 3, 3);
    sums[label][0] += x(n);
    sums[label][1] += y(n);
    sums[label][2] += 1;
  });
  pen.globalAlpha = 1;
  pen.font = `bold ${classes > 20 ? 11 : 15}px sans-serif`;
  const above = Math.max(...data.classes.map(({ length }) => length)) > 2 ? 14 : 0; // a long name would hide its points
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineWidth = 4;
  pen.strokeStyle = getComputedStyle(view.box.querySelector(".frames-bar") ?? view.box).backgroundColor;
  pen.fillStyle = ink;
  sums.forEach(([right, down, count], label) => {
    if (!count) return;
    pen.strokeText(data.classes[label], right / count, down / count - above);
    pen.fillText(data.classes[label], right / count, down / count - above);
  });
  canvas.setAttribute("aria-label", `Map of the test images by the network's last features, in two dimensions. ${frame.words}`);
}

// (n, H, W) or (n, H, W, 3) numbers from -127 to 127: below 0 orange, above blue, 0 black; or as colours.
function drawTiles(canvas, tiles, what) {
  const [count, high, wide, channels] = tiles.shape;
  const width = canvas.parentElement.clientWidth;
  const columns = Math.max(1, Math.min(count, Math.ceil(Math.sqrt((1.8 * count * high) / wide))));
  const rows = Math.ceil(count / columns);
  resize(canvas, columns * (wide + 1) - 1, rows * (high + 1) - 1);
  const scale = Math.min(width, 460) / canvas.width;
  canvas.style.width = `${canvas.width * scale}px`;
  canvas.style.height = `${canvas.height * scale}px`;
  const pen = canvas.getContext("2d"), picture = pen.createImageData(canvas.width, canvas.height);
  for (let n = 0; n < count; n++) {
    const top = Math.floor(n / columns) * (high + 1), left = (n % columns) * (wide + 1);
    for (let i = 0; i < high * wide; i++) {
      const place = 4 * ((top + Math.floor(i / wide)) * canvas.width + left + (i % wide));
      const at = n * high * wide + i;
      for (let c = 0; c < 3; c++) {
        const value = channels === 3 ? tiles[3 * at + c] : tiles[at];
        const share = Math.abs(value) / 127;
        picture.data[place + c] = channels === 3 ? 128 + value : share * (value > 0 ? ABOVE[c] : BELOW[c]);
      }
      picture.data[place + 3] = 255;
    }
  }
  pen.putImageData(picture, 0, 0);
  canvas.setAttribute("aria-label", `${what}: ${count} tiles of ${high} by ${wide}`);
}
