// Draws a Plotly figure, or a progress bar with its words, and keeps moving the same picture to the newest one. Called
// by Streamlit on mount, on every change of data and on every change of theme; see chart.py for why this exists.
// Between these calls a chart with a feed fetches newer figures by itself (feed.py).

const charts = new WeakMap(); // parentElement → chart: survives between calls, goes when the element goes
const feeds = new Map(); // URL → feed: one for all charts that show figures from it
const beginnings = new WeakMap(); // trace → [the longer trace that it begins, how many of that one's points it has]
const placed = new WeakMap(); // trace → where its points are on the axes, as text
const DRAW_MS = 235; // from one drawing to the next: four a second and a bit
const FETCH_MS = 1000; // a fetch costs as much as three drawings: its points are drawn as they come, one after another
const BRISK_MS = 3000; // at the beginning and after a change of state every drawing has its own fetch
const WHOLE_MS = 60000; // at least this often Plotly itself draws, which costs as much as twenty moves of a curve,
const WHOLE_HOVERED_MS = 1000; // and sooner under the mouse, to which it shows what it has drawn itself

const TOUCH = matchMedia("(pointer: coarse)").matches;
const CONFIG = {
  displaylogo: false,
  showSendToCloud: false, // on by default since plotly.js 4, and would post the figure to somebody's server
  plotlyServerURL: "",
  displayModeBar: TOUCH ? false : "hover", // nothing hovers on a phone, so there it would stay over the title
  modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
  showTips: false,
  scrollZoom: false, // the wheel belongs to the page
  responsive: false, // Plotly only watches the window; the ResizeObserver below watches the column
};

const AT_ONCE = { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: 0 } };

const NARROW = 520; // pixels; a legend beside the curves would leave them less than half of a phone
const LEGEND_BELOW = { orientation: "h", x: 0, yref: "container", y: 0, yanchor: "bottom", xanchor: "left" };

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".live-chart");
  if (!box || !data) return;
  const chart = charts.get(parentElement) ?? mount(parentElement, box);
  chart.data = data;
  chart.theme = null; // this call may be due to another one
  chart.rerun = () => setTriggerValue("changed", true);
  chart.given = { time: data.time, points: data.points, spec: JSON.parse(data.figure), progress: data.progress };
  follow(chart, data.feed);
  box.dataset.key = data.key;
  box.style.height = `${data.height}px`;
  schedule(chart);
  // Streamlit also runs this when a newer figure overtakes the one before it, with the chart still on the page.
  // Only an element that has left the document is really gone.
  return () => setTimeout(() => box.isConnected || unmount(parentElement), 0);
}

function mount(parentElement, box) {
  const chart = { box, data: null, given: null, feed: null, frame: 0, drawn: null, draws: 0, observer: null };
  chart.width = box.clientWidth; // to ask for it at each drawing would have the browser lay out the page each time
  chart.stretched = new Set(); // traces that are ahead of what Plotly itself has drawn
  box.dataset.testid = "live-chart";
  box.dataset.draws = 0;
  box.setAttribute("role", "figure");
  chart.observer = new ResizeObserver(() => {
    chart.width = box.clientWidth;
    schedule(chart);
  });
  chart.observer.observe(box);
  charts.set(parentElement, chart);
  return chart;
}

function unmount(parentElement) {
  const chart = charts.get(parentElement);
  if (!chart) return;
  charts.delete(parentElement);
  follow(chart, null);
  cancelAnimationFrame(chart.frame);
  clearTimeout(chart.later);
  chart.observer.disconnect();
  if (chart.drawn) window.Plotly.purge(chart.box);
}

function follow(chart, path) {
  const url = path && address(path);
  if (chart.feed?.url === url) return;
  chart.feed?.charts.delete(chart);
  chart.feed = url ? (feeds.get(url) ?? openFeed(url)) : null;
  chart.feed?.charts.add(chart);
}

function openFeed(url) {
  const feed = { url, charts: new Set(), newest: null, before: null, told: null, due: 0, arrived: 0, pace: DRAW_MS };
  feed.briskUntil = performance.now() + BRISK_MS;
  feeds.set(url, feed);
  const next = async () => {
    if (!feed.charts.size) return feeds.delete(url);
    const begun = performance.now();
    if (!document.hidden) {
      if (begun >= feed.due) await fetchNewest(feed);
      feed.charts.forEach(schedule);
    }
    setTimeout(next, Math.max(50, DRAW_MS - (performance.now() - begun)));
  };
  setTimeout(next, 0);
  return feed;
}

// While a feed does not answer, the figures that Streamlit sends are shown.
async function fetchNewest(feed) {
  let found;
  try {
    const answer = await fetch(feed.url, { cache: "no-store", signal: AbortSignal.timeout(2000) });
    if (answer.status === 404) return lose(feed);
    if (!answer.ok) return;
    found = await answer.json();
  } catch {
    return;
  }
  if (found.time === feed.newest?.time) return; // asked too early: again at the next drawing
  const now = performance.now();
  if (found.state !== feed.newest?.state) feed.briskUntil = now + BRISK_MS;
  feed.due = now < feed.briskUntil ? 0 : now + FETCH_MS - DRAW_MS / 2;
  feed.pace = Math.min(Math.max(now - feed.arrived, DRAW_MS), 1.5 * FETCH_MS);
  feed.arrived = now;
  feed.before = feed.newest;
  feed.newest = found;
  const [first] = feed.charts;
  if (first && found.state !== first.data.state && found.state !== feed.told) first.rerun();
  feed.told = found.state;
}

// It ended while this page was out of sight, or with its server: the page is asked for another, once.
function lose(feed) {
  const [first] = feed.charts;
  if (first && !feed.lost) first.rerun();
  feed.lost = true;
}

// However many figures arrive before the next frame, one is drawn: the newest.
function schedule(chart) {
  if (chart.frame) return;
  chart.frame = requestAnimationFrame(async () => {
    if (chart.data.progress) return drawProgress(chart);
    try {
      const Plotly = await loadPlotly(chart.data.plotly);
      if (chart.box.isConnected) await draw(Plotly, chart);
    } catch (error) {
      showMessage(chart, error);
    } finally {
      chart.frame = 0;
    }
  });
}

function newest({ given, feed, data }) {
  const fed = feed?.newest?.figures[data.key];
  if (!fed || feed.newest.time < given.time) return given;
  const { points, progress, figure: spec } = fed;
  const before = feed.before?.figures[data.key];
  // How much of what is new is due: it came at once, and is shown over the time until more comes.
  const due = Math.min(1, (performance.now() - feed.arrived + DRAW_MS) / feed.pace);
  if (!before || due === 1) return { points, progress, spec };
  if (progress) return { progress: { ...progress, share: between(before.progress?.share, progress.share, due) } };
  const ends = new Map(before.figure.data.map((trace) => [trace.name, trace.x.at?.(-1)]));
  const traces = spec.data.map((trace) => upTo(trace, between(ends.get(trace.name), trace.x.at?.(-1), due)));
  return { points, spec: { ...spec, data: traces }, whole: spec };
}

const between = (from, to, share) => (from < to ? from + share * (to - from) : to);

// The plain line `trace` as far as x = `end`.
function upTo(trace, end) {
  if (trace.mode !== "lines" || !Array.isArray(trace.x) || !(end < trace.x.at(-1))) return trace;
  const count = trace.x.findIndex((x) => x > end);
  if (count < 1) return trace;
  const share = (end - trace.x[count - 1]) / (trace.x[count] - trace.x[count - 1]);
  const last = trace.y[count - 1] + share * (trace.y[count] - trace.y[count - 1]);
  const beginning = { ...trace, x: [...trace.x.slice(0, count), end], y: [...trace.y.slice(0, count), last] };
  beginnings.set(beginning, [trace, count]);
  return beginning;
}

function drawProgress(chart) {
  const { box } = chart;
  const { share, text } = newest(chart).progress;
  chart.frame = 0;
  if (!box.querySelector("progress")) {
    box.dataset.testid = "live-progress";
    box.removeAttribute("role");
    box.replaceChildren(document.createElement("label"), document.createElement("progress"));
  }
  const [words, bar] = box.children;
  if (words.textContent !== text) {
    words.textContent = text;
    bar.setAttribute("aria-label", text);
  }
  if (Math.abs(bar.value - share) * chart.width >= 1) bar.value = share; // what moves by less is not seen
}

// All of a figure but where its curves are, as text: made anew only for another figure.
function frameOf(chart, spec, theme) {
  const from = [spec, theme, chart.width, chart.data.height];
  if (!chart.frameFrom?.every((part, i) => part === from[i])) {
    // a trace enters the legend with its first point, so whether it has any belongs to the frame
    const looks = spec.data.map(({ x, y, ...rest }) => [rest, isEmpty(y)]);
    chart.frameFrom = from;
    chart.frameText = JSON.stringify([...from.slice(1), spec.layout, looks]);
  }
  return chart.frameText;
}

async function draw(Plotly, chart) {
  const { box, data, width } = chart;
  if (!width) return; // in a closed tab or expander: the ResizeObserver calls again when it opens
  const { spec, points, whole } = newest(chart);
  const theme = (chart.theme ??= readTheme(box));
  const frame = frameOf(chart, whole ?? spec, theme);
  const kept = chart.drawn?.frame === frame;
  const moved = spec.data.flatMap((trace, i) => (kept && isSame(trace, chart.drawn.spec.data[i]) ? [] : [i]));
  const since = performance.now() - chart.whole;
  const soon = chart.feed && since < (box.matches(":hover") ? WHOLE_HOVERED_MS : WHOLE_MS);
  if (kept && !moved.length && (soon || !chart.stretched.size)) return;
  if (!chart.drawn) box.replaceChildren();
  chart.drawn = { frame, spec };

  if (kept && soon && moved.every((i) => stretch(box, spec.data[i], i))) {
    moved.forEach((i) => chart.stretched.add(i));
    // Were this the last figure, Plotly would never learn of it: not under the mouse, not when one zooms.
    chart.later ||= setTimeout(() => {
      chart.later = 0;
      schedule(chart);
    }, WHOLE_MS - since + 50);
  } else if (kept) {
    removeAhead(box);
    // Only the curves are drawn anew, at half of the cost: the axes stay, zoomed or not.
    const traces = [...new Set([...moved, ...chart.stretched])];
    const lines = traces.map((i) => ({ x: spec.data[i].x, y: spec.data[i].y }));
    chart.stretched.clear();
    await Plotly.animate(box, { data: lines, traces }, AT_ONCE);
    chart.whole = performance.now();
  } else {
    removeAhead(box);
    chart.stretched.clear();
    const own = structuredClone(spec); // Plotly writes into what it is given, and this figure may be drawn again
    const layout = { ...own.layout, template: template(theme), width, height: data.height };
    layout.uirevision ??= data.key;
    if (width < NARROW) layout.legend = { ...layout.legend, ...LEGEND_BELOW };
    delete layout.transition;
    nameTraces(own.data);
    box.setAttribute("aria-label", layout.title?.text ?? data.key);
    await Plotly.react(box, own.data, layout, CONFIG);
    chart.whole = performance.now();
  }
  box.dataset.points = points;
  box.dataset.draws = ++chart.draws;
}

// Moves a line and its markers on Plotly's own axes, at a tenth of what Plotly takes. False for anything else.
function stretch(box, trace, index) {
  const marked = trace.mode === "lines+markers";
  if ((!marked && trace.mode !== "lines") || !Array.isArray(trace.x) || box._dragging) return false;
  const layer = [...box.querySelectorAll(".scatterlayer > .trace")];
  const group = layer.find((g) => g.__data__?.[0]?.trace.index === index);
  const path = group?.querySelector("path.js-line");
  const { xaxis, yaxis } = box._fullLayout ?? {};
  if (!path || !xaxis?.c2p || !yaxis?.c2p) return false;
  const points = places(trace, xaxis, yaxis);
  if (marked) {
    const dots = [...group.querySelectorAll("path.point")];
    if (!dots.length || dots.length > points.length) return false;
    while (dots.length < points.length) {
      dots.push(dots[0].parentElement.appendChild(dots[0].cloneNode()));
      dots.at(-1).classList.add("ahead");
    }
    dots.forEach((dot, i) => dot.setAttribute("transform", `translate(${points[i]})`));
  }
  path.setAttribute("d", `M${points.join("L")}`);
  return true;
}

// The points of `trace` in pixels, as "x,y". Of one that only begins a longer one, all but the last are known from that.
function places(trace, xaxis, yaxis) {
  const place = (x, y) => `${xaxis.c2p(x).toFixed(1)},${yaxis.c2p(y).toFixed(1)}`;
  const [whole, count] = beginnings.get(trace) ?? [trace, trace.x.length];
  const axes = [xaxis, yaxis].map(({ range, _length }) => `${range} ${_length}`).join();
  if (placed.get(whole)?.axes !== axes) placed.set(whole, { axes, all: whole.x.map((x, i) => place(x, whole.y[i])) });
  const { all } = placed.get(whole);
  return whole === trace ? all : [...all.slice(0, count), place(trace.x[count], trace.y[count])];
}

// Plotly shall find its own markers alone.
const removeAhead = (box) => box.querySelectorAll("path.point.ahead").forEach((dot) => dot.remove());

const isSame = (one, other) => one === other || sameNumbers(one.x, other.x) && sameNumbers(one.y, other.y);

const isEmpty = (numbers) => !(Array.isArray(numbers) ? numbers.length : numbers?.bdata);

// Numbers travel as a list, or packed by Plotly as {dtype, bdata}.
function sameNumbers(one, other) {
  if (!Array.isArray(one) || !Array.isArray(other)) return JSON.stringify(one) === JSON.stringify(other);
  return one.length === other.length && one.every((value, i) => value === other[i]);
}

// Plotly remembers a hidden legend entry by the trace's uid, or else by its position, which shifts when one is added.
// It also makes class names of the uid, so only letters, digits and "_" may go in.
function nameTraces(traces) {
  const seen = new Map();
  for (const trace of traces) {
    const name = (trace.name ?? "").replace(/\W/gu, (character) => `_${character.codePointAt(0)}`);
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    trace.uid ??= `t_${name}_${count}`;
  }
}

function readTheme(element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(`--st-${name}`).trim();
  return {
    text: read("text-color"),
    background: read("background-color"),
    raised: read("secondary-background-color"),
    border: read("border-color"),
    grid: read("border-color-light") || read("border-color"),
    muted: read("gray-color"),
    font: read("font"),
    categorical: splitColors(read("chart-categorical-colors")),
    sequential: splitColors(read("chart-sequential-colors")),
  };
}

// Commas inside rgb(…) do not separate colours.
function splitColors(list) {
  return list.split(/,(?![^(]*\))/).map((color) => color.trim()).filter(Boolean);
}

// A template only fills in what the figure leaves open, so a figure can still insist on a colour of its own.
function template(theme) {
  const axis = {
    gridcolor: theme.grid,
    linecolor: theme.border,
    zerolinecolor: theme.border,
    automargin: true,
    ticklabeloverflow: "allow", // the default measures every label against the page: a third of a draw's time
  };
  const scale = theme.sequential.map((color, i, all) => [i / (all.length - 1), color]);
  return {
    layout: {
      paper_bgcolor: theme.background, // never seen (chart.css); Plotly picks contrasting colours by it
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: theme.text, family: theme.font, size: 13 },
      ...(theme.categorical.length > 1 && { colorway: theme.categorical }),
      ...(scale.length > 1 && { colorscale: { sequential: scale } }),
      hoverlabel: { bgcolor: theme.raised, bordercolor: theme.border, font: { color: theme.text }, namelength: -1 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.muted, activecolor: theme.text },
      margin: { l: 52, r: 16, t: 36, b: 40 },
      title: { x: 0, xanchor: "left" },
      legend: { bgcolor: "rgba(0,0,0,0)" },
      // A finger on a chart scrolls the page; it zooms only where there is a mouse.
      dragmode: TOUCH ? false : "zoom",
      xaxis: axis,
      yaxis: axis,
    },
    ...(scale.length > 1 && { data: { heatmap: [{ colorscale: scale, colorbar: { outlinewidth: 0 } }] } }),
  };
}

// Relative to the document, as Streamlit loads its own scripts: right below a base path and on a deep link.
function address(path) {
  return new URL(path, window.__streamlit?.BACKEND_BASE_URL ?? document.baseURI).href;
}

// One script for all charts of the page. A failure is forgotten after a while, so that a later figure tries again.
function loadPlotly(path) {
  window.mnistLabPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address(path);
    const fail = () => {
      setTimeout(() => (window.mnistLabPlotly = undefined), 5000);
      script.remove();
      reject(new Error(`plotly.js did not load from ${script.src}`));
    };
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : fail());
    script.onerror = fail;
    document.head.append(script);
  });
  return window.mnistLabPlotly;
}

function showMessage(chart, error) {
  const text = `The chart cannot be drawn: ${error.message}. Reload the page to try again.`;
  if (chart.box.textContent === text) return; // a figure every 100 ms must not read it out every 100 ms
  console.error(error);
  if (chart.drawn) window.Plotly.purge(chart.box);
  chart.drawn = null;
  const message = document.createElement("div");
  message.className = "live-chart-message";
  message.setAttribute("role", "alert");
  message.textContent = text;
  chart.box.replaceChildren(message);
}
