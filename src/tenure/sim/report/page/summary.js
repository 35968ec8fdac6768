/* What was simulated, and the table of policies. */
function header() {
  const each = workload();
  const skipped = Object.entries(each.skipped).map(([why, count]) => `${round(count, 0)} ${why}`).join(", ");
  const machines = [plural(each.nodes, "node"), `${round(each.cpu_milli / 1000, 0)} ${each.gpu_milli ? "cores" : "processors"}`];
  if (each.gpu_milli) machines.push(`${plural(each.gpu_milli / 1000, "GPU")}${each.models.length && each.models.length < 4 ? ` (${each.models.join(", ")})` : ""}`);
  const facts = [
    ["Jobs", round(each.jobs, 0)], ["Machines", machines.join(", ")], ["Run times known to the planner", each.runtimes],
    each.lasting ? null : ["Simulated time", span(each.span_ms / 1000)],
    data.seed === undefined ? null : ["Seed", String(data.seed)], ["Tenure", data.version], skipped ? ["Left out of the log", skipped] : null,
  ].filter(Boolean);
  const choose = data.workloads.length > 1
    ? make("div", { class: "controls" }, choice("Log", data.workloads.map((item, place) => [String(place), item.name]), String(state.workload), (value) => { state.workload = +value; build(); }))
    : null;
  return make("header", {}, make("h1", {}, each.name), choose, make("dl", { class: "facts" }, facts.map(([term, text]) => make("div", {}, make("dt", {}, term), make("dd", {}, text)))));
}
function legend() {
  const toggle = (name) => {
    if (state.hidden.has(name)) state.hidden.delete(name); else if (shown().length > 1) state.hidden.add(name);
    for (const button of box.children) button.setAttribute("aria-pressed", String(!state.hidden.has(button.dataset.policy)));
    redraw();
  };
  const box = make("div", { class: "legend", role: "group", "aria-label": "Policies shown in the plots" }, workload().policies.map((policy, place) =>
    make("button", { type: "button", "aria-pressed": String(!state.hidden.has(policy.name)), "data-policy": policy.name, title: "Show or hide in the plots", onclick: () => toggle(policy.name) }, mark(place), policy.name)));
  return box;
}
/* The answer before the evidence: of each figure that people ask for first, who is best and how far the first policy is from it. */
function tiles() {
  const wanted = workload().lasting ? ["gpu_allocated_pct", "fragmentation_pct", "dropped"] : ["avebsld", "mean_wait_s", "max_wait_s", "deadline_hit_pct", workload().gpu_milli ? "gpu_allocated_pct" : "cpu_utilisation_pct", "fairness_jain", "energy_kwh", "cost"];
  const first = workload().policies[0];
  const found = wanted.map((key) => metrics().find((metric) => metric.key === key)).filter(Boolean).slice(0, 6).map((metric) => {
    const value = best(metric), place = value === null ? 0 : workload().policies.findIndex(({ figures }) => figures[metric.key] === value);
    const policy = workload().policies[place], mine = policy.figures[metric.key], others = first.figures[metric.key];
    const who = workload().policies.length === 1 ? null : value === null ? make("span", { class: "who" }, "the same for all") : make("span", { class: "who" }, mark(place, 13), policy.name);
    const than = place && others !== null ? `${first.name}: ${told(others, metric.unit)}${apart(mine, others)}` : "";
    return make("div", { class: "tile" }, make("span", { class: "what", title: metric.label }, metric.label.split(/[:,]/)[0]), make("strong", {}, told(mine, metric.unit)), who, than ? make("span", { class: "than" }, than) : null);
  });
  return found.length ? make("section", { class: "tiles", "aria-label": "In short" }, found) : null;
}
function apart(mine, others) {
  const times = mine > 0 && others > 0 ? Math.max(mine / others, others / mine) : 0;
  return times >= 1.95 ? `, ${round(times, times < 10 ? 1 : 0)} times as ${others > mine ? "much" : "little"}` : times >= 1.005 ? `, ${round(100 * Math.abs(others / mine - 1), times < 1.1 ? 1 : 0)} % ${others > mine ? "more" : "less"}` : "";
}
/* The metrics that say anything about this workload. */
function metrics() {
  return data.metrics.map(([key, short, label, unit, better, first]) => ({ key, short, label, unit, better, first }))
    .filter(({ key }) => workload().policies.some(({ figures }) => figures[key] !== null) && !(["preemptions", "work_lost_s", "dropped", "waiting"].includes(key) && workload().policies.every(({ figures }) => !figures[key])));
}
function best(metric) {
  const values = workload().policies.map(({ figures }) => figures[metric.key]).filter((value) => value !== null);
  if (new Set(values.map((value) => told(value, metric.unit))).size < 2) return null;
  return metric.better === "more" ? Math.max(...values) : Math.min(...values);
}
function table() {
  const columns = metrics().filter(({ first }) => first), rows = workload().policies.map((policy, place) => ({ policy, place }));
  const body = make("tbody"), heads = [];
  let by = null, up = true;
  const value = (row) => (by ? row.policy.figures[by.key] : row.place);
  const paint = () => {
    const order = [...rows].sort((a, b) => (value(a) === null) - (value(b) === null) || (up ? 1 : -1) * (value(a) - value(b)) || a.place - b.place);
    body.replaceChildren(...order.map((row) => make("tr", {}, make("th", { scope: "row", title: row.policy.name }, row.policy.name), columns.map((metric) => cell(metric, row.policy.figures[metric.key])))));
    for (const [metric, head] of heads) head.setAttribute("aria-sort", metric === by ? (up ? "ascending" : "descending") : "none");
  };
  const sort = (metric) => { up = metric === by ? !up : !metric || metric.better !== "more"; by = metric; paint(); };
  const head = (metric) => {
    const node = make("th", { scope: "col" }, make("button", { type: "button", title: metric ? metric.label : "As given", onclick: () => sort(metric) }, metric ? metric.short : "Policy"));
    heads.push([metric, node]);
    return node;
  };
  const found = make("table", {}, make("caption", { class: "hush" }, "Figures of each policy; the headings sort"), make("thead", {}, make("tr", {}, head(null), columns.map(head))), body);
  paint();
  const section = card("Policies compared", "The best value of a column is marked. Click a heading to sort by it; figures follow the log's own times.", make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of figures" }, found));
  section.id = "figures";
  return section;
}
function cell(metric, value) {
  const wins = value !== null && value === best(metric), most = Math.max(...workload().policies.map(({ figures }) => figures[metric.key] || 0));
  const text = told(value, metric.unit);
  return make("td", { class: wins ? "best" : null, title: value === null ? null : `${metric.label}: ${value}${metric.unit ? ` ${metric.unit}` : ""}` }, text, wins ? make("span", { class: "hush" }, " (best)") : null,
    most > 0 && value !== null ? make("span", { class: "bar", style: `width:${Math.max(2, (100 * value) / most).toFixed(1)}%` }) : null);
}
