"""The search for hardware that fits a workload: spaces, rungs of fidelity, searchers, a store, fronts."""
