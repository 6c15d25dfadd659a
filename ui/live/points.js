
// ---- points: the second half of chart.js, see chart.py --------------------------------------------------------------
//
// Traces of the type `scattergl` are drawn here, on a canvas under Plotly's names, lines and legend, and here they are
// pointed at, clicked and caught with a lasso. Plotly itself would compile its shaders with `eval`, which the lab's
// Content-Security-Policy forbids; and ten thousand points in SVG follow no hand.

const REACH_PX = TOUCH ? 18 : 9; // from the pointer to a point that it means
const FEW = 30; // selected points, up to which each has a ring around it
const RING_PX = 8;
const DRAG_PX = 5; // below which a press is a click
const LEGEND_PX = 116; // beside the points; below them on a phone
const ROW_PX = 19; // of a legend below
const ZOOM = 1.6;
const BYTES = { f4: Float32Array, f8: Float64Array, i1: Int8Array, u1: Uint8Array, i2: Int16Array, i4: Int32Array };
const CORNERS = { square: [4, 0.5], diamond: [4, 0], "triangle-up": [3, 0], pentagon: [5, 0], hexagon: [6, 0.5] };
const TOOLS = [
  ["lasso", "Lasso", "M12 4c5 0 9 2.4 9 6s-4 6-9 6-9-2.4-9-6 4-6 9-6M7 15c-2 2 1 3 0 6"],
  ["move", "Move", "M12 2v20M2 12h20M12 2l-3 3M12 2l3 3M12 22l-3-3M12 22l3-3M2 12l3-3M2 12l3 3M22 12l-3-3M22 12l-3 3"],
  ["in", "Zoom in", "M12 5v14M5 12h14"],
  ["out", "Zoom out", "M5 12h14"],
  ["whole", "Show all", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"],
];

const isGl = ({ type }) => type?.endsWith("gl");

function configOf({ picks }) {
  return picks ? { ...CONFIG, displayModeBar: false } : CONFIG;
}

// A click on one of Plotly's own points: it is named by its `customdata`.
function listenForPicks(chart) {
  const { box, data } = chart;
  if (!data.picks || chart.listens) return;
  chart.listens = true; // the listener stays from one figure to the next
  box.on("plotly_click", ({ points: [point] }) => point?.customdata && chart.pick({ point: [...point.customdata] }));
}

// Takes the points out of the figure that Plotly gets, which keeps their legend, and leaves room for that beside them.
function takePoints(chart, { data, layout }) {
  const traces = data.filter(isGl);
  if (!traces.length) return (chart.points = null);
  const points = (chart.points ??= { mode: TOUCH ? "" : "lasso", tools: [] });
  points.traces = traces.map(readPoints);
  for (const trace of traces) {
    Object.assign(trace, { type: "scatter", x: [null], y: [null] });
    for (const name of ["customdata", "text", "selectedpoints", "hovertemplate"]) delete trace[name];
  }
  const shown = data.filter(({ showlegend }) => showlegend !== false);
  const narrow = chart.width < NARROW;
  const longest = Math.max(...shown.map(({ name }) => (name ?? "").length));
  const perRow = Math.max(1, Math.floor(chart.width / (52 + 7 * longest)));
  const room = narrow ? { b: 14 + ROW_PX * Math.ceil(shown.length / perRow) } : { r: LEGEND_PX };
  layout.margin = { l: 4, t: 40, r: 4, b: 4, ...room, autoexpand: false };
  Object.assign(layout, { dragmode: false, hovermode: false });
  for (const name of layout.annotations ?? []) name.bgcolor ??= chart.theme.background; // or points would cross it
  if (!narrow) layout.legend = { ...layout.legend, x: 1.01, xanchor: "left", y: 1 };
  if (points.revision !== layout.uirevision) {
    Object.assign(points, { revision: layout.uirevision, zoomed: null });
  }
  points.whole = { x: layout.xaxis.range, y: layout.yaxis.range };
  points.margin = layout.margin;
  layout.xaxis.range = [...view(points).x];
  layout.yaxis.range = [...view(points).y];
  return points;
}

const view = (points) => points.zoomed ?? points.whole;

function readPoints(trace) {
  const { marker, selectedpoints } = trace;
  const x = numbers(trace.x);
  return {
    x,
    y: numbers(trace.y),
    custom: numbers(trace.customdata),
    columns: trace.customdata ? numbers(trace.customdata).length / x.length : 0,
    text: trace.text,
    template: trace.hovertemplate ?? "",
    marker,
    selected: selectedpoints ? new Set(numbers(selectedpoints)) : null,
    faded: trace.unselected?.marker?.opacity ?? 1,
  };
}

// Numbers travel as lists, or packed by Plotly as {dtype, bdata}.
function numbers(given) {
  if (!given?.bdata) return (given ?? []).flat().map((number) => number ?? NaN); // in sums null would be 0
  const bytes = Uint8Array.from(atob(given.bdata), (character) => character.charCodeAt(0));
  return new BYTES[given.dtype](bytes.buffer);
}

// ---- drawing --------------------------------------------------------------------------------------------------------

function showPoints(chart) {
  const { box, points } = chart;
  if (!points) return;
  if (!points.canvas) buildPoints(chart);
  if (!points.canvas.isConnected) box.append(...points.parts); // a message had taken their place
  const { canvas, margin } = points;
  const [width, height] = [chart.width - margin.l - margin.r, chart.data.height - margin.t - margin.b];
  const scale = window.devicePixelRatio || 1;
  canvas.style.cssText = `left:${margin.l}px;top:${margin.t}px;width:${width}px;height:${height}px`;
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) }); // and empty again
  Object.assign(points, { width, height });
  const context = canvas.getContext("2d");
  const { x, y } = view(points);
  const [perX, perY] = [width / (x[1] - x[0]), height / (y[1] - y[0])];
  for (const chosen of [false, true]) {
    for (const trace of points.traces) {
      if (!chosen && !trace.selected) continue;
      const stamp = stampOf(trace.marker, scale);
      const half = stamp.width / 2;
      context.globalAlpha = chosen ? (trace.marker.opacity ?? 1) : trace.faded;
      for (let i = 0; i < trace.x.length; i++) {
        if (trace.selected && trace.selected.has(i) !== chosen) continue;
        const left = (trace.x[i] - x[0]) * perX * scale;
        const top = (y[1] - trace.y[i]) * perY * scale;
        context.drawImage(stamp, Math.round(left - half), Math.round(top - half));
      }
    }
  }
  const ink = getComputedStyle(box).color;
  const chosen = points.traces.flatMap((trace) => [...(trace.selected ?? [])].map((i) => [trace.x[i], trace.y[i]]));
  if (chosen.length <= FEW) {
    Object.assign(context, { globalAlpha: 1, strokeStyle: ink, lineWidth: 1.5 * scale });
    for (const [left, top] of chosen.map(([a, b]) => [(a - x[0]) * perX * scale, (y[1] - b) * perY * scale])) {
      context.beginPath();
      context.arc(left, top, RING_PX * scale, 0, 2 * Math.PI);
      context.stroke();
    }
  }
  if (points.lasso) drawLasso(context, points.lasso, scale, ink);
  box.style.touchAction = points.mode ? "none" : "auto";
}

// One picture of a marker, which is put wherever it is needed.
function stampOf({ symbol, size, color, line }, scale) {
  const stamp = document.createElement("canvas");
  const radius = (size * scale) / 2;
  stamp.width = stamp.height = Math.ceil(2 * radius + 2 + 2 * scale);
  const context = stamp.getContext("2d");
  context.translate(stamp.width / 2, stamp.height / 2);
  Object.assign(context, { fillStyle: color, strokeStyle: line?.color ?? color, lineWidth: (line?.width ?? 0) * scale });
  context.beginPath();
  if (symbol === "x") {
    const arm = radius * 0.8;
    Object.assign(context, { strokeStyle: color, lineWidth: Math.max(1.5, size / 4) * scale });
    for (const side of [-1, 1]) {
      context.moveTo(-arm, -arm * side);
      context.lineTo(arm, arm * side);
    }
  } else if (symbol === "star") {
    outline(context, 10, 0, (corner) => radius * (corner % 2 ? 0.45 : 1.1));
  } else if (CORNERS[symbol]) {
    outline(context, ...CORNERS[symbol], () => radius * 1.15);
  } else {
    context.arc(0, 0, radius, 0, 2 * Math.PI);
  }
  if (symbol !== "x") context.fill();
  if (context.lineWidth && (line || symbol === "x")) context.stroke();
  return stamp;
}

function outline(context, corners, turned, radius) {
  for (let corner = 0; corner < corners; corner++) {
    const angle = ((corner + turned) / corners - 0.25) * 2 * Math.PI;
    context.lineTo(radius(corner) * Math.cos(angle), radius(corner) * Math.sin(angle));
  }
  context.closePath();
}

function drawLasso(context, lasso, scale, color) {
  Object.assign(context, { globalAlpha: 1, strokeStyle: color, lineWidth: 1.5 * scale });
  context.setLineDash([4 * scale, 3 * scale]);
  context.beginPath();
  lasso.forEach(([left, top]) => context.lineTo(left * scale, top * scale));
  context.closePath();
  context.stroke();
}

function redraw(chart) {
  if (chart.redrawing) return;
  chart.redrawing = requestAnimationFrame(() => {
    chart.redrawing = 0;
    if (!chart.points || !chart.box.isConnected) return;
    const { x, y } = view(chart.points);
    // Plotly's names and lines go with the points
    if (chart.points.moved) window.Plotly.relayout(chart.box, { "xaxis.range": [...x], "yaxis.range": [...y] });
    chart.points.moved = false;
    showPoints(chart);
  });
}

// ---- the pointer ----------------------------------------------------------------------------------------------------

function buildPoints(chart) {
  const { box, points } = chart;
  points.canvas = Object.assign(document.createElement("canvas"), { className: "live-chart-points" });
  points.tip = Object.assign(document.createElement("div"), { className: "live-chart-tip", hidden: true });
  points.image = points.tip.appendChild(Object.assign(document.createElement("img"), { alt: "" }));
  points.words = points.tip.appendChild(document.createElement("span"));
  const bar = Object.assign(document.createElement("div"), { className: "live-chart-tools" });
  bar.setAttribute("role", "toolbar");
  points.tools = TOOLS.map(([name, title, path]) => tool(chart, bar, name, title, path));
  points.parts = [points.canvas, bar, points.tip];
  const acts = { pointerdown: press, pointermove: move, pointerup: lift, pointercancel: drop, pointerleave: leaveTip };
  for (const [type, act] of Object.entries(acts)) box.addEventListener(type, (event) => act(chart, event));
  box.addEventListener("dblclick", (event) => isOnPoints(chart, event) && chart.pick({}));
}

function tool(chart, bar, name, title, path) {
  const button = Object.assign(document.createElement("button"), { type: "button", title });
  button.setAttribute("aria-label", title);
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
  const toggles = name === "lasso" || name === "move";
  if (toggles) button.setAttribute("aria-pressed", chart.points.mode === name);
  button.addEventListener("click", () => {
    const { points } = chart;
    if (name === "whole") return zoomTo(chart, null);
    if (!toggles) return zoomBy(chart, name === "in" ? 1 / ZOOM : ZOOM);
    points.mode = points.mode === name && TOUCH ? "" : name;
    TOOLS.forEach(([other], i) => i < 2 && points.tools[i].setAttribute("aria-pressed", points.mode === other));
    redraw(chart);
  });
  bar.append(button);
  return button;
}

// [x, y] of an event in pixels of the canvas.
function onCanvas({ canvas }, { clientX, clientY }) {
  const { left, top } = canvas.getBoundingClientRect();
  return [clientX - left, clientY - top];
}

function isOnPoints({ points }, event) {
  if (!points || event.target.closest?.(".live-chart-tools")) return false;
  const [x, y] = onCanvas(points, event);
  return x >= 0 && y >= 0 && x <= points.width && y <= points.height;
}

// The point that is nearest to the pointer, drawn above its equals.
function pointed({ points }, event) {
  const [left, top] = onCanvas(points, event);
  const { x, y } = view(points);
  const [perX, perY] = [points.width / (x[1] - x[0]), points.height / (y[1] - y[0])];
  let found = null;
  let least = REACH_PX ** 2;
  for (const trace of points.traces) {
    for (let i = 0; i < trace.x.length; i++) {
      const distance = ((trace.x[i] - x[0]) * perX - left) ** 2 + ((y[1] - trace.y[i]) * perY - top) ** 2;
      if (distance <= least) [found, least] = [{ trace, i }, distance];
    }
  }
  return found;
}

const customOf = ({ trace, i }) => [...trace.custom.slice(i * trace.columns, (i + 1) * trace.columns)];

function press(chart, event) {
  const { points, box } = chart;
  if (event.button || !event.isPrimary || !isOnPoints(chart, event)) return;
  points.pressed = { id: event.pointerId, at: onCanvas(points, event), from: view(points), dragged: false };
  if (points.mode) box.setPointerCapture(event.pointerId);
  if (points.mode === "lasso") points.drawn = [points.pressed.at];
}

function move(chart, event) {
  const { points } = chart;
  if (!points) return;
  const { pressed } = points;
  if (pressed?.id !== event.pointerId) return isOnPoints(chart, event) ? showTip(chart, event) : hideTip(chart);
  const at = onCanvas(points, event);
  pressed.dragged ||= Math.hypot(at[0] - pressed.at[0], at[1] - pressed.at[1]) > DRAG_PX;
  if (!pressed.dragged || !points.mode) return;
  hideTip(chart);
  if (points.mode === "lasso") {
    points.drawn.push(at);
    points.lasso = points.drawn;
    redraw(chart);
    return;
  }
  const { x, y } = pressed.from;
  const shift = (range, share) => range.map((end) => end + share * (range[1] - range[0]));
  zoomTo(chart, {
    x: shift(x, (pressed.at[0] - at[0]) / points.width),
    y: shift(y, (at[1] - pressed.at[1]) / points.height),
  });
}

function lift(chart, event) {
  const { points } = chart;
  if (points?.pressed?.id !== event.pointerId) return;
  const { dragged } = points.pressed;
  const lasso = points.lasso;
  drop(chart, event);
  if (lasso?.length > 2) {
    const { x, y } = view(points);
    const [perX, perY] = [(x[1] - x[0]) / points.width, (y[1] - y[0]) / points.height];
    chart.pick({ lasso: lasso.map(([left, top]) => [x[0] + left * perX, y[1] - top * perY]) });
    return;
  }
  const found = dragged ? null : pointed(chart, event);
  if (event.pointerType !== "mouse" && !dragged) showTip(chart, event); // nothing hovers there
  if (found?.trace.columns) chart.pick({ point: customOf(found) });
}

function drop(chart, event) {
  const { points } = chart;
  if (points?.pressed?.id !== event.pointerId) return;
  points.pressed = points.lasso = null;
  redraw(chart);
}

const leaveTip = (chart, event) => event.pointerType === "mouse" && hideTip(chart);

function showTip(chart, event) {
  const { points, data, width } = chart;
  const found = pointed(chart, event);
  if (!found) return hideTip(chart);
  const { tip, image, words } = points;
  const custom = found.trace.columns ? customOf(found) : [];
  words.textContent = said(found, custom);
  const source = data.images && custom.length ? address(`${data.images}/${custom[0]}.png`) : "";
  if (image.dataset.source !== source) {
    image.dataset.source = source;
    image.removeAttribute("src"); // or the one before would show until this one has come
    if (source) image.src = source;
    image.hidden = !source;
  }
  tip.hidden = false;
  const [left, top] = onCanvas(points, event);
  const [x, y] = [left + points.margin.l, top + points.margin.t];
  const { offsetWidth, offsetHeight } = tip;
  tip.style.left = `${Math.max(0, Math.min(x - offsetWidth / 2, width - offsetWidth))}px`;
  tip.style.top = `${y - offsetHeight - 14 >= 0 ? y - offsetHeight - 14 : y + 18}px`;
}

// The template of Plotly's own labels, as far as figures/projection.py uses it.
function said({ trace, i }, custom) {
  return trace.template
    .replace("<extra></extra>", "")
    .replace(/%\{customdata\[(\d)\](:\.1%)?\}/g, (_, n, share) => (share ? `${(100 * custom[n]).toFixed(1)}%` : custom[n]))
    .replace("%{text}", () => trace.text?.[i] ?? "")
    .replaceAll("&lt;", "<")
    .replaceAll("&amp;", "&");
}

function hideTip({ points }) {
  if (points?.tip) points.tip.hidden = true;
}

// ---- zoom -----------------------------------------------------------------------------------------------------------

function zoomBy(chart, factor) {
  const { x, y } = view(chart.points);
  const about = ([low, high]) => [1, -1].map((side) => (low + high) / 2 - (side * factor * (high - low)) / 2);
  zoomTo(chart, { x: about(x), y: about(y) });
}

function zoomTo(chart, zoomed) {
  Object.assign(chart.points, { zoomed, moved: true });
  redraw(chart);
}
