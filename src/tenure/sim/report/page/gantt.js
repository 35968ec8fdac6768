/* Who ran where and when: bars where there is room for them, else how full each row was; a window that moves over the whole run. */
const windowWatchers = [];
const unpacked = new Map();
const LEAST_WINDOW = 1e-5;

function numbers(text) {
  const bytes = atob(text), found = [];
  let value = 0, factor = 1;
  for (let place = 0; place < bytes.length; place += 1) {
    const byte = bytes.charCodeAt(place);
    value += (byte & 127) * factor;
    if (byte & 128) { factor *= 128; continue; }
    found.push(value);
    value = 0; factor = 1;
  }
  return found;
}
const unfold = (values) => values.map((value) => (value % 2 ? -(value + 1) / 2 : value / 2));
function running(values) {
  let total = 0;
  return values.map((value) => (total += value));
}
/* The jobs that have bars, the same for all policies. */
function barJobs() {
  const found = workload().gantt;
  if (!unpacked.has(found)) {
    const names = typeof found.names === "string" ? running(unfold(numbers(found.names))).map(String) : found.names.map((name) => found.prefix + name);
    unpacked.set(found, { names, submitted: running(numbers(found.submitted)), run: numbers(found.run), user: numbers(found.user), size: numbers(found.size) });
  }
  return unpacked.get(found);
}
/* A policy's bars: job, start and end in the unit of time, and where its stretches of slots begin in `first` and `count`. */
function barsOf(policy) {
  const found = policy.gantt;
  if (!unpacked.has(found)) {
    const jobs = barJobs(), job = running(unfold(numbers(found.job))), start = running(numbers(found.start)), longer = unfold(numbers(found.longer));
    const pieces = running(numbers(found.pieces));
    unpacked.set(found, { job, start, end: start.map((at, place) => at + jobs.run[job[place]] + longer[place]), pieces, first: numbers(found.first), count: numbers(found.count).map((count) => count + 1) });
  }
  return unpacked.get(found);
}
/* Where the longest queue is, as wide as a few hundred bars. */
function firstWindow() {
  state.from = 0; state.to = 1;
  const each = workload();
  if (!each.gantt || !each.gantt.jobs) return;
  const queue = each.policies[0].curves.queue, width = Math.min(1, 250 / each.gantt.jobs), middle = (queue.indexOf(Math.max(...queue)) + 0.5) / queue.length;
  if (width < 0.9) { state.from = Math.max(0, Math.min(1 - width, middle - width / 2)); state.to = state.from + width; }
}
function setWindow(from, to) {
  const width = Math.max(LEAST_WINDOW, Math.min(1, to - from));
  state.from = Math.max(0, Math.min(1 - width, from));
  state.to = state.from + width;
  say("");
  for (const tell of windowWatchers) tell();
}
const moveWindow = (middle) => setWindow(middle - (state.to - state.from) / 2, middle + (state.to - state.from) / 2);
function zoom(factor, share = 0.5) {
  const width = state.to - state.from, at = state.from + share * width, next = Math.max(LEAST_WINDOW, Math.min(1, width * factor));
  setWindow(at - share * next, at + (1 - share) * next);
}

const TINTS = {
  wait: { label: "wait", steps: [[60, "under 1 min"], [3600, "under 1 h"], [21600, "under 6 h"], [86400, "under 1 d"], [Infinity, "longer"]] },
  slowdown: { label: "slowdown", steps: [[1.1, "under 1.1"], [3, "under 3"], [10, "under 10"], [100, "under 100"], [Infinity, "more"]] },
  user: { label: "user" },
};
function gantt() {
  const found = workload().gantt;
  if (!found || !found.jobs) return null;
  const policies = workload().policies, host = make("div"), note = make("p", { class: "note", "aria-live": "polite" }), scale = make("span", { class: "scale" });
  let one = 0, two = policies.length > 1 ? 1 : -1, tint = "wait", width = 0, views = [];
  const paint = () => {
    views.forEach((view) => view.paint());
    stripPaint();
    const seconds = workload().span_ms / 1000;
    const kept = found.jobs < found.all_jobs ? ` Bars are those of the ${round(found.jobs, 0)} jobs with the most work of ${round(found.all_jobs, 0)}; shades have all of them.` : "";
    const bars = views.every((view) => view.bars());
    note.textContent = `From ${when(state.from * seconds)} to ${when(state.to * seconds)} (${span((state.to - state.from) * seconds)}). ${bars ? "Each bar is a job." : "Too many bars for the room: the stronger the colour, the fuller. Zoom in to see jobs."}${kept}`;
  };
  const build_ = () => {
    views = [one, two].filter((place) => place >= 0).map((place) => view(place, width, () => tint));
    host.replaceChildren(...views.map(({ node }) => node), overview(policies[one], width).node);
    scale.replaceChildren(...(TINTS[tint].steps || []).map(([, text], place) => [make("i", { style: `background:var(--s${place})` }), text]).flat());
    paint();
  };
  drawn(host, (now) => { width = now; build_(); });
  windowWatchers.push(paint);
  const names = policies.map((policy, place) => [String(place), policy.name]);
  const button = (text, label, act) => make("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  const width_ = () => state.to - state.from;
  const controls = make("div", { class: "controls" },
    choice("Policy", names, String(one), (value) => { one = +value; build_(); }),
    policies.length > 1 ? choice("and", [["-1", "none"], ...names], String(two), (value) => { two = +value; build_(); }) : null,
    choice("Colour", Object.entries(TINTS).map(([key, { label }]) => [key, label]), tint, (value) => { tint = value; build_(); }),
    button("◀", "Earlier", () => setWindow(state.from - width_() / 2, state.to - width_() / 2)), button("▶", "Later", () => setWindow(state.from + width_() / 2, state.to + width_() / 2)),
    button("+", "Zoom in", () => zoom(0.5)), button("−", "Zoom out", () => zoom(2)), button("All", "The whole run", () => setWindow(0, 1)), scale);
  return card("Who ran where", `Up: ${found.kind}s${found.nodes.length > 1 ? ", node by node" : ""}. Drag to move the window, hold Ctrl and turn the wheel to zoom, or use the arrow keys, + and −; the strip below shows the whole run.`, controls, note, host);
}
function fitted(width, height, attributes) {
  const ratio = Math.min(2, devicePixelRatio || 1), canvas = make("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio), style: `height:${height}px`, ...attributes });
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return [canvas, pen];
}
const paintOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/* The coarse picture: rows of characters, 0 for empty to z for full. */
function shade(pen, policy, left, top, width, height, from, to) {
  const { rows, stretches } = workload().gantt, text = policy.gantt.picture, base = paintOf("--shade");
  const first = Math.floor(from * stretches), last = Math.min(stretches - 1, Math.ceil(to * stretches) - 1);
  const x = (stretch) => Math.round(left + ((stretch / stretches - from) / (to - from)) * width), edge = (row) => Math.round(top + (row / rows) * height);
  const tones = Array.from({ length: 36 }, (_, level) => `rgba(${base}, ${(0.08 + (0.82 * level) / 35).toFixed(3)})`);
  for (let row = 0; row < rows; row += 1) for (let at = first; at <= last; at += 1) {
    const level = parseInt(text[row * stretches + at], 36);
    if (!level) continue;
    pen.fillStyle = tones[level];
    const begin = Math.max(left, x(at)), end = Math.min(left + width, x(at + 1));
    pen.fillRect(begin, edge(row), end - begin, edge(row + 1) - edge(row));
  }
}
function view(place, width, tint) {
  const policy = workload().policies[place], found = workload().gantt, bars = barsOf(policy), jobs = barJobs(), unit = found.unit_ms / 1000;
  const left = found.nodes.length > 1 ? Math.min(110, width / 4) : 46, bottom = 24, height = Math.max(200, Math.min(420, found.slots * 14)) + bottom, room_ = height - bottom, across_ = width - left;
  const [canvas, pen] = fitted(width, height, { tabindex: 0, role: "img", "aria-label": `Gantt chart of ${policy.name}. Left and right arrows move the window, plus and minus zoom.` });
  const seconds = () => [state.from * workload().span_ms / 1000, state.to * workload().span_ms / 1000];
  const span_ = (index) => [bars.start[index] * unit, bars.end[index] * unit];
  let visible = [];
  const see = () => {
    const [from, to] = seconds();
    visible = [];
    for (let index = 0; index < bars.job.length; index += 1) if (bars.start[index] * unit <= to && bars.end[index] * unit >= from) visible.push(index);
  };
  const few = () => visible.length <= Math.max(600, 2.5 * across_);
  const y = (slot) => (slot / found.slots) * room_;
  const xOf = (at) => { const [from, to] = seconds(); return left + ((at - from) / (to - from)) * across_; };
  const stretches = (index) => { const out = []; for (let piece = index ? bars.pieces[index - 1] : 0; piece < bars.pieces[index]; piece += 1) out.push([bars.first[piece], bars.count[piece]]); return out; };
  const wait = (index) => Math.max(0, (bars.start[index] - jobs.submitted[bars.job[index]]) * unit);
  const slow = (index) => { const run = (bars.end[index] - bars.start[index]) * unit; return Math.max(1, (wait(index) + run) / Math.max(run, 10)); };
  const hue = (index, shades, users) => {
    if (tint() === "user") return users[jobs.user[bars.job[index]] % users.length];
    const value = tint() === "wait" ? wait(index) : slow(index);
    return shades[TINTS[tint()].steps.findIndex(([limit]) => value < limit)];
  };
  function paint() {
    see();
    pen.clearRect(0, 0, width, height);
    const [from, to] = seconds(), shades = [0, 1, 2, 3, 4].map((step) => paintOf(`--s${step}`)), users = [0, 1, 2, 3, 4, 5, 6, 7].map((step) => paintOf(`--p${step}`));
    pen.save();
    pen.beginPath(); pen.rect(left, 0, across_, room_); pen.clip();
    if (!few()) shade(pen, policy, left, 0, across_, room_, state.from, state.to);
    else for (const index of visible) {
      const [begin, end] = span_(index), x = xOf(begin), wide = Math.max(0.7, xOf(end) - x);
      pen.fillStyle = hue(index, shades, users);
      for (const [first, count] of stretches(index)) {
        const tall = y(first + count) - y(first), gap = tall > 5 ? 1 : tall > 2 ? 0.4 : 0;
        pen.fillRect(x, y(first) + gap / 2, wide > 3 ? wide - 0.8 : wide, Math.max(0.5, tall - gap));
      }
    }
    pen.restore();
    frame(from, to);
  }
  function frame(from, to) {
    pen.font = "13px system-ui, sans-serif"; pen.fillStyle = paintOf("--soft"); pen.strokeStyle = paintOf("--faint");
    pen.textAlign = "center";
    for (const [at, text] of moments(from, to, Math.max(2, across_ / 90))) {
      const x = xOf(at), half = pen.measureText(text).width / 2;
      pen.globalAlpha = 0.5; pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, room_); pen.stroke(); pen.globalAlpha = 1;
      if (x - half > left - 10 && x + half < width - 2) pen.fillText(text, x, height - 7);
    }
    pen.textAlign = "right";
    let free = -20;
    const labels = found.nodes.length > 1 ? found.nodes.map(([name, first, count]) => [name, first, first + count / 2]) : even(0, found.slots, 5).filter((slot) => slot < found.slots).map((slot) => [String(Math.round(slot * found.slot_milli / 1000)), slot, slot]);
    for (const [name, first, middle] of labels) {
      if (found.nodes.length > 1 && found.nodes.length < 200) { pen.beginPath(); pen.moveTo(left - 4, y(first)); pen.lineTo(width, y(first)); pen.stroke(); }
      const at = Math.max(11, y(middle) + 4.5);
      if (at - free < 15 || at > room_ + 2) continue;
      free = at;
      pen.fillText(name.length > 14 ? `…${name.slice(-13)}` : name, left - 6, at, left - 8);
    }
  }
  const under = (event) => {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, slot = ((event.clientY - box.top) / room_) * found.slots, [from, to] = seconds();
    const at = from + ((px - left) / across_) * (to - from), slack = (1.5 / across_) * (to - from);
    if (!few() || px < left || slot >= found.slots) return "";
    const index = visible.findLast((bar) => { const [begin, end] = span_(bar); return at >= begin - slack && at <= end + slack && stretches(bar).some(([first, count]) => slot >= first && slot < first + count); });
    if (index === undefined) return "";
    const job = bars.job[index], user = found.user_names[jobs.user[job]], node = found.nodes.length > 1 ? found.nodes.filter(([, first, count]) => stretches(index).some(([low, many]) => low < first + count && first < low + many)).map(([name]) => name) : [];
    return [`job ${jobs.names[job]}${user ? `, user ${user}` : ""}`, `${jobs.size[job] / 10} ${found.kind}${jobs.size[job] === 10 ? "" : "s"}${node.length ? ` on ${node.slice(0, 3).join(", ")}${node.length > 3 ? ` and ${node.length - 3} more` : ""}` : ""}`,
      `submitted ${when(jobs.submitted[job] * unit)}`, `started ${when(bars.start[index] * unit)}, after ${span(wait(index))}`, `ran ${span((bars.end[index] - bars.start[index]) * unit)}, slowdown ${number(+slow(index).toFixed(2))}`].join("\n");
  };
  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = { x: event.clientX, from: state.from, to: state.to }; canvas.setPointerCapture(event.pointerId); say(""); });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) { say(under(event), event); return; }
    const moved = ((held.x - event.clientX) / across_) * (held.to - held.from);
    if (Math.abs(held.x - event.clientX) > 2) setWindow(held.from + moved, held.to + moved);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { held = null; });
  canvas.addEventListener("pointerleave", () => say(""));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, Math.max(0, Math.min(1, (event.clientX - canvas.getBoundingClientRect().left - left) / across_)));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const size = state.to - state.from, acts = { ArrowLeft: () => setWindow(state.from - size / 4, state.to - size / 4), ArrowRight: () => setWindow(state.from + size / 4, state.to + size / 4), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), Home: () => setWindow(0, size), End: () => setWindow(1 - size, 1) };
    if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
  });
  return { node: make("div", { class: "panel" }, make("div", { class: "head" }, mark(place), make("h3", {}, policy.name)), canvas), paint, bars: few };
}
/* The whole run in a strip; the window on it moves where it is clicked or dragged. */
function overview(policy, width) {
  const left = workload().gantt.nodes.length > 1 ? Math.min(110, width / 4) : 46, height = 56, across_ = width - left, [canvas, pen] = fitted(width, height, { class: "whole", role: "img", "aria-label": `The whole run of ${policy.name}; click to move the window` });
  const paint = () => {
    pen.clearRect(0, 0, width, height);
    shade(pen, policy, left, 0, across_, height, 0, 1);
    pen.fillStyle = paintOf("--soft"); pen.font = "13px system-ui, sans-serif"; pen.textAlign = "right"; pen.fillText("all", left - 6, height / 2 + 5);
    pen.strokeStyle = paintOf("--p1"); pen.lineWidth = 2.5;
    pen.strokeRect(left + state.from * across_, 1.5, Math.max(3, (state.to - state.from) * across_), height - 3);
  };
  const go = (event) => moveWindow((event.clientX - canvas.getBoundingClientRect().left - left) / across_);
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); go(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) go(event); });
  stripPaint = paint;
  paint();
  return { node: canvas };
}
let stripPaint = () => {};
