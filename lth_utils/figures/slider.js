// The handler of a slider's box for `input` and `click`: `this` is the box, and all
// that is remembered hangs on it, so that no name enters the page.
const box = this, all = (what) => [...box.querySelectorAll(what)];
const [play] = all("button"), sliders = all("input"), outputs = all("output");
const data = box.lth ??= JSON.parse(box.querySelector("script").textContent);
// Two frames are pictures of the page, and the list does not hold them again.
all("img").forEach((image) => {
  data.frames[image.dataset.frame].src ||= image.getAttribute("src");
});

const show = () => {
  // The last slider's values run fastest.
  const number = (sum, slider) => sum * (+slider.max + 1) + +slider.value;
  const frame = sliders.reduce(number, 0), [image] = all("img");
  image.src = data.frames[frame].src;
  image.alt = data.frames[frame].alt;
  all("p").forEach((caption, place) => { caption.hidden = place !== frame; });
  sliders.forEach((slider, place) => {
    const { label } = data.axes[place][slider.value];
    outputs[place].textContent = label;
    slider.setAttribute("aria-valuetext", label);
  });
};
const pause = () => {
  clearInterval(box.timer);
  box.timer = 0;
  if (play) play.textContent = "Play";
  outputs.forEach((output) => output.setAttribute("aria-live", "polite"));
};
const step = () => {
  const [slider] = sliders;
  if (!box.isConnected || +slider.value + 1 >= +slider.max) pause();
  slider.stepUp();
  show();
};
const start = () => {
  const [slider] = sliders;
  if (slider.value === slider.max) slider.value = 0;
  // Step after step would be read aloud; the last one is.
  outputs.forEach((output) => output.setAttribute("aria-live", "off"));
  play.textContent = "Pause";
  box.timer = setInterval(step, 1000);
  show();
};

if (event.type === "input") { pause(); show(); }
else if (play && event.target === play) { box.timer ? pause() : start(); }
