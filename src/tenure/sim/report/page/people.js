/* Users with the most jobs: how each fares under each policy. */
function people() {
  const found = workload().users;
  if (!found) return null;
  const host = make("div");
  drawn(host, (width) => {
    const row = 24, top = 8, all = shown(), left = Math.min(170, Math.max(80, 20 + 7.6 * Math.max(...found.names.map((name) => Math.min(name.length, 20))))), right = width - (width > 600 ? 90 : 16), low = top + row * found.names.length;
    const values = all.flatMap(({ place }) => found.slowdown[place]).filter((value) => value !== null);
    const high = Math.max(10, ...values) * 1.15, x = across(powers, 1, high, left, right);
    const svg = draw("svg", { width, height: low + 44, viewBox: `0 0 ${width} ${low + 44}`, role: "group", "aria-label": "Mean bounded slowdown of each user" }, below(x, decades(1, high), top, low, "mean bounded slowdown (less is better)"),
      found.names.map((name, user) => {
        const y = top + row * (user + 0.5), mine = all.map((each) => ({ ...each, value: found.slowdown[each.place][user] })).filter(({ value }) => value !== null), places = mine.map(({ value }) => x(value));
        const text = [`${name}: ${plural(found.jobs[user], "job")}`, ...mine.map(({ policy, value }) => `${policy.name}: ${number(value)}`)].join("\n");
        return draw("g", { tabindex: 0, role: "img", "aria-label": text.replaceAll("\n", ", "), onpointermove: (event) => say(text, event), onpointerleave: () => say(""), onfocus: () => say(text, spot(svg_(host), left, y)), onblur: () => say("") },
          draw("rect", { x: 0, y: y - row / 2, width, height: row, fill: user % 2 ? "var(--grid)" : "transparent", "fill-opacity": 0.5 }),
          draw("text", { class: "strong", x: left - 10, y: y + 4.5, "text-anchor": "end" }, name.length > 20 ? `${name.slice(0, 19)}…` : name),
          places.length > 1 ? draw("line", { x1: Math.min(...places), x2: Math.max(...places), y1: y, y2: y, stroke: "var(--faint)", "stroke-width": 3 }) : null,
          mine.map(({ place, value }) => shape(place, x(value), y, 5)),
          width > 600 ? draw("text", { x: right + 12, y: y + 4.5 }, plural(found.jobs[user], "job")) : null);
      }));
    host.replaceChildren(svg);
  });
  return card("How users fare", `Mean bounded slowdown of the ${found.names.length === found.all ? "" : `${found.names.length} of ${round(found.all, 0)} `}users with the most jobs. Marks far apart in a row: the choice of the policy matters to that user.`, host);
}
const svg_ = (host) => host.querySelector("svg");
