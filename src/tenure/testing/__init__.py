"""Public test material: builders, the scenario language, a naive planner as oracle, hypothesis strategies, contract suites."""
