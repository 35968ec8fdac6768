"use strict";
/* Elements, numbers as people read them, colours, the tip, and drawing again when the room changes. Texts are only ever set as text. */
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const state = { workload: 0, hidden: new Set(), from: 0, to: 1 };
const drawings = new Map();

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}
const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const workload = () => data.workloads[state.workload];
const colour = (place) => `var(--p${place % 8})`;
const DASHES = ["", "7 3", "2 3", "10 3 2 3", "12 4", "4 2", "1 4", "8 2 2 2 2 2"];
const dash = (place) => DASHES[place % 8];
const shown = () => workload().policies.map((policy, place) => ({ policy, place })).filter((each) => !state.hidden.has(each.policy.name));

const round = (value, digits) => value.toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: digits });
function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return round(value, Number.isInteger(value) || size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
}
function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return seconds === 0 ? "0 s" : `${seconds < 10 ? +seconds.toFixed(seconds < 1 ? 2 : 1) : Math.round(seconds)} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = units.findIndex(([size]) => seconds >= size);
  const [size, name] = units[at], [small, tiny] = units[at + 1];
  let whole = Math.floor(seconds / size), rest = Math.round((seconds - whole * size) / small);
  if (rest * small >= size) { whole += 1; rest = 0; }
  return rest && whole < 100 ? `${whole} ${name} ${rest} ${tiny}` : `${round(whole, 0)} ${name}`;
}
const told = (value, unit) => (value === null || value === undefined ? "–" : unit === "s" ? span(value) : unit === "%" ? `${round(value, 2)} %` : number(value));
const plural = (count, one) => `${round(count, 0)} ${one}${count === 1 ? "" : "s"}`;

const tip = document.getElementById("tip");
function say(text, event) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  const x = event.clientX + 14 + box.width > innerWidth ? event.clientX - box.width - 14 : event.clientX + 14;
  const y = event.clientY + 16 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 16;
  tip.style.left = `${Math.max(4, x)}px`;
  tip.style.top = `${Math.max(4, y)}px`;
}
/* The place on the screen of a point in an element, for tips that the keyboard asks for. */
function spot(node, x, y) {
  const box = node.getBoundingClientRect();
  return { clientX: box.left + x, clientY: box.top + y };
}

/* A drawing is a host element and a function of its width; it is drawn again when the width, the choice or the colours change. */
const watcher = new ResizeObserver((entries) => requestAnimationFrame(() => entries.forEach((entry) => {
  const drawing = drawings.get(entry.target), width = Math.floor(entry.contentRect.width);
  if (drawing && width > 0 && width !== drawing.width) { drawing.width = width; drawing.draw(width); }
})));
function drawn(host, paint) {
  drawings.set(host, { width: 0, draw: paint });
  watcher.observe(host);
  return host;
}
function redraw() {
  for (const drawing of drawings.values()) if (drawing.width) drawing.draw(drawing.width);
}

function choice(label, options, value, change) {
  const box = make("select", { onchange: () => change(box.value) }, options.map(([key, text]) => make("option", { value: key, selected: key === value }, text)));
  return make("label", {}, label, box);
}
function mark(place, size = 16) {
  return draw("svg", { width: size + 12, height: size, viewBox: `0 0 ${size + 12} ${size}`, style: `width:${size + 12}px;flex:none`, "aria-hidden": "true", class: "mark" },
    draw("line", { x1: 0, x2: size + 12, y1: size / 2, y2: size / 2, stroke: colour(place), "stroke-width": 2.5, "stroke-dasharray": dash(place) }),
    shape(place, (size + 12) / 2, size / 2, 5));
}
/* A policy's mark: its form tells it apart as well as its colour does. */
function shape(place, x, y, r) {
  const forms = [
    () => draw("circle", { cx: x, cy: y, r }),
    () => draw("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r }),
    () => draw("path", { d: `M${x} ${y - r * 1.2}L${x + r * 1.2} ${y + r}H${x - r * 1.2}Z` }),
    () => draw("path", { d: `M${x} ${y - r * 1.3}L${x + r * 1.3} ${y}L${x} ${y + r * 1.3}L${x - r * 1.3} ${y}Z` }),
    () => draw("path", { d: `M${x} ${y + r * 1.2}L${x + r * 1.2} ${y - r}H${x - r * 1.2}Z` }),
    () => draw("circle", { cx: x, cy: y, r: r * 0.7 }),
    () => draw("rect", { x: x - r * 1.3, y: y - r * 0.6, width: 2.6 * r, height: 1.2 * r }),
    () => draw("rect", { x: x - r * 0.6, y: y - r * 1.3, width: 1.2 * r, height: 2.6 * r }),
  ];
  const form = forms[place % 8]();
  form.setAttribute("fill", colour(place));
  form.setAttribute("stroke", "var(--card)");
  return form;
}
const card = (title, note, ...children) => make("section", { class: "card", "aria-label": title }, make("h2", {}, title), note ? make("p", { class: "note" }, note) : null, ...children);
