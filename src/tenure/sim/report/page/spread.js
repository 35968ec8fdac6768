/* How waits and slowdowns are spread over the jobs: shares on a logarithmic axis, all policies over each other. */
function spreads() {
  const each = workload();
  if (!each.wait.shares.some(Boolean)) return null;
  return make("div", { class: "pair" },
    spread("How long jobs wait", "The share of jobs that wait at most so long. As a tail: the share that waits longer, where the unlucky few can be seen.", each.wait, span, LENGTHS, "wait"),
    spread("How much waiting slows jobs down", "Bounded slowdown: (wait + run) / run, with runs under 10 s counted as 10 s; 1 is no wait at all.", each.slowdown, number, null, "bounded slowdown"));
}
function spread(title, note, found, read, lengths, axis) {
  const host = make("div");
  let tail = false, cursor = null;
  drawn(host, (width) => {
    const left = 52, right = width - 14, top = 10, low = 250, end = found.at[found.at.length - 1];
    const all = shown().filter(({ place }) => found.shares[place]);
    const x = across(powers, found.at[0], end, left, right), ticks = lengths ? lengths.filter(([value]) => value <= end) : decades(found.at[0], end);
    const least = Math.max(1e-5, 10 ** Math.floor(Math.log10(1 / workload().jobs)));
    const y = tail ? powers(least, 1, low, top) : straight(0, 1, low, top);
    const value = (share) => (tail ? (1 - share < least * 0.99 ? null : y(1 - share)) : y(share));
    const marks = tail ? decades(least, 1).map(([v]) => [v, `${+(100 * v).toPrecision(3)} %`]) : [0, 0.25, 0.5, 0.75, 1].map((v) => [v, `${100 * v} %`]);
    const line = draw("line", { class: "cursor", y1: top, y2: low, visibility: "hidden" }), xs = found.at.map(x);
    const svg = draw("svg", { width, height: low + 44, viewBox: `0 0 ${width} ${low + 44}`, tabindex: 0, role: "img", "aria-label": `${title}: shares of jobs for each policy. Arrow keys read the values.` },
      below(x, ticks, top, low, axis), beside(y, marks, left, right),
      all.map(({ place }) => draw("path", { d: path(xs, found.shares[place].map(value)), fill: "none", stroke: colour(place), "stroke-width": 2.2, "stroke-dasharray": dash(place) })),
      all.map(({ place }) => shape(place, x(Math.max(found.largest[place], found.at[0])), tail ? low : top, 5)), line);
    const point = (place, event) => {
      cursor = place;
      line.setAttribute("visibility", place === null ? "hidden" : "visible");
      if (place === null) { say(""); return; }
      line.setAttribute("x1", xs[place]); line.setAttribute("x2", xs[place]);
      const text = all.map((one) => `${one.policy.name}: ${round(100 * (tail ? 1 - found.shares[one.place][place] : found.shares[one.place][place]), 2)} % (largest ${read(found.largest[one.place])})`);
      say([`${tail ? "more than" : "at most"} ${read(found.at[place])}`, ...text].join("\n"), event || spot(svg, xs[place], low / 2));
    };
    svg.addEventListener("pointermove", (event) => {
      const share = (event.clientX - svg.getBoundingClientRect().left - left) / (right - left);
      point(Math.max(0, Math.min(xs.length - 1, Math.round(share * (xs.length - 1)))), event);
    });
    svg.addEventListener("pointerleave", () => point(null));
    svg.addEventListener("blur", () => point(null));
    stepping(svg, () => xs.length, () => cursor, point);
    host.replaceChildren(svg);
  });
  const pick = choice("Show", [["share", "share at most"], ["tail", "tail: share above"]], "share", (chosen) => { tail = chosen === "tail"; redraw(); });
  return card(title, note, make("div", { class: "controls" }, pick), host);
}
