// Draws a Plotly figure, or a progress bar with its words, and moves the same picture to each newer one. Called by
// Streamlit on mount, on every change of data and on every change of theme; see chart.py for why this exists.
// Between these calls a chart with a feed hears of newer figures by itself (server/curves.py). Only Plotly's public
// functions are used: its own nodes and properties may change with any release.

const charts = new WeakMap(); // parentElement → chart: survives between calls, goes when the element goes
const feeds = new Map(); // URL → feed: one for all charts that show figures from it
const LEAVING_MS = 500;
const REFUSALS = 3; // in a row, after which the page has to bring the figures
const REFUSED_MS = 1000;

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

const CURVES = "mnist-lab-curves"; // now is the moment to draw what may be drawn with them (frames.js)
const NEAR = { rootMargin: "200px", scrollMargin: "200px" }; // what is about to be seen is drawn, too

const NARROW = 520; // pixels; a legend beside the curves would leave them less than half of a phone
const LEGEND_BELOW = { orientation: "h", x: 0, yref: "container", y: 0, yanchor: "bottom", xanchor: "left" };

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".live-chart");
  if (!box || !data) return;
  const chart = charts.get(parentElement) ?? mount(parentElement, box);
  chart.data = data;
  chart.theme = null; // this call may be due to another one
  chart.rerun = () => setTriggerValue("changed", true);
  chart.closed = () => setTriggerValue("closed", true);
  chart.pick = (picked) => setTriggerValue("picked", picked);
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
  const chart = { box, data: null, given: null, feed: null, frame: 0, drawn: null, draws: 0, inView: true };
  chart.width = box.clientWidth; // to ask for it at each drawing would have the browser lay out the page each time
  box.dataset.testid = "live-chart";
  box.dataset.draws = 0;
  box.setAttribute("role", "figure");
  chart.observer = new ResizeObserver(() => {
    chart.width = box.clientWidth;
    schedule(chart);
  });
  chart.observer.observe(box);
  chart.sight = new IntersectionObserver((entries) => {
    chart.inView = entries.at(-1).isIntersecting;
    if (chart.inView && chart.stale) schedule(chart);
  }, NEAR);
  chart.sight.observe(box);
  charts.set(parentElement, chart);
  return chart;
}

function unmount(parentElement) {
  const chart = charts.get(parentElement);
  if (!chart) return;
  charts.delete(parentElement);
  leave(chart);
  cancelAnimationFrame(chart.frame);
  chart.observer.disconnect();
  chart.sight.disconnect();
  if (chart.drawn) window.Plotly.purge(chart.box);
}

function follow(chart, path) {
  const url = path && address(path);
  if (chart.feed?.url !== url) {
    leave(chart);
    chart.feed = url ? (feeds.get(url) ?? makeFeed(url)) : null;
    chart.feed?.charts.add(chart);
  }
  if (chart.feed) listen(chart.feed);
}

function leave(chart) {
  const { feed } = chart;
  feed?.charts.delete(chart);
  // a page that is made anew has other charts of the same feed in a moment
  if (feed) setTimeout(() => feed.charts.size || closeFeed(feed), LEAVING_MS);
}

function makeFeed(url) {
  const feed = { url, charts: new Set(), newest: null, told: null, source: null, refusals: 0 };
  feed.onVisible = () => (document.hidden ? pause(feed) : listen(feed));
  document.addEventListener("visibilitychange", feed.onVisible);
  feeds.set(url, feed);
  return feed;
}

function closeFeed(feed) {
  document.removeEventListener("visibilitychange", feed.onVisible);
  pause(feed);
  feeds.delete(feed.url);
}

// One connection a page, as a browser opens six to a server at most; none while nobody sees the page.
function listen(feed) {
  if (feed.source || document.hidden || !feed.charts.size) return;
  feed.source = new EventSource(feed.url);
  feed.source.onmessage = ({ data }) => take(feed, JSON.parse(data));
  feed.source.addEventListener("closed", () => pause(feed)); // the run has ended
  feed.source.onerror = ({ target }) => {
    if (target.readyState !== EventSource.CLOSED) return; // the connection was lost: the browser connects again
    pause(feed);
    feed.refusals += 1;
    if (feed.refusals < REFUSALS) setTimeout(listen, REFUSED_MS, feed);
    else first(feed)?.closed();
  };
}

function pause(feed) {
  feed.source?.close();
  feed.source = null;
}

const first = ({ charts: [chart] }) => chart;

// Every message is all there is to show, so one that was missed is not missing.
function take(feed, found) {
  feed.refusals = 0;
  feed.newest = found;
  const chart = first(feed);
  if (chart && found.state !== chart.data.state && found.state !== feed.told) chart.rerun();
  feed.told = found.state;
  // what nobody sees is not drawn anew: that costs the training as much as what is seen
  for (const each of feed.charts) each.inView || !each.drawn ? schedule(each) : (each.stale = true);
  if (![...feed.charts].some(({ frame }) => frame)) document.dispatchEvent(new Event(CURVES));
}

// However many figures arrive before the next frame, one is drawn: the newest. So it is with those that arrive while
// one is drawn.
function schedule(chart) {
  chart.stale = true;
  if (chart.frame) return;
  chart.frame = requestAnimationFrame(async () => {
    chart.stale = false;
    if (chart.data.progress) return drawProgress(chart);
    document.dispatchEvent(new Event(CURVES));
    try {
      if (!chart.data.points && !chart.data.feed) await pageAtRest(); // empty axes can wait
      const Plotly = await loadPlotly(chart.data.plotly);
      if (chart.box.isConnected) await draw(Plotly, chart);
    } catch (error) {
      showMessage(chart, error);
    } finally {
      chart.frame = 0;
      if (chart.stale) schedule(chart);
    }
  });
}

function newest({ given, feed, data }) {
  const fed = feed?.newest?.figures[data.key];
  if (!fed || feed.newest.time < given.time) return given;
  return { points: fed.points, progress: fed.progress, spec: fed.figure };
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

// All of a figure but where its curves are, as text.
function frameOf({ data, width }, spec, theme) {
  // a trace enters the legend with its first point, so whether it has any belongs to the frame
  const looks = spec.data.map(({ x, y, ...rest }) => [rest, isEmpty(y)]);
  return JSON.stringify([theme, width, data.height, spec.layout, looks]);
}

async function draw(Plotly, chart) {
  const { box, data, width } = chart;
  if (!width) return; // in a closed tab or expander: the ResizeObserver calls again when it opens
  const { spec, points } = newest(chart);
  const theme = (chart.theme ??= readTheme(box));
  const frame = frameOf(chart, spec, theme);
  const before = chart.drawn;
  const kept = before?.frame === frame;
  const traces = spec.data.flatMap((trace, i) => (kept && isSame(trace, before.spec.data[i]) ? [] : [i]));
  if (kept && !traces.length) return;
  // To animate a curve that the legend hides would take the others away; points are drawn as a whole.
  const seen = kept && traces.every((i) => (box.data[i].visible ?? true) === true && !isGl(spec.data[i]));
  if (seen && data.feed && traces.every((i) => isUnmoved(box, before.spec.data[i], spec.data[i]))) return;
  if (!before) box.replaceChildren();
  chart.drawn = { frame, spec };

  if (seen) {
    // Only these curves are drawn anew, at half of the cost: the axes stay, zoomed or not.
    const lines = traces.map((i) => ({ x: spec.data[i].x, y: spec.data[i].y }));
    await Plotly.animate(box, { data: lines, traces }, AT_ONCE);
  } else {
    const own = structuredClone(spec); // Plotly writes into what it is given, and this figure is compared with the next
    const layout = { ...own.layout, template: template(theme), width, height: data.height };
    layout.uirevision ??= data.key;
    if (width < NARROW) layout.legend = { ...layout.legend, ...LEGEND_BELOW };
    delete layout.transition;
    nameTraces(own.data);
    box.setAttribute("aria-label", data.alt || layout.title?.text || data.key);
    takePoints(chart, { data: own.data, layout });
    await Plotly.react(box, own.data, layout, configOf(data));
    listenForPicks(chart);
    showPoints(chart);
  }
  box.dataset.points = points;
  box.dataset.draws = ++chart.draws;
}

const isSame = (one, other) => one === other || sameNumbers(one.x, other.x) && sameNumbers(one.y, other.y);

const isEmpty = (numbers) => !(Array.isArray(numbers) ? numbers.length : numbers?.bdata);

// Whether a curve ends within a pixel of where it is drawn: in a long training it takes seconds until one would see it
// move. Less of one is drawn as soon as there is more, or the training has ended.
function isUnmoved({ _fullLayout: { xaxis, yaxis } }, drawn, newer) {
  const moved = (axis, one, other) => Math.abs(axis.d2p(other.at(-1)) - axis.d2p(one.at(-1)));
  const lists = [drawn.x, drawn.y, newer.x, newer.y].every((list) => Array.isArray(list) && list.length);
  return lists && moved(xaxis, drawn.x, newer.x) < 1 && moved(yaxis, drawn.y, newer.y) < 1;
}

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

// plotly.js takes a browser up to a second, in which no button answers: it comes after the rest of a first page, unless
// something else needs it. The page is at rest when timers are no longer late.
async function pageAtRest() {
  for (let calm = 0, tries = 0; calm < 10 && tries < 100 && !window.mnistLabPlotly; tries += 1) {
    const asked = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 50));
    calm = performance.now() - asked < 70 ? calm + 1 : 0;
  }
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
