// The lab's arithmetic: it knows no page, so that node can test it.

export const SIDE = 28;
const BOX = 20; // the square that MNIST's digits fill

function bytes(text) {
  const signs = atob(text);
  const found = new Uint8Array(signs.length);
  for (let i = 0; i < signs.length; i++) found[i] = signs.charCodeAt(i);
  return found;
}

// Return a payload with `array(name)`, which gives an array's bytes.
export async function opened(payload) {
  const packed = new Blob([bytes(payload.data)]).stream();
  const stream = packed.pipeThrough(new DecompressionStream("gzip"));
  const content = new Uint8Array(await new Response(stream).arrayBuffer());
  const array = (name) => {
    const [first, length] = payload.arrays[name];
    return content.slice(first, first + length); // its own buffer, so aligned
  };
  return { ...payload, array };
}

// Return a stored network's layers. Of row r the weights alive are numbers
// starts[r] to starts[r + 1] of `values`, in the columns that `columns` names.
export function network(lab, name) {
  const structure = lab.networks[name].masks;
  return lab.layers.map(([layer, rows, width]) => {
    const part = (what) => lab.array(`${name}/${layer}/${what}`);
    const floats = (what) => new Float32Array(part(what).buffer);
    const [scale] = floats("scale");
    const values = Float32Array.from(new Int8Array(part("values").buffer), (n) => n * scale);
    const mask = structure && lab.array(`${structure}/${layer}/mask`);
    const starts = new Uint32Array(rows + 1);
    const columns = new Uint16Array(values.length);
    let alive = 0;
    for (let place = 0; place < rows * width; place++) {
      if (!mask || mask[place >> 3] & (128 >> (place & 7))) columns[alive++] = place % width;
      if ((place + 1) % width === 0) starts[(place + 1) / width] = alive;
    }
    return { rows, width, starts, columns, values, bias: floats("bias"), masked: !!mask };
  });
}

// Return what a network makes of a picture (784 numbers from 0 to 1): the
// probability of each digit.
export function probabilities(lab, layers, picture) {
  let input = Float32Array.from(picture, (grey) => 255 * grey * lab.gain + lab.shift);
  layers.forEach(({ rows, starts, columns, values, bias }, number) => {
    const last = number === layers.length - 1;
    const output = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      let sum = bias[row];
      for (let i = starts[row]; i < starts[row + 1]; i++) sum += values[i] * input[columns[i]];
      output[row] = last ? sum : Math.max(0, sum);
    }
    input = output;
  });
  const greatest = Math.max(...input);
  const powers = Array.from(input, (logit) => Math.exp(logit - greatest));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

// Return the number of the greatest.
export function best(numbers) {
  return numbers.indexOf(Math.max(...numbers));
}

// Return how many weights a network has, the bytes that hold it (one a weight,
// one for eight places of a mask, four a bias), and its multiplications an image.
export function counts(layers) {
  const sum = (of) => layers.map(of).reduce((a, b) => a + b);
  const weights = sum((layer) => layer.values.length);
  const masks = sum(({ rows, width, masked }) => (masked ? Math.ceil((rows * width) / 8) : 0));
  const biases = sum((layer) => 4 * layer.bias.length);
  return { weights, bytes: weights + masks + biases, multiplications: weights };
}

// Return how many weights of the first layer each pixel has.
export function reach(layers) {
  const found = new Uint16Array(SIDE * SIDE);
  for (const column of layers[0].columns) found[column]++;
  return found;
}

// Draw with a round pen from one point to another, [x, y] in pixels.
export function stroke(picture, from, to, radius = 1.2) {
  const steps = 1 + Math.ceil(4 * Math.hypot(to[0] - from[0], to[1] - from[1]));
  for (let step = 1; step <= steps; step++) {
    const [x, y] = [0, 1].map((i) => from[i] + ((to[i] - from[i]) * step) / steps);
    for (let row = Math.max(0, Math.floor(y - 2)); row <= Math.min(SIDE - 1, y + 2); row++) {
      for (let col = Math.max(0, Math.floor(x - 2)); col <= Math.min(SIDE - 1, x + 2); col++) {
        const distance = Math.hypot(col + 0.5 - x, row + 0.5 - y);
        const ink = Math.min(1, Math.max(0, radius + 0.5 - distance));
        const place = row * SIDE + col;
        picture[place] = Math.max(picture[place], ink);
      }
    }
  }
}

// Return a drawing as MNIST has its digits: its longer side 20 pixels, and its
// centre of mass at row and column 14, counted from 0. An empty one is null.
export function centred(picture) {
  const places = [...picture.keys()].filter((place) => picture[place] > 0);
  if (!places.length) return null;
  const rows = places.map((place) => Math.floor(place / SIDE));
  const cols = places.map((place) => place % SIDE);
  const [top, left] = [Math.min(...rows), Math.min(...cols)];
  const [height, width] = [Math.max(...rows) - top + 1, Math.max(...cols) - left + 1];
  const step = Math.max(height, width) / BOX;
  const [tall, wide] = [height, width].map((size) => Math.max(1, Math.round(size / step)));
  const small = new Float32Array(tall * wide);
  let [mass, x, y] = [0, 0, 0];
  for (let row = 0; row < tall; row++) {
    for (let col = 0; col < wide; col++) {
      const grey = mean(picture, top + (row * height) / tall, left + (col * width) / wide, height / tall, width / wide);
      small[row * wide + col] = grey;
      mass += grey;
      y += grey * row;
      x += grey * col;
    }
  }
  const [down, right] = [y, x].map((moment) => Math.round(SIDE / 2 - moment / mass));
  const found = new Float32Array(SIDE * SIDE);
  small.forEach((grey, place) => {
    const [row, col] = [down + Math.floor(place / wide), right + (place % wide)];
    if (row >= 0 && row < SIDE && col >= 0 && col < SIDE) found[row * SIDE + col] = grey;
  });
  return found;
}

// Return the mean grey of a window that may cut through pixels.
function mean(picture, top, left, height, width) {
  let sum = 0;
  for (let row = Math.floor(top); row < Math.min(SIDE, top + height); row++) {
    const share = Math.min(row + 1, top + height) - Math.max(row, top);
    for (let col = Math.floor(left); col < Math.min(SIDE, left + width); col++) {
      sum += share * (Math.min(col + 1, left + width) - Math.max(col, left)) * picture[row * SIDE + col];
    }
  }
  return sum / (height * width);
}
