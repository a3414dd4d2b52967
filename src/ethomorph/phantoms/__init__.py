"""Simulated specimens with known truth: for tests, for the demonstration, and to try a protocol before data exist."""
