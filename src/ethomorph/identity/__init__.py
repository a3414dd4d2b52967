"""Who left this print: from landmarks or measurement tables to individuals, with an interval for their number.

`table` reads, `variables` measures, `plda` and `fit` compare trails, `posterior` and `clustering` turn comparisons into
individuals, `estimator.Identifier` is the whole chain and `identify.identify` writes everything to a folder.
"""
