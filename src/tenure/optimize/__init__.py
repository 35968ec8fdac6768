"""Searching for better plans than a rule finds: what a schedule is, how good it is, and several ways to look for one.

A schedule is an order of the first waiting jobs; `tenure.optimize.schedule` says what would start when and where if they were placed
one after another, each as early as it can be. Annealing is ours, genetic and swarm search come with the extra ``moo``, the exact solver
with ``opt``. `tenure.optimize.planned` makes a policy of them, `tenure.optimize.words` gives them names. Invariant: whatever a search
finds is carried out by the planning cycle and checked before a commit like every plan; no library is imported before it is asked for.
"""
