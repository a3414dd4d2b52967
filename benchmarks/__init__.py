"""One script a claim; each writes its figures, with machine, versions and seed, to ``results/<name>.json``."""
