// The ticket lab: what is drawn, and what the reader does. `mount` fills a box
// whose script of JSON is the payload; nothing outside the box is touched.
import { SIDE, best, centred, counts, network, opened, probabilities, reach, stroke } from "./networks.js";

const ABOVE = "#ffb040"; // a weight's colour: above zero, or below
const BELOW = "#b0a0ff";
const PEN = [255, 176, 64];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GAP = 8; // between the layers' pictures

const number = (n) => n.toLocaleString("en");
const percent = (p) => `${(100 * p).toFixed(1)}\u00a0%`;

function skeleton(lab) {
  const card = ([arm, look]) => `
    <div class="lth-lab-card" role="group" data-arm="${arm}" style="--arm:${look.colour}" aria-label="${look.label}">
      <p class="lth-lab-name"><span class="lth-lab-sign" aria-hidden="true">${look.sign}</span> ${look.label}</p>
      <p class="lth-lab-says">–</p>
      <ol>${[...Array(10).keys()].map((digit) => `<li><span>${digit}</span>
        <span class="lth-lab-bar"><i></i></span><span class="lth-lab-p">–</span></li>`).join("")}</ol>
      <p class="lth-lab-right"></p>
    </div>`;
  const inside = ([arm, title]) => `
    <figure data-inside="${arm}"><figcaption>${title}</figcaption>
      <p class="lth-lab-note"></p>
      <canvas class="lth-lab-reach" width="${SIDE}" height="${SIDE}" role="img"></canvas>
      <canvas class="lth-lab-weights" width="784" height="${300 + GAP + 100}" role="img"></canvas>
    </figure>`;
  return `
    <div class="lth-lab-draw">
      <canvas class="lth-lab-pad" width="${SIDE}" height="${SIDE}" tabindex="0" role="application"
        aria-label="Drawing area of 28 by 28 points. Arrow keys move the pen, Space puts it down and lifts it, Delete clears."></canvas>
      <div class="lth-lab-beside">
        <p>Draw a digit: by mouse or finger, or by the arrow keys, where Space puts the pen down and lifts it.</p>
        <p><button type="button" data-do="clear">Clear</button></p>
        <p>The networks see it as MNIST has its digits, 20 points long and in the middle:</p>
        <canvas class="lth-lab-seen" width="${SIDE}" height="${SIDE}" role="img" aria-label="Nothing is drawn yet."></canvas>
      </div>
      <div class="lth-lab-images" role="toolbar" aria-label="Test images, by their digits">${lab.labels.map((label, i) =>
        `<button type="button" data-image="${i}" tabindex="${i ? -1 : 0}" aria-label="Test image ${i + 1}, a ${label}">
        <canvas width="${SIDE}" height="${SIDE}"></canvas></button>`).join("")}</div>
    </div>
    <div class="lth-lab-slider">
      <p>Weights remaining: <output></output></p>
      <input type="range" min="0" max="${lab.levels.length - 1}" step="1" value="0" autocomplete="off" aria-label="Weights remaining">
    </div>
    <div class="lth-lab-cards">${Object.entries(lab.arms).map(card).join("")}</div>
    <p><button type="button" data-do="ask">Ask all four about the ${lab.labels.length} test images</button></p>
    <table class="lth-lab-counter">
      <caption>A byte holds a weight, or eight places of a mask; a bias takes four. Each weight is one multiplication an image.</caption>
      <thead><tr><td></td><th scope="col">sparse</th><th scope="col">dense</th><th scope="col">of dense</th></tr></thead>
      <tbody>${["weights", "bytes", "multiplications"].map((what) =>
        `<tr data-count="${what}"><th scope="row">${what}</th><td></td><td></td><td></td></tr>`).join("")}</tbody>
    </table>
    <p>What is left: for each pixel of the input, how many weights of the first layer read it (black: none), and each
      weight alive as a dot, layer by layer (orange: above zero, purple: below).</p>
    <div class="lth-lab-inside">${[["ticket", "Ticket and reinit: the same mask"], ["random", "Random mask"]].map(inside).join("")}</div>
    <div class="lth-lab-challenge" role="group" aria-label="Where did they break?">
      <p><strong>Where did they break?</strong> A network is broken when its test accuracy is more than
        ${100 * lab.broken} point below the dense network’s. Go down with the slider, ask, and mark the first
        density at which you think it is.</p>
      <p>${["ticket", "random"].map((arm) => `<span><button type="button" data-mark="${arm}">Mark this density for the
        ${arm === "ticket" ? "ticket" : "random mask"}</button> <b data-marked="${arm}">not marked</b></span>`).join(" ")}</p>
      <p><button type="button" data-do="reveal" disabled>How near was I?</button></p>
      <p class="lth-lab-verdict"></p>
    </div>
    <p class="lth-lab-told" aria-live="polite"></p>`;
}

function paint(canvas, colour) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let place = 0; place < image.data.length / 4; place++) image.data.set([...colour(place), 255], 4 * place);
  context.putImageData(image, 0, 0);
}

const grey = (picture) => (place) => Array(3).fill(255 * picture[place]);

export async function mount(box) {
  if (box.dataset.lab) return;
  box.dataset.lab = "opening";
  let lab;
  try {
    lab = await opened(JSON.parse(box.querySelector("script").textContent));
  } catch (error) {
    box.dataset.lab = "failed"; // the table stays
    throw error;
  }
  const app = document.createElement("div");
  app.className = "lth-lab-app";
  app.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the pen's keys
  app.innerHTML = skeleton(lab);
  const table = box.querySelector(".lth-lab-plain");
  box.insertBefore(app, table);
  const one = (selector) => app.querySelector(selector);
  const all = (selector) => [...app.querySelectorAll(selector)];
  const [pad, seen, slider] = [one(".lth-lab-pad"), one(".lth-lab-seen"), one("input")];
  const arms = Object.keys(lab.arms);
  const cards = arms.map((arm) => one(`[data-arm="${arm}"]`));
  const images = Array.from({ length: lab.labels.length }, (_, i) =>
    Float32Array.from(lab.array("images").subarray(784 * i, 784 * (i + 1)), (n) => n / 255));

  const drawing = new Float32Array(SIDE * SIDE);
  const pen = { x: SIDE / 2, y: SIDE / 2, down: false, shown: false };
  const marks = {};
  let chosen = null; // the number of the test image that is shown as it is
  let nets = [];
  let answers = null;
  let waiting = 0;

  const level = () => lab.levels[slider.value];
  const kept = new Map();
  const net = (arm) => {
    const name = `${arm}-${arm === "dense" ? 0 : level().round}`;
    if (!kept.has(name)) kept.set(name, network(lab, name));
    return kept.get(name);
  };

  // Screen readers hear the last of several changes, when they have stopped.
  function tell(text) {
    clearTimeout(waiting);
    waiting = setTimeout(() => { one(".lth-lab-told").textContent = text; }, 300);
  }

  function told() {
    if (!answers) return `Weights remaining: ${level().label}. Nothing is drawn.`;
    const each = answers.map((p, i) => `${lab.arms[arms[i]].label}: ${best(p)}, ${percent(Math.max(...p))}`);
    return `Weights remaining: ${level().label}. ${each.join("; ")}.`;
  }

  function answer() {
    const picture = chosen === null ? centred(drawing) : drawing;
    answers = picture && nets.map((layers) => probabilities(lab, layers, picture));
    cards.forEach((card, i) => {
      const p = answers?.[i];
      const digit = p ? best(p) : -1;
      card.querySelector(".lth-lab-says").textContent = p ? digit : "–";
      card.querySelectorAll("li").forEach((line, n) => {
        line.className = n === digit ? "lth-lab-best" : "";
        line.querySelector("i").style.width = p ? `${100 * p[n]}%` : "0";
        line.querySelector(".lth-lab-p").textContent = p ? percent(p[n]) : "–";
      });
    });
    paint(seen, grey(picture ?? drawing));
    const what = chosen === null ? "Your drawing, centred and scaled." : `A test image of a ${lab.labels[chosen]}.`;
    seen.setAttribute("aria-label", picture ? what : "Nothing is drawn yet.");
    const at = pen.shown ? Math.floor(pen.y) * SIDE + Math.floor(pen.x) : -1;
    paint(pad, (place) => (place === at ? PEN : grey(drawing)(place)));
  }

  function draw(from, to) {
    chosen = null;
    stroke(drawing, from, to);
    answer();
  }

  function move() {
    nets = arms.map(net);
    one(".lth-lab-slider output").textContent = level().label + (level().recorded ? "" : " (sparser than the record)");
    slider.setAttribute("aria-valuetext", level().label);
    const [dense, sparse] = [counts(nets[0]), counts(nets[1])];
    for (const row of all("[data-count]")) {
      const what = row.dataset.count;
      const cells = row.querySelectorAll("td");
      [number(sparse[what]), number(dense[what]), percent(sparse[what] / dense[what])].forEach((text, i) => { cells[i].textContent = text; });
    }
    all("[data-inside]").forEach((figure) => show(figure, nets[arms.indexOf(figure.dataset.inside)]));
    all(".lth-lab-right").forEach((line) => { line.textContent = ""; });
    answer();
  }

  function show(figure, layers) {
    const found = reach(layers);
    const most = Math.max(...found);
    const [pixels, weights] = figure.querySelectorAll("canvas");
    paint(pixels, (place) => Array(3).fill((255 * found[place]) / most));
    const none = found.filter((count) => !count).length;
    const read = `No weight reads ${none} of the ${found.length} pixels; at most ${most} of 300 read one.`;
    figure.querySelector(".lth-lab-note").textContent = read;
    pixels.setAttribute("aria-label", `The input's pixels, brighter where more weights read them. ${read}`);
    const context = weights.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, weights.width, weights.height);
    const share = counts(layers).weights / counts(nets[0]).weights;
    const size = share < 0.02 ? 3 : share < 0.1 ? 2 : 1; // few dots would not be seen
    layers.forEach(({ rows, starts, columns, values }, n) => {
      const [down, right] = [[0, 0], [300 + GAP, 0], [300 + GAP, 300 + GAP]][n];
      for (let row = 0; row < rows; row++) {
        for (let i = starts[row]; i < starts[row + 1]; i++) {
          context.fillStyle = values[i] < 0 ? BELOW : ABOVE;
          context.fillRect(right + columns[i], down + row, size, size);
        }
      }
    });
    const left = layers.map((layer) => number(layer.values.length)).join(", ");
    weights.setAttribute("aria-label", `Each weight alive, a dot: ${left} in the three layers. Orange is above zero, purple below, black pruned.`);
  }

  function pick(image) {
    chosen = image;
    drawing.set(images[image]);
    answer();
    tell(`Test image, a ${lab.labels[image]}. ${told()}`);
  }

  function ask() {
    const right = nets.map((layers) => images.filter((image, i) => best(probabilities(lab, layers, image)) === lab.labels[i]).length);
    cards.forEach((card, i) => { card.querySelector(".lth-lab-right").textContent = `${right[i]} of ${images.length} right`; });
    tell(`Of ${images.length} test images right: ${arms.map((arm, i) => `${lab.arms[arm].label} ${right[i]}`).join(", ")}.`);
  }

  function mark(arm) {
    marks[arm] = Number(slider.value);
    one(`[data-marked="${arm}"]`).textContent = level().label;
    one('[data-do="reveal"]').disabled = Object.keys(marks).length < 2;
    tell(`${lab.arms[arm].label} marked at ${level().label}.`);
  }

  function reveal() {
    const accuracy = (arm, each) => lab.networks[`${arm}-${each.round}`].test;
    const least = lab.networks["dense-0"].test - lab.broken;
    const sentences = Object.entries(marks).map(([arm, marked]) => {
      const there = lab.levels.findIndex((each) => accuracy(arm, each) < least);
      const [name, off] = [lab.arms[arm].label, marked - there];
      const near = off ? `${Math.abs(off)} of the slider’s steps ${off < 0 ? "too early" : "too late"}` : "right";
      const found = `${percent(accuracy(arm, lab.levels[there]))} right, the dense network ${percent(lab.networks["dense-0"].test)}`;
      return `The ${name} broke at ${lab.levels[there].label} (${found}); you marked ${lab.levels[marked].label}: ${near}.`;
    });
    one(".lth-lab-verdict").textContent = sentences.join(" ");
    box.classList.add("lth-lab-shown");
    tell(sentences.join(" "));
  }

  function clear() {
    drawing.fill(0);
    chosen = null;
    pen.down = false;
    answer();
    tell("Cleared.");
  }

  // The pad: a finger or a mouse draws while it is down, the keys' pen when told.
  const place = (event) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    return [((event.clientX - left) / width) * SIDE, ((event.clientY - top) / height) * SIDE];
  };
  let last = null;
  pad.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    pad.setPointerCapture(event.pointerId);
    last = place(event);
    draw(last, last);
  });
  pad.addEventListener("pointermove", (event) => {
    if (!last || !event.isPrimary) return;
    const next = place(event);
    draw(last, next);
    last = next;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    pad.addEventListener(end, () => { last = null; tell(told()); });
  }
  pad.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (!step && ![" ", "Delete", "Backspace", "Escape"].includes(event.key)) return;
    event.preventDefault();
    pen.shown = true;
    const from = [pen.x, pen.y];
    if (step) [pen.x, pen.y] = from.map((at, i) => Math.min(SIDE - 0.5, Math.max(0.5, at + step[i])));
    if (event.key === " ") pen.down = !pen.down;
    if (event.key === "Escape") pen.down = false;
    if (event.key === "Delete" || event.key === "Backspace") return clear();
    if (pen.down) draw(from, [pen.x, pen.y]);
    else answer();
    const where = `column ${Math.floor(pen.x) + 1}, row ${Math.floor(pen.y) + 1}`;
    tell(`Pen ${pen.down ? "down" : "up"}, ${where}. ${step || !answers ? "" : told()}`);
  });
  pad.addEventListener("blur", () => { pen.shown = pen.down = false; answer(); });

  const buttons = all("[data-image]");
  buttons.forEach((button, i) => paint(button.firstElementChild, grey(images[i])));
  one(".lth-lab-images").addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    const each = buttons.length / 10; // a column is a digit
    const i = buttons.indexOf(document.activeElement) + each * step[0] + step[1];
    buttons.forEach((button) => { button.tabIndex = -1; });
    const next = buttons[(i + buttons.length) % buttons.length];
    next.tabIndex = 0;
    next.focus();
  });

  app.addEventListener("click", (event) => {
    const { image, mark: arm, do: what } = event.target.closest("button")?.dataset ?? {};
    if (image) pick(Number(image));
    if (arm) mark(arm);
    if (what) ({ clear, ask, reveal })[what]();
  });
  slider.addEventListener("input", () => { move(); tell(told()); });
  move();
  box.dataset.lab = "ready";
}
