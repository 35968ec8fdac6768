"""The rules of the house, as tests: layers, budgets, words, links."""
