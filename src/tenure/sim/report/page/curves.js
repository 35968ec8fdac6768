/* Use and queue over time: one panel a policy, shared axes, one cursor through all of them; and the GPUs' samples. */
function curves() {
  const host = make("div"), panels = [];
  let cursor = null;
  const each = workload(), gpu = each.policies.some(({ curves: c }) => c.gpu_pct), key = gpu ? "gpu_pct" : "cpu_pct";
  const all = each.policies[0].curves.queue.length, step = each.span_ms / 1000 / all;
  let stretches = all, seconds = all * step;
  const point = (place) => {
    cursor = place;
    for (const panel of panels) panel.point(place);
  };
  drawn(host, (width) => {
    panels.length = 0;
    // The axis ends with the last of the policies that are shown: who hides a straggler sees the others better.
    stretches = Math.max(8, ...shown().map(({ policy }) => lastBusy(policy.curves) + 1));
    seconds = stretches * step;
    const peak = Math.max(1, ...shown().map(({ policy }) => Math.max(...policy.curves.queue_peak)));
    host.replaceChildren(...shown().map(({ policy, place }, order, all) => panel(policy, place, width, order === all.length - 1, peak)));
    point(cursor);
  });
  function panel(policy, place, width, last, peak) {
    const left = 46, right = width - 12, high = 66, gap = 18, top = 8, middle = top + high, low = middle + gap + 44;
    const x = across(straight, 0, seconds, left, right), use = straight(0, 100, middle, top), queue = straight(0, peak, low, middle + gap);
    const at = (index) => x(((index + 0.5) / stretches) * seconds), xs = policy.curves.queue.slice(0, stretches).map((_, index) => at(index));
    const area = (ys, floor) => `${path(xs, ys)}L${xs[xs.length - 1].toFixed(1)} ${floor}L${xs[0].toFixed(1)} ${floor}Z`;
    const used = (policy.curves[key] || policy.curves.queue.map(() => 0)).slice(0, stretches), uses = used.map(use);
    const queues = policy.curves.queue.slice(0, stretches).map(queue), peaks = policy.curves.queue_peak.slice(0, stretches).map(queue);
    const line = draw("line", { class: "cursor", y1: top, y2: low, visibility: "hidden" });
    const band = draw("rect", { class: "window", y: top, height: low - top, visibility: "hidden" });
    const svg = draw("svg", { width, height: low + (last ? 42 : 10), viewBox: `0 0 ${width} ${low + (last ? 42 : 10)}`, tabindex: 0, role: "img", "aria-label": `${policy.name}: use in per cent and jobs waiting over time. Arrow keys read the values.` },
      below(x, moments(0, seconds, width / 110), top, low, last ? "time since the first submission" : ""),
      beside(use, [[0, ""], [50, "50 %"], [100, "100 %"]], left, right), beside(queue, [[0, "0"], [peak, round(peak, 0)]], left, right),
      draw("path", { d: area(uses, middle), fill: colour(place), "fill-opacity": 0.22 }), draw("path", { d: path(xs, uses), fill: "none", stroke: colour(place), "stroke-width": 1.4 }),
      draw("path", { d: area(peaks, low), fill: colour(place), "fill-opacity": 0.22 }), draw("path", { d: path(xs, queues), fill: "none", stroke: colour(place), "stroke-width": 1.4 }),
      band, line);
    if (!last) svg.querySelectorAll("g:first-of-type text").forEach((label) => label.remove());
    const read = make("span", { class: "read", "aria-live": "off" });
    const index = (event) => Math.max(0, Math.min(stretches - 1, Math.floor((x.back(event.clientX - svg.getBoundingClientRect().left) / seconds) * stretches)));
    svg.addEventListener("pointermove", (event) => point(index(event)));
    svg.addEventListener("pointerleave", () => point(null));
    svg.addEventListener("click", (event) => moveWindow((index(event) + 0.5) / all));
    stepping(svg, () => stretches, () => cursor, point);
    svg.addEventListener("keydown", (event) => { if (event.key === "Enter" && cursor !== null) moveWindow((cursor + 0.5) / all); });
    panels.push({
      point(place) {
        line.setAttribute("visibility", place === null ? "hidden" : "visible");
        if (place !== null && place >= stretches) place = stretches - 1;
        if (place !== null) { line.setAttribute("x1", at(place)); line.setAttribute("x2", at(place)); }
        read.textContent = place === null ? "" : `at ${when((place + 0.5) * step)}: ${round(used[place], 1)} % in use, ${number(policy.curves.queue[place])} waiting (peak ${round(policy.curves.queue_peak[place], 0)})`;
        const narrow = state.to - state.from < 0.999 && workload().gantt;
        band.setAttribute("visibility", narrow ? "visible" : "hidden");
        if (narrow) { const from = Math.min(right, x(state.from * all * step)); band.setAttribute("x", from); band.setAttribute("width", Math.max(2, Math.min(right, x(state.to * all * step)) - from)); }
      },
    });
    return make("div", { class: "panel" }, make("div", { class: "head" }, mark(place), make("h3", {}, policy.name), read), svg);
  }
  windowWatchers.push(() => { for (const panel of panels) panel.point(cursor); });
  return card("Use and queue over time", `Above: ${gpu ? "GPUs" : "processors"} allocated, in per cent. Below: jobs waiting, the line their mean and the shade the peak of each stretch of ${span(step)}. ${each.gantt ? "A click moves the window of the Gantt chart there." : ""}`, host);
}
function lastBusy(found) {
  const used = found.gpu_pct || found.cpu_pct || found.queue;
  return found.queue_peak.findLastIndex((count, place) => count > 0 || used[place] > 0);
}
/* The GPUs by the samples: stranded over time, or, where nothing ever ends, over what has been asked for. */
function devices() {
  const each = workload(), lasting = each.lasting;
  if (!each.policies.some((policy) => policy.devices)) return null;
  const samples = (policy) => policy.devices || { at_ms: [], arrived: [], allocated: [], stranded: [] };
  const xs = (policy) => (lasting ? samples(policy).arrived : samples(policy).at_ms.map((at) => at / 1000));
  const title = lasting ? "GPUs asked for so far, in per cent of all" : "time since the first submission";
  const one = (heading, note, key, digits) => card(heading, note, lines({
    xs, ys: (policy) => samples(policy)[key], title, time: !lasting, label: heading,
    read: (policy, place) => `${round(samples(policy)[key][place], digits)} %`, at: (value) => (lasting ? `${round(value, 1)} % asked for` : `at ${when(value)}`),
  }));
  const stranded = one("Fragmentation over time", "GPU capacity that is free and of no use to a job drawn from the log, in per cent of all.", "stranded", 2);
  return lasting ? make("div", { class: "pair" }, one("GPUs allocated", "Of all GPUs, in per cent, as jobs come that never leave.", "allocated", 2), stranded) : stranded;
}
/* Several policies' lines over one axis with a cursor: the tip names every value there. */
function lines({ xs, ys, title, time, label, read, at }) {
  const host = make("div");
  let cursor = null;
  drawn(host, (width) => {
    const left = 46, right = width - 12, top = 10, low = 210, all = shown();
    const high = Math.max(1e-9, ...all.map(({ policy }) => Math.max(0, ...ys(policy)))), end = Math.max(1e-9, ...all.map(({ policy }) => Math.max(0, ...xs(policy))));
    const x = across(straight, 0, end, left, right), ticks = even(0, high, 4), y = straight(0, Math.max(high, ticks[ticks.length - 1]), low, top);
    const longest = all.reduce((a, b) => (xs(b.policy).length > xs(a.policy).length ? b : a)).policy;
    const line = draw("line", { class: "cursor", y1: top, y2: low, visibility: "hidden" });
    const svg = draw("svg", { width, height: low + 44, viewBox: `0 0 ${width} ${low + 44}`, tabindex: 0, role: "img", "aria-label": `${label}, a line for each policy. Arrow keys read the values.` },
      below(x, time ? moments(0, end, width / 110) : even(0, end, width / 90).map((value) => [value, `${value} %`]), top, low, title), beside(y, ticks.map((value) => [value, `${value} %`]), left, right),
      all.map(({ policy, place }) => draw("path", { d: path(xs(policy).map(x), ys(policy).map(y)), fill: "none", stroke: colour(place), "stroke-width": 2, "stroke-dasharray": dash(place) })), line);
    const nearest = (list, value) => list.reduce((found, item, place) => (Math.abs(item - value) < Math.abs(list[found] - value) ? place : found), 0);
    const point = (place, event) => {
      cursor = place;
      line.setAttribute("visibility", place === null ? "hidden" : "visible");
      if (place === null) { say(""); return; }
      const value = xs(longest)[place];
      line.setAttribute("x1", x(value)); line.setAttribute("x2", x(value));
      say([at(value), ...all.filter(({ policy }) => xs(policy).length).map(({ policy }) => `${policy.name}: ${read(policy, nearest(xs(policy), value))}`)].join("\n"), event || spot(svg, x(value), low / 2));
    };
    svg.addEventListener("pointermove", (event) => point(nearest(xs(longest), x.back(event.clientX - svg.getBoundingClientRect().left)), event));
    svg.addEventListener("pointerleave", () => point(null));
    svg.addEventListener("blur", () => point(null));
    stepping(svg, () => xs(longest).length, () => cursor, point);
    host.replaceChildren(svg);
  });
  return host;
}
