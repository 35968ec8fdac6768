/* Scales and axes. A scale maps values to pixels and says where its ticks are. */
function straight(low, high, from, to) {
  const width = high - low || 1;
  const scale = (value) => from + ((value - low) / width) * (to - from);
  scale.back = (pixel) => low + ((pixel - from) / (to - from)) * width;
  return scale;
}
function powers(low, high, from, to) {
  const a = Math.log10(low), b = Math.log10(high) > a ? Math.log10(high) : a + 1;
  const scale = (value) => from + ((Math.log10(Math.max(value, low)) - a) / (b - a)) * (to - from);
  scale.back = (pixel) => 10 ** (a + ((pixel - from) / (to - from)) * (b - a));
  return scale;
}
function even(low, high, wanted) {
  const rough = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const ticks = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) ticks.push(+at.toPrecision(12));
  return ticks;
}
const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].concat([1, 2, 5, 10, 20, 30, 60, 100, 200, 500, 1000].map((days) => days * 86400));
/* Ticks of a time axis in seconds, each with its text in the one unit that suits the step. */
function moments(low, high, wanted) {
  if ((high - low) / wanted < 1) return even(low, high, wanted).map((at) => [at, `${at} s`]);
  const step = TIMES.find((size) => (high - low) / size <= wanted) || 1e8;
  const [size, name] = step >= 86400 ? [86400, "d"] : step >= 3600 && high < 864000 ? [3600, "h"] : step >= 60 ? [60, "min"] : [1, "s"];
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push([at, step < 86400 && high >= 86400 ? clock(at, step) : `${round(at / size, 0)} ${name}`]);
  return ticks;
}
/* Round lengths of time between two, and the numbers of an axis with its unit. */
function lengthsOf(low, high, wanted) {
  const step = (high - low) / wanted < 1 ? 0 : TIMES.find((size) => (high - low) / size <= wanted) || 1e8;
  if (!step) return even(low, high, wanted).map((at) => [at, span(at)]);
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push([at, span(at)]);
  return ticks;
}
const ticksOf = (unit, low, high, wanted) => (unit === "s" ? lengthsOf(low, high, wanted) : even(low, high, wanted).map((value) => [value, unit ? `${value} ${unit}` : number(value)]));
function clock(at, step) {
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  const day = Math.floor(at / 86400), rest = at % 86400;
  const hour = `${two(rest / 3600)}:${two((rest % 3600) / 60)}${step < 60 ? `:${two(rest % 60)}` : ""}`;
  return rest < step / 2 ? `${day} d` : hour;
}
const when = (seconds) => (workload().span_ms < 172800000 ? span(seconds) : `${Math.floor(seconds / 86400)} d ${String(Math.floor((seconds % 86400) / 3600)).padStart(2, "0")}:${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")}`);

/* Lines and labels for ticks given as [value, text]; what would touch the label before it is left out. */
function below(scale, ticks, top, bottom, title) {
  const group = draw("g", { "aria-hidden": "true" });
  let free = -Infinity;
  for (const [value, text] of ticks) {
    const x = scale(value), half = text.length * 3.7 + 4;
    group.append(draw("line", { class: "grid", x1: x, x2: x, y1: top, y2: bottom }));
    if (x - half < free) continue;
    free = x + half;
    group.append(draw("text", { x, y: bottom + 17, "text-anchor": "middle" }, text));
  }
  if (title) group.append(draw("text", { x: (scale.left + scale.right) / 2, y: bottom + 36, "text-anchor": "middle" }, title));
  return group;
}
function beside(scale, ticks, left, right) {
  return draw("g", { "aria-hidden": "true" }, ticks.map(([value, text]) => [
    draw("line", { class: "grid", x1: left, x2: right, y1: scale(value), y2: scale(value) }),
    draw("text", { x: left - 7, y: scale(value) + 4.5, "text-anchor": "end" }, text),
  ]).flat());
}
function path(xs, ys) {
  let text = "", open = false;
  for (let place = 0; place < xs.length; place += 1) {
    if (ys[place] === null || !Number.isFinite(ys[place])) { open = false; continue; }
    text += `${open ? "L" : "M"}${xs[place].toFixed(1)} ${ys[place].toFixed(1)}`;
    open = true;
  }
  return text;
}
/* Ticks of a logarithmic axis of seconds at lengths that people know, and of one of plain numbers. */
const LENGTHS = [[1, "1 s"], [10, "10 s"], [60, "1 min"], [600, "10 min"], [3600, "1 h"], [21600, "6 h"], [86400, "1 d"], [604800, "7 d"], [2592000, "30 d"], [31536000, "1 y"]];
function decades(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) ticks.push([10 ** power, power < 0 ? String(10 ** power) : round(10 ** power, 0)]);
  return ticks.filter(([value]) => value >= low * 0.999 && value <= high * 1.001);
}
/* An x scale that knows its ends. */
function across(kind, low, high, left, right) {
  return Object.assign(kind(low, high, left, right), { left, right });
}
/* Arrow keys move an index over a plot as the mouse does; Escape leaves it. */
function stepping(node, count, current, move) {
  node.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
    const now = current();
    let next = null;
    if (event.key in steps) next = (now === null ? Math.floor(count() / 2) : now) + steps[event.key];
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = count() - 1;
    else if (event.key === "Escape") { move(null); return; }
    if (next === null) return;
    event.preventDefault();
    move(Math.max(0, Math.min(count() - 1, next)));
  });
}
