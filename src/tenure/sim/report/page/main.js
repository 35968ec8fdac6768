/* Puts the page together, again whenever another log is chosen. */
function build() {
  drawings.forEach((_, host) => watcher.unobserve(host));
  drawings.clear();
  windowWatchers.length = 0;
  firstWindow();
  const several = workload().policies.length > 1;
  const parts = [header(), tiles(), legend(), table(), workload().lasting ? null : curves(), spreads(), several ? scatter() : null, gantt(), devices(), people()];
  parts.push(make("footer", {}, `Made by tenure ${data.version}. Every start and end stands in decisions.jsonl beside this page, every figure in metrics.json.`));
  document.getElementById("page").replaceChildren(...parts.filter(Boolean));
}
addEventListener("keydown", (event) => { if (event.key === "Escape") say(""); });
addEventListener("scroll", () => say(""), { passive: true });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", redraw);
addEventListener("afterprint", redraw);
build();
