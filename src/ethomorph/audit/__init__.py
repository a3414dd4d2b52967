"""Is this data set fit to learn from: leakage, duplicates, balance, coverage, and labels that cannot be right."""
