// The live view of a training run. It shows three values of the model, `status`, `curve` and
// `previews`, so a reloaded page shows the same.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 240;
const MARGIN = { left: 52, right: 60, top: 26, bottom: 38 };
const MIN_WIDTH = 320;
// Milliseconds without an answer to Stop after which the kernel is taken to be busy.
const NO_ANSWER = 3000;
const STATES = {
  running: "running",
  stopping: "stopping after this step …",
  stopped: "stopped",
  done: "done",
  failed: "failed",
};
const BUSY =
  "The kernel is busy with a cell and handles Stop after it. To stop now, interrupt the kernel.";
const LABEL = "loss, raw and smoothed, and learning rate";
const LINES = [["smooth", "loss, smoothed"], ["raw", "loss"], ["lr", "learning rate"]];

function element(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

function shape(tag, attributes, parent, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

// Maps values to pixels. If all values are equal, they are in the middle.
function scale([low, high], [from, to]) {
  if (high === low) return () => (from + to) / 2;
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function range(values) {
  return [Math.min(...values), Math.max(...values)];
}

// The range of the losses without the outliers of the raw loss, which would flatten the curve.
function lossRange(raw, smooth) {
  const sorted = [...raw].sort((a, b) => a - b);
  const quantile = (fraction) => sorted[Math.round(fraction * (sorted.length - 1))];
  return range([quantile(0.01), quantile(0.99), ...smooth]);
}

// Round numbers that enclose a range, with a distance of 1, 2 or 5 times a power of ten.
function ticks([low, high], count) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const distance = [1, 2, 5, 10].find((factor) => factor * power * count >= span) * power;
  const first = Math.floor(low / distance + 1e-9);
  const last = Math.ceil(high / distance - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * distance);
}

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.01 || size >= 1e5) return value.toExponential(1).replace(".0e", "e");
  return String(Number(value.toPrecision(4)));
}

function line(values, steps, x, y) {
  const points = values.map((value, at) => `${x(steps[at]).toFixed(1)},${y(value).toFixed(1)}`);
  return points.join(" ");
}

function drawAxes(svg, { x, y, rate, steps, losses, rates, box }) {
  for (const loss of losses) {
    shape("line", { x1: box.left, x2: box.right, y1: y(loss), y2: y(loss), class: "lt-grid" }, svg);
    shape("text", { x: box.left - 8, y: y(loss) + 4, "text-anchor": "end" }, svg, short(loss));
  }
  for (const value of rates) {
    shape("text", { x: box.right + 8, y: rate(value) + 4 }, svg, short(value));
  }
  const [first, last] = [steps[0], steps[steps.length - 1]];
  for (const step of ticks(range(steps), Math.max(2, Math.floor((box.right - box.left) / 90)))) {
    if (!Number.isInteger(step) || step < first || step > last) continue;
    const [x1, y1] = [x(step), box.bottom];
    shape("line", { x1, x2: x1, y1, y2: y1 + 4, class: "lt-tick" }, svg);
    shape("text", { x: x(step), y: box.bottom + 17, "text-anchor": "middle" }, svg, step);
  }
  shape("text", { x: 0, y: 12, class: "lt-axis lt-axis-loss" }, svg, "loss");
  const right = { x: box.width, y: 12, "text-anchor": "end", class: "lt-axis lt-axis-lr" };
  shape("text", right, svg, "learning rate");
  const middle = (box.left + box.right) / 2;
  const below = { x: middle, y: HEIGHT - 4, "text-anchor": "middle", class: "lt-axis" };
  shape("text", below, svg, "step");
}

function drawPointer(svg, curve, { x, y, steps, box, pointer }) {
  if (pointer === null) return;
  const distances = steps.map((step) => Math.abs(x(step) - pointer));
  const at = distances.indexOf(Math.min(...distances));
  const left = x(steps[at]);
  shape("line", { x1: left, x2: left, y1: box.top, y2: box.bottom, class: "lt-pointer" }, svg);
  shape("circle", { cx: left, cy: y(curve.smooth[at]), r: 3.5, class: "lt-dot" }, svg);
  const [smooth, loss] = [curve.smooth[at].toFixed(4), curve.loss[at].toFixed(4)];
  const lr = short(curve.lr[at]);
  const values = [`step ${steps[at]}`, `smoothed ${smooth}`, `loss ${loss}`, `lr ${lr}`];
  const middle = Math.min(Math.max(left, box.left + 135), box.right - 135);
  const above = { x: middle, y: 12, "text-anchor": "middle", class: "lt-read" };
  shape("text", above, svg, values.join("  ·  "));
}

function drawCurve(svg, curve, pointer) {
  svg.replaceChildren();
  const steps = curve?.step ?? [];
  const width = Math.max(svg.clientWidth, MIN_WIDTH);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  if (steps.length === 0) {
    const center = { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle", class: "lt-axis" };
    shape("text", center, svg, "The curve starts with the first step.");
    return;
  }
  const [right, bottom] = [width - MARGIN.right, HEIGHT - MARGIN.bottom];
  const box = { width, left: MARGIN.left, right, top: MARGIN.top, bottom };
  const losses = ticks(lossRange(curve.loss, curve.smooth), 4);
  const bounds = range(losses);
  // With this margin a constant rate is inside the plot, not on its edge.
  const most = Math.max(...curve.lr) * 1.2 || 1;
  const rates = ticks([0, most], 4).filter((value) => value <= most);
  const x = scale(range(steps), [box.left, box.right]);
  const y = scale(bounds, [box.bottom, box.top]);
  const rate = scale([0, most], [box.bottom, box.top]);
  const clip = (value) => Math.min(Math.max(value, bounds[0]), bounds[1]);
  drawAxes(svg, { x, y, rate, steps, losses, rates, box });
  shape("polyline", { points: line(curve.lr, steps, x, rate), class: "lt-lr" }, svg);
  shape("polyline", { points: line(curve.loss.map(clip), steps, x, y), class: "lt-raw" }, svg);
  shape("polyline", { points: line(curve.smooth, steps, x, y), class: "lt-smooth" }, svg);
  drawPointer(svg, curve, { x, y, steps, box, pointer });
}

function drawStatus(parts, status, stopRequested) {
  const { state = "running", task = "", done = 0, total = 0 } = status ?? {};
  const percent = total > 0 ? (100 * done) / total : 0;
  const isRequested = state === "running" && stopRequested !== null;
  const visibleState = isRequested ? "stopping" : state;
  parts.progress.setAttribute("aria-valuenow", Math.round(percent));
  parts.bar.style.width = `${percent}%`;
  parts.bar.className = `lt-bar lt-${visibleState}`;
  const counts = `${done.toLocaleString("en")} / ${total.toLocaleString("en")}`;
  parts.task.textContent = total > 0 ? `${task} ${counts}` : "reading the model";
  parts.percent.textContent = total > 0 ? `${percent.toFixed(percent < 10 ? 1 : 0)} %` : "";
  parts.state.textContent = isRequested ? "stopping …" : STATES[state] ?? state;
  parts.state.className = `lt-state lt-${visibleState}`;
  parts.stop.disabled = visibleState !== "running";
  parts.figures.replaceChildren();
  for (const [name, value] of status?.figures ?? []) {
    const figure = element("div", "lt-figure", parts.figures);
    element("span", "lt-name", figure, name);
    element("span", "lt-value", figure, value);
  }
  const isBusy = isRequested && performance.now() - stopRequested > NO_ANSWER;
  const saved = status?.path ? `saved: ${status.path}` : "";
  parts.message.textContent = isBusy ? BUSY : status?.message || saved;
  parts.message.className = state === "failed" ? "lt-message lt-failed" : "lt-message";
}

// Replaces the images in place, which avoids flicker.
function drawPreviews(parent, previews) {
  const entries = previews ?? [];
  while (parent.children.length > entries.length) parent.lastChild.remove();
  for (const [at, { caption, url }] of entries.entries()) {
    let figure = parent.children[at];
    if (figure === undefined) {
      figure = element("figure", "lt-preview", parent);
      element("img", "", figure);
      element("figcaption", "", figure);
    }
    const [image, text] = figure.children;
    if (image.src !== url) image.src = url;
    image.alt = text.textContent = caption;
    figure.title = caption;
  }
}

function build(el) {
  const root = element("div", "lt-live", el);
  const head = element("div", "lt-head", root);
  const parts = {
    root,
    state: element("span", "lt-state", head),
    task: element("span", "lt-task", head),
    percent: element("span", "lt-percent", head),
    stop: element("button", "lt-stop", head, "Stop"),
    progress: element("div", "lt-progress", root),
    figures: element("div", "lt-figures", root),
    svg: shape("svg", { class: "lt-curve", role: "img", "aria-label": LABEL }, root),
    legend: element("div", "lt-legend", root),
    previews: element("div", "lt-previews", root),
    message: element("div", "lt-message", root),
  };
  parts.stop.type = "button";
  parts.stop.title = "End the training after this step and save the LoRA";
  parts.progress.setAttribute("role", "progressbar");
  parts.progress.setAttribute("aria-label", "progress");
  parts.bar = element("div", "lt-bar", parts.progress);
  for (const [name, label] of LINES) element("span", `lt-key lt-key-${name}`, parts.legend, label);
  return parts;
}

function render({ model, el }) {
  const parts = build(el);
  let pointer = null;
  let stopRequested = null;
  let timer;
  const status = () => drawStatus(parts, model.get("status"), stopRequested);
  const curve = () => drawCurve(parts.svg, model.get("curve"), pointer);
  const previews = () => drawPreviews(parts.previews, model.get("previews"));
  const redraw = { "change:status": status, "change:curve": curve, "change:previews": previews };
  for (const [event, draw] of Object.entries(redraw)) {
    model.on(event, draw);
    draw();
  }
  parts.stop.addEventListener("click", () => {
    stopRequested = performance.now();
    timer = setTimeout(status, NO_ANSWER + 100);
    status();
    model.send({ type: "stop" });
  });
  parts.svg.addEventListener("pointermove", (event) => {
    pointer = event.clientX - parts.svg.getBoundingClientRect().left;
    curve();
  });
  parts.svg.addEventListener("pointerleave", () => {
    pointer = null;
    curve();
  });
  const resized = new ResizeObserver(curve);
  resized.observe(parts.svg);
  return () => {
    clearTimeout(timer);
    resized.disconnect();
    for (const [event, draw] of Object.entries(redraw)) model.off(event, draw);
  };
}

export default { render };
