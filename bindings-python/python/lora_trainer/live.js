// The live view of a training. Everything that is shown follows from three values of the model, so that a page that is loaded again shows
// the same: `status`, `curve` and `previews`.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640;
const HEIGHT = 220;
const MARGIN = { left: 52, right: 60, top: 10, bottom: 24 };
const STATES = {
  running: "",
  stopping: "stops after this step …",
  stopped: "stopped",
  done: "done",
  failed: "failed",
};

function element(tag, className, parent, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

function shape(tag, attributes, parent, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// From values to pixels; a line of equal values lies in the middle.
function scale([low, high], [from, to]) {
  if (high === low) return () => (from + to) / 2;
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function range(values) {
  return [Math.min(...values), Math.max(...values)];
}

// Single outliers of the raw loss do not flatten the curve.
function lossRange(raw, smooth) {
  const sorted = [...raw].sort((a, b) => a - b);
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return range([at(0.01), at(0.99), ...smooth]);
}

function line(values, steps, x, y) {
  return values.map((value, index) => `${x(steps[index]).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
}

function drawCurve(svg, curve) {
  svg.replaceChildren();
  const steps = curve?.step ?? [];
  if (steps.length === 0) return;
  const [left, right] = [MARGIN.left, WIDTH - MARGIN.right];
  const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom];
  const losses = lossRange(curve.loss, curve.smooth);
  const rates = [0, Math.max(...curve.lr)];
  const x = scale(range(steps), [left, right]);
  const y = scale(losses, [bottom, top]);
  const rate = scale(rates, [bottom, top]);
  const clip = (value) => Math.min(Math.max(value, losses[0]), losses[1]);
  for (const share of [0, 0.5, 1]) {
    const at = bottom + (top - bottom) * share;
    shape("line", { x1: left, x2: right, y1: at, y2: at, class: "lt-grid" }, svg);
    const loss = losses[0] + (losses[1] - losses[0]) * share;
    shape("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, svg, loss.toFixed(3));
    shape("text", { x: right + 6, y: at + 4, class: "lt-lr-text" }, svg, (rates[1] * share).toExponential(0));
  }
  shape("text", { x: left, y: HEIGHT - 6 }, svg, `step ${steps[0]}`);
  shape("text", { x: right, y: HEIGHT - 6, "text-anchor": "end" }, svg, `${steps[steps.length - 1]}`);
  shape("polyline", { points: line(curve.lr, steps, x, rate), class: "lt-lr" }, svg);
  shape("polyline", { points: line(curve.loss.map(clip), steps, x, y), class: "lt-raw" }, svg);
  shape("polyline", { points: line(curve.smooth, steps, x, y), class: "lt-smooth" }, svg);
}

function drawStatus(parts, status) {
  const { state = "running", work = "", done = 0, total = 0 } = status ?? {};
  parts.progress.max = Math.max(total, 1);
  parts.progress.value = done;
  parts.work.textContent = total > 0 ? `${work} ${done} / ${total}` : "reading the model";
  parts.state.textContent = STATES[state] ?? state;
  parts.state.className = `lt-state lt-${state}`;
  parts.stop.disabled = state !== "running";
  parts.figures.replaceChildren();
  for (const [name, value] of status?.figures ?? []) {
    const figure = element("div", "lt-figure", parts.figures);
    element("span", "lt-name", figure, name);
    element("span", "lt-value", figure, value);
  }
  parts.message.textContent = status?.message || (status?.path ? `saved: ${status.path}` : "");
}

function drawPreviews(parent, previews) {
  parent.replaceChildren();
  for (const { caption, url } of previews ?? []) {
    const figure = element("figure", "lt-preview", parent);
    const image = element("img", "", figure);
    image.src = url;
    image.alt = caption;
    element("figcaption", "", figure, caption);
  }
}

function render({ model, el }) {
  const root = element("div", "lt-live", el);
  const head = element("div", "lt-head", root);
  const parts = {
    work: element("span", "lt-work", head),
    progress: element("progress", "", head),
    state: element("span", "lt-state", head),
    stop: element("button", "lt-stop", head, "Stop"),
  };
  parts.stop.title = "End the training after this step and save the LoRA";
  parts.stop.addEventListener("click", () => {
    parts.stop.disabled = true;
    model.send({ type: "stop" });
  });
  parts.figures = element("div", "lt-figures", root);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "lt-curve", role: "img" }, root);
  svg.setAttribute("aria-label", "loss, raw and smoothed, and learning rate");
  const legend = element("div", "lt-legend", root);
  for (const [name, label] of [["smooth", "loss, smoothed"], ["raw", "loss"], ["lr", "learning rate"]]) {
    element("span", `lt-key lt-key-${name}`, legend, label);
  }
  const previews = element("div", "lt-previews", root);
  parts.message = element("div", "lt-message", root);

  const redraw = {
    "change:status": () => drawStatus(parts, model.get("status")),
    "change:curve": () => drawCurve(svg, model.get("curve")),
    "change:previews": () => drawPreviews(previews, model.get("previews")),
  };
  for (const [event, draw] of Object.entries(redraw)) {
    model.on(event, draw);
    draw();
  }
  return () => {
    for (const [event, draw] of Object.entries(redraw)) model.off(event, draw);
  };
}

export default { render };
