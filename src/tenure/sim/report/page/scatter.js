/* Policies as points between two figures. The front: those that no other policy beats in both. */
function scatter() {
  const choices = metrics().filter((metric) => workload().policies.filter(({ figures }) => figures[metric.key] !== null).length);
  if (choices.length < 2) return null;
  const find = (key, other) => choices.find((metric) => metric.key === key) || choices[other];
  const host = make("div");
  let across_ = workload().lasting ? find("gpu_allocated_pct", 0) : find("mean_wait_s", 0), up = workload().lasting ? find("fragmentation_pct", 1) : find("max_wait_s", 1);
  drawn(host, (width) => {
    const all = shown().map((each) => ({ ...each, a: each.policy.figures[across_.key], b: each.policy.figures[up.key] })).filter(({ a, b }) => a !== null && b !== null);
    const left = 76, right = width - 22, top = 16, low = 300;
    const [kindX, fromX, toX] = kindOf(all.map(({ a }) => a)), [kindY, fromY, toY] = kindOf(all.map(({ b }) => b));
    const x = across(kindX, fromX, toX, left, right), y = kindY(fromY, toY, low, top);
    const front = all.filter((one) => !all.some((other) => beats(other, one))).sort((one, other) => one.a - other.a);
    const ticks = (metric, scale, kind, from, to, wanted) => kind === powers ? steps(metric.unit, scale.back(from), scale.back(to)) : ticksOf(metric.unit, Math.min(scale.back(from), scale.back(to)), Math.max(scale.back(from), scale.back(to)), wanted);
    const svg = draw("svg", { width, height: low + 46, viewBox: `0 0 ${width} ${low + 46}`, role: "group", "aria-label": `${across_.label} against ${up.label}` },
      below(x, ticks(across_, x, kindX, left, right, Math.max(2, width / 150)), top, low, `${across_.label} (${better(across_)}${kindX === powers ? ", in powers" : ""})`), beside(y, ticks(up, y, kindY, low, top, 5), left, right),
      draw("text", { x: left, y: top - 4, "text-anchor": "start" }, `${up.short} (${better(up)}${kindY === powers ? ", in powers" : ""})`),
      front.length > 1 ? draw("path", { d: path(front.map(({ a }) => x(a)), front.map(({ b }) => y(b))), fill: "none", stroke: "var(--soft)", "stroke-width": 1.5, "stroke-dasharray": "5 4" }) : null,
      labelled(all, front, x, y, right, top, low));
    host.replaceChildren(svg);
  });
  function labelled(all, front, x, y, right, top, low) {
    const taken = [];
    return all.map((one) => {
      const px = x(one.a), py = y(one.b), wide = one.policy.name.length * 7.4, leftwards = px + 12 + wide > right;
      const from = leftwards ? px - 12 - wide : px + 12;
      const at = (step) => py + 4.5 + (step % 2 ? -17 : 17) * Math.ceil(step / 2);
      const free = (ty) => ty > top + 10 && ty < low - 4 && !taken.some(([a, b, c]) => Math.abs(c - ty) < 16 && from < b && a < from + wide);
      const ty = at(Math.max(0, [...Array(24).keys()].findIndex((step) => free(at(step)))));
      taken.push([from, from + wide, ty]);
      const text = `${one.policy.name}${front.includes(one) ? "\non the Pareto front" : ""}\n${across_.label}: ${told(one.a, across_.unit)}\n${up.label}: ${told(one.b, up.unit)}`;
      return draw("g", { tabindex: 0, role: "img", "aria-label": text.replaceAll("\n", ", "), onpointermove: (event) => say(text, event), onpointerleave: () => say(""), onfocus: (event) => say(text, spot(event.target.ownerSVGElement, px, py)), onblur: () => say("") },
        draw("circle", { cx: px, cy: py, r: 16, fill: "transparent" }),
        front.includes(one) ? draw("circle", { cx: px, cy: py, r: 11, fill: "none", stroke: colour(one.place), "stroke-width": 1.8 }) : null,
        shape(one.place, px, py, 6.5), draw("text", { class: "strong", x: leftwards ? px - 14 : px + 14, y: ty, "text-anchor": leftwards ? "end" : "start" }, one.policy.name));
    });
  }
  const beats = (one, other) => one !== other && no(one.a, other.a, across_) && no(one.b, other.b, up) && (one.a !== other.a || one.b !== other.b);
  const no = (mine, others, metric) => (metric.better === "more" ? mine >= others : mine <= others);
  const better = (metric) => (metric.better === "more" ? "more is better" : "less is better");
  const options = choices.map((metric) => [metric.key, metric.short]);
  return card("What a policy buys, and with what", "Each policy between two figures. Ringed and joined: the Pareto front, the policies that no other one here beats in both.",
    make("div", { class: "controls" }, choice("Across", options, across_.key, (key) => { across_ = find(key, 0); redraw(); }), choice("Up", options, up.key, (key) => { up = find(key, 1); redraw(); })), host);
}
/* An axis in powers where one policy is so far off that the others would be one point; its ticks at round numbers or lengths of time. */
function kindOf(values) {
  const low = Math.min(...values), high = Math.max(...values);
  return low > 0 && high / low > 12 ? [powers, low / 1.25, high * 1.25] : [straight, ...room(values)];
}
function steps(unit, low, high) {
  const ticks = unit === "s" ? LENGTHS.filter(([value]) => value >= low && value <= high) : decades(low, high);
  return ticks.length > 1 ? ticks : [low, Math.sqrt(low * high), high].map((value) => [value, told(value, unit)]);
}
function room(values) {
  const low = Math.min(...values), high = Math.max(...values), margin = (high - low) * 0.12 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
}
