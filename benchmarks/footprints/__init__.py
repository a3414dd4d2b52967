"""The parts of ``python -m benchmarks.identity``: public tables, missing landmarks, simulations, scale."""
