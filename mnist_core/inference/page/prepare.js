"use strict";
// A drawing → the 28×28 image that the model reads, as mnist_core/drawing/preprocess.py makes it of a clean canvas.
// An image is {data: Float32Array, height, width} with values from 0 to 1.

const picture = (data, height, width) => ({ data, height, width });

function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = (sorted.length - 1) * share, low = Math.floor(place), high = Math.ceil(place);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}

const clip = (value, low, high) => Math.min(Math.max(value, low), high);

function roundHalfEven(value) {
  const low = Math.floor(value), rest = value - low;
  return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low + (low % 2 === 0 ? 0 : 1);
}

// Connected pieces of a mask: {labels, areas}, areas[n - 1] of the piece n; 0 is the ground.
function pieces(mask, height, width, diagonal) {
  const labels = new Int32Array(mask.length), areas = [], stack = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start]) continue;
    areas.push(0);
    labels[start] = areas.length;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop(), y = Math.floor(place / width), x = place % width;
      areas[areas.length - 1]++;
      for (let i = -1; i <= 1; i++) {
        for (let j = -1; j <= 1; j++) {
          if ((!i && !j) || (i && j && !diagonal)) continue;
          const next = place + i * width + j;
          if (y + i < 0 || y + i >= height || x + j < 0 || x + j >= width || !mask[next] || labels[next]) continue;
          labels[next] = areas.length;
          stack.push(next);
        }
      }
    }
  }
  return { labels, areas };
}

function grown(mask, height, width, times) {
  for (; times > 0; times--) {
    const before = mask;
    mask = before.map((on, place) => {
      const y = Math.floor(place / width), x = place % width;
      return on || (y > 0 && before[place - width]) || (y < height - 1 && before[place + width]) ||
        (x > 0 && before[place - 1]) || (x < width - 1 && before[place + 1]) ? 1 : 0;
    });
  }
  return mask;
}

function withoutSpecks(ink) {
  const { labels, areas } = pieces(ink.data.map((v) => (v > 0.25 ? 1 : 0)), ink.height, ink.width, true);
  const most = Math.max(0, ...areas), all = areas.reduce((a, b) => a + b, 0);
  if (!most || most < 0.1 * all) return null;
  if (areas.length === 1) return ink;
  const specks = grown(Uint8Array.from(labels, (n) => (n && areas[n - 1] < 0.04 * most ? 1 : 0)), ink.height, ink.width, 2);
  return picture(ink.data.map((v, place) => (specks[place] ? 0 : v)), ink.height, ink.width);
}

function inkOf(canvas) {
  const peak = 255 * canvas.data.reduce((a, b) => Math.max(a, b), 0);
  if (peak < 20) return null;
  const full = percentile(canvas.data.filter((v) => 255 * v > 0.5 * peak), 0.9);
  if (255 * full < 20) return null;
  let half = 0, whole = 0;
  for (const v of canvas.data) {
    if (v > 0.6 * full) whole++;
    else if (v > 0.25 * full) half++;
  }
  if (half > 2 * whole) return null;
  return withoutSpecks(picture(canvas.data.map((v) => clip(v / full, 0, 1)), canvas.height, canvas.width));
}

function cropped(ink) {
  let [top, bottom, left, right] = [Infinity, -1, Infinity, -1];
  ink.data.forEach((v, place) => {
    if (v <= Math.fround(0.2)) return;
    const y = Math.floor(place / ink.width), x = place % ink.width;
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  });
  const height = bottom - top + 1, width = right - left + 1, data = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * ink.width + left;
    data.set(ink.data.subarray(from, from + width), y * width);
  }
  return picture(data, height, width);
}

function padded(ink, rows, columns) {
  const height = ink.height + 2 * rows, width = ink.width + 2 * columns, data = new Float32Array(height * width);
  for (let y = 0; y < ink.height; y++) {
    data.set(ink.data.subarray(y * ink.width, (y + 1) * ink.width), (rows + y) * width + columns);
  }
  return picture(data, height, width);
}

// Pillow's resampling of one axis from `low` to `high` of `inputs` pixels: for each output, the first input and weights.
function windows(inputs, low, high, outputs, box) {
  const scale = (high - low) / outputs, filterScale = Math.max(scale, 1), support = (box ? 0.5 : 2) * filterScale;
  return Array.from({ length: outputs }, (_, place) => {
    const centre = low + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(inputs, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let x = first; x < last; x++) weights.push((box ? boxWeight : cubicWeight)((x - centre + 0.5) / filterScale));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

const boxWeight = (x) => (x > -0.5 && x <= 0.5 ? 1 : 0);

function cubicWeight(x) {
  const a = -0.5, d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

function resized(ink, side) {
  const shape = [ink.height, ink.width], scale = side / Math.max(...shape);
  if (scale === 1) return ink;
  const size = shape.map((length) => Math.ceil(length * scale - 1e-6));
  const spare = shape.map((length, axis) => (size[axis] / scale - length) / 2);
  const pad = spare.map(Math.ceil);
  const whole = padded(ink, pad[0], pad[1]);
  const low = pad.map((p, axis) => Math.fround(Math.max(p - spare[axis], 0))); // Pillow takes them as 32-bit floats
  const high = pad.map((p, axis) => Math.fround(Math.min(p + shape[axis] + spare[axis], shape[axis] + 2 * p)));
  const box = scale < 1;
  const across = windows(whole.width, low[1], high[1], size[1], box);
  const down = windows(whole.height, low[0], high[0], size[0], box);
  const wide = new Float32Array(whole.height * size[1]);
  for (let y = 0; y < whole.height; y++) {
    across.forEach(({ first, weights }, x) => {
      let sum = 0;
      weights.forEach((w, n) => { sum += w * whole.data[y * whole.width + first + n]; });
      wide[y * size[1] + x] = sum;
    });
  }
  const data = new Float32Array(size[0] * size[1]);
  down.forEach(({ first, weights }, y) => {
    for (let x = 0; x < size[1]; x++) {
      let sum = 0;
      weights.forEach((w, n) => { sum += w * wide[(first + n) * size[1] + x]; });
      data[y * size[1] + x] = clip(sum, 0, 1);
    }
  });
  return picture(data, size[0], size[1]);
}

// The distance of each pixel of the mask to the nearest one outside it; 0 outside. Felzenszwalb and Huttenlocher,
// Distance Transforms of Sampled Functions, 2012.
function distances(mask, height, width) {
  const squares = Float64Array.from(mask, (on) => (on ? 1e12 : 0));
  const line = (start, step, length) => {
    const given = Array.from({ length }, (_, n) => squares[start + n * step]), at = [0], from = [-Infinity];
    for (let q = 1; q < length; q++) {
      const cross = (p) => (given[q] + q * q - given[p] - p * p) / (2 * q - 2 * p);
      let s = cross(at[at.length - 1]);
      while (s <= from[from.length - 1]) {
        at.pop();
        from.pop();
        s = cross(at[at.length - 1]);
      }
      at.push(q);
      from.push(s);
    }
    for (let q = 0, n = 0; q < length; q++) {
      while (n + 1 < at.length && from[n + 1] < q) n++;
      squares[start + q * step] = (q - at[n]) ** 2 + given[at[n]];
    }
  };
  for (let x = 0; x < width; x++) line(x, width, height);
  for (let y = 0; y < height; y++) line(y * width, 1, width);
  return squares.map(Math.sqrt);
}

const FINE = 4, NARROWEST = 1.9, WIDEST = 3.5; // stroke widths in px of 20, measured at 4 times that

function withStrokeWidth(digit) {
  const fine = padded(resized(digit, 20 * FINE), 3 * FINE, 3 * FINE), { height, width } = fine;
  const seen = fine.data.filter((v) => v > Math.fround(0.05));
  if (!seen.length) return digit;
  const level = 0.5 * percentile(seen, 0.9);
  const drawn = Uint8Array.from(fine.data, (v) => (v > level ? 1 : 0));
  const inside = distances(drawn, height, width);
  const within = inside.filter((d) => d > 0);
  const measured = (4 * (within.reduce((a, b) => a + b, 0) / within.length - 0.5)) / FINE;
  const wanted = clip(measured, NARROWEST, WIDEST);
  if (wanted === measured) return digit;
  let grow = (FINE * 10 * (wanted - measured)) / (20 - wanted);
  const outside = distances(drawn.map((on) => 1 - on), height, width);
  const edge = inside.map((d, place) => d - outside[place] - Math.sign(d - outside[place]) / 2);
  const whole = pieces(drawn, height, width, false).areas.length;
  const count = () => pieces(Uint8Array.from(edge, (d) => (d + grow > 0 ? 1 : 0)), height, width, false).areas.length;
  while (grow < 0 && count() !== whole) grow = grow < -0.5 ? grow / 2 : 0;
  return cropped(picture(Float32Array.from(edge, (d) => clip(d + grow + 0.5, 0, 1)), height, width));
}

function centred(digit) {
  const { height, width, data } = digit;
  let [mass, rows, columns, most] = [0, 0, 0, 0];
  data.forEach((v, place) => {
    mass += v;
    rows += v * Math.floor(place / width);
    columns += v * (place % width);
    most = Math.max(most, v);
  });
  const top = clip(roundHalfEven(14 - rows / mass), 0, 28 - height);
  const left = clip(roundHalfEven(14 - columns / mass), 0, 28 - width);
  const out = new Uint8Array(28 * 28);
  data.forEach((v, place) => {
    out[(top + Math.floor(place / width)) * 28 + left + (place % width)] = roundHalfEven(255 * Math.fround(v / most));
  });
  return out;
}

// The light of a canvas, 0 to 255 a pixel → Uint8Array of 28×28 pixels, light on dark; null where nothing is drawn.
function prepare(light, height, width) {
  const ink = inkOf(picture(Float32Array.from(light, (level) => level / 255), height, width));
  return ink && centred(resized(withStrokeWidth(cropped(ink)), 20));
}
