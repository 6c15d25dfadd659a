"use strict";
// A network of the lab's registry, layer by layer. A tensor is {data: Float32Array, shape: [C, H, W] or [F]}.

const tensor = (data, shape) => ({ data, shape });

function convolve(x, { out_channels, kernel_size: k, stride, padding, groups }, weight, bias) {
  const [channels, height, width] = x.shape;
  const rows = Math.floor((height + 2 * padding - k) / stride) + 1;
  const columns = Math.floor((width + 2 * padding - k) / stride) + 1;
  const data = new Float32Array(out_channels * rows * columns);
  const inputs = channels / groups, outputs = out_channels / groups;
  for (let o = 0; o < out_channels; o++) {
    const first = Math.floor(o / outputs) * inputs;
    const sums = new Float64Array(rows * columns).fill(bias ? bias[o] : 0);
    for (let c = 0; c < inputs; c++) {
      const map = (first + c) * height * width;
      for (let i = 0; i < k; i++) {
        for (let j = 0; j < k; j++) {
          const w = weight[((o * inputs + c) * k + i) * k + j];
          for (let r = 0; r < rows; r++) {
            const y = r * stride + i - padding;
            if (y < 0 || y >= height) continue;
            for (let q = 0; q < columns; q++) {
              const column = q * stride + j - padding;
              if (column >= 0 && column < width) sums[r * columns + q] += w * x.data[map + y * width + column];
            }
          }
        }
      }
    }
    data.set(sums, o * rows * columns);
  }
  return tensor(data, [out_channels, rows, columns]);
}

function normalise(x, weight, bias, mean, variance) {
  const size = x.data.length / x.shape[0];
  const data = x.data.map((value, place) => {
    const c = Math.floor(place / size);
    return ((value - mean[c]) / Math.sqrt(variance[c] + 1e-5)) * weight[c] + bias[c];
  });
  return tensor(data, x.shape);
}

function maxPool(x, { kernel_size: k, stride, padding }) {
  const [channels, height, width] = x.shape, step = stride || k;
  const rows = Math.floor((height + 2 * padding - k) / step) + 1;
  const columns = Math.floor((width + 2 * padding - k) / step) + 1;
  const data = new Float32Array(channels * rows * columns).fill(-Infinity);
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < rows; r++) {
      for (let q = 0; q < columns; q++) {
        const place = (c * rows + r) * columns + q;
        for (let i = 0; i < k; i++) {
          for (let j = 0; j < k; j++) {
            const y = r * step + i - padding, column = q * step + j - padding;
            if (y < 0 || y >= height || column < 0 || column >= width) continue;
            data[place] = Math.max(data[place], x.data[(c * height + y) * width + column]);
          }
        }
      }
    }
  }
  return tensor(data, [channels, rows, columns]);
}

function dense(x, weight, bias) {
  const data = Float32Array.from(bias, (sum, o) => {
    for (let i = 0; i < x.data.length; i++) sum += weight[o * x.data.length + i] * x.data[i];
    return sum;
  });
  return tensor(data, [data.length]);
}

function perChannel(x, measure) {
  const size = x.data.length / x.shape[0];
  return Array.from({ length: x.shape[0] }, (_, c) => measure(x.data.subarray(c * size, (c + 1) * size)));
}

const largest = (map) => map.reduce((a, b) => Math.max(a, b), -Infinity);
const meanOf = (map) => map.reduce((a, b) => a + b, 0) / map.length;

function erf(x) {
  // Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: within 1.5e-7
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const ACTIVATIONS = {
  ReLU: (x) => Math.max(x, 0),
  LeakyReLU: (x) => (x > 0 ? x : 0.01 * x),
  GELU: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  SiLU: (x) => x / (1 + Math.exp(-x)),
  Tanh: Math.tanh,
  ELU: (x) => (x > 0 ? x : Math.expm1(x)),
};

function run(layers, x, weights, prefix) {
  layers.forEach((layer, place) => {
    const name = `${prefix}${place}.`, named = (part) => weights[name + part];
    switch (layer.type) {
      case "Sequential": x = run(layer.layers, x, weights, name); break;
      case "Residual": {
        const change = run(layer.layers, x, weights, name);
        x = tensor(x.data.map((value, i) => value + change.data[i]), x.shape);
        break;
      }
      case "Conv2d": x = convolve(x, layer, named("weight"), named("bias")); break;
      case "BatchNorm1d":
      case "BatchNorm2d":
        x = normalise(x, named("weight"), named("bias"), named("running_mean"), named("running_var")); break;
      case "Activation": x = tensor(x.data.map(ACTIVATIONS[layer.kind]), x.shape); break;
      case "MaxPool2d": x = maxPool(x, layer); break;
      case "AdaptiveAvgPool2d": x = tensor(Float32Array.from(perChannel(x, meanOf)), [x.shape[0], 1, 1]); break;
      case "MaxMeanPool": {
        const pooled = [...perChannel(x, largest), ...perChannel(x, meanOf)];
        x = tensor(Float32Array.from(pooled), [pooled.length]);
        break;
      }
      case "Flatten": x = tensor(x.data, [x.data.length]); break;
      case "Linear": x = dense(x, named("weight"), named("bias")); break;
      case "Dropout": break; // does nothing outside training
      default: throw new Error(`There is no layer ${layer.type}.`);
    }
  });
  return x;
}

// A Uint8Array of 28×28 pixels → Float64Array of probabilities. A log-softmax before the temperature is a shift that
// the softmax takes away again, once its logits are divided: so it is computed as one.
function probabilities(model, image) {
  const pixels = Float32Array.from(image, (level) => (level / 255 - model.mean[0]) / model.std[0]);
  const answer = run(model.layers, tensor(pixels, [1, 28, 28]), model.weights, "net.");
  const logits = Array.from(answer.data, (value) => value / model.temperature);
  const highest = Math.max(...logits), odds = logits.map((value) => Math.exp(value - highest));
  const sum = odds.reduce((a, b) => a + b, 0);
  return Float64Array.from(odds, (value) => value / sum);
}
