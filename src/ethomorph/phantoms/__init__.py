"""Simulated specimens with known truth: the tests' truth, the demo's sample, and a place to try a protocol before data exist."""
