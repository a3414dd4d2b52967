"""Simulated footprint tables with known truth: animals, their trails and prints on correlated measurements.

For tests, benchmarks and planning a survey ("would 3 prints a trail do?"). The shares of variance are those seen in
captive big cats; field data have more between trails.
"""

from __future__ import annotations

import numpy as np

from ethomorph.core.prints import PrintTable

CAPTIVE = (0.61, 0.01, 0.38)
"""Shares of variance between animals, between trails of an animal, between prints of a trail; captive cats."""

FIELD = (0.36, 0.06, 0.58)
"""The same in the field."""


def simulate_prints(
    *,
    animals: int = 30,
    trails: tuple[int, int] = (2, 4),
    prints: tuple[int, int] = (6, 8),
    shares: tuple[float, float, float] = CAPTIVE,
    latent: int = 25,
    variables: int = 120,
    noise: float = 0.05,
    sites: int = 1,
    substrate_shift: float = 0.0,
    missing: float = 0.0,
    seed: int = 0,
    form: int = 0,
) -> PrintTable:
    """Draw a table ``value = mean + animal + trail + print`` on `latent` axes, loaded onto correlated variables.

    Parameters
    ----------
    animals : how many.
    trails, prints : least and most trails an animal, prints a trail (uniform).
    shares : parts of the variance between animals, trails and prints; they are made to sum to 1.
    latent : axes of true variation, of falling size.
    variables : measured variables (cm-like, positive).
    noise : standard deviation of the measuring error of each variable, in units of its own.
    sites : trails of an animal are all at one site; sites take turns.
    substrate_shift : standard deviation of each site's own shift on every axis, in total standard deviations.
    missing : share of cells emptied at random.
    seed : draws the animals, trails and prints.
    form : draws the species (mean and loadings); tables to be compared share it.

    Returns
    -------
    PrintTable
        With attributes ``site`` and ``sex`` (the first axis differs between the sexes).

    Examples
    --------
    >>> table = simulate_prints(animals=3, trails=(1, 1), prints=(5, 5))
    >>> table.values.shape, table.trails[:2]
    ((15, 120), ['animal 1/1', 'animal 2/1'])
    """
    species, generator = np.random.default_rng([form, 7]), np.random.default_rng(seed)
    size = 0.93 ** np.arange(latent)
    loadings = species.normal(size=(latent, variables)) * size[:, None]
    loadings /= np.sqrt((loadings**2).sum(0))
    mean = species.uniform(4, 20, size=variables)
    unit = 0.08 * mean  # coefficient of variation of a paw's measurements
    between, walk, step = np.sqrt(np.asarray(shares) / np.sum(shares))
    shift = substrate_shift * generator.normal(size=(sites, latent))
    digits = len(str(animals))
    rows, who, which, where, sexes = [], [], [], [], []
    for number in range(animals):
        sex, site = number % 2, number // 2 % sites  # both sexes at every site
        self = between * generator.normal(size=latent)
        self[0] += 0.8 * (2 * sex - 1) * between
        for trail in range(int(generator.integers(trails[0], trails[1] + 1))):
            centre = self + walk * generator.normal(size=latent) + shift[site]
            count = int(generator.integers(prints[0], prints[1] + 1))
            rows.append(centre + step * generator.normal(size=(count, latent)))
            who += [f"animal {number + 1:0{digits}d}"] * count
            which += [f"animal {number + 1:0{digits}d}/{trail + 1}"] * count
            where += [f"site {site + 1}"] * count
            sexes += ["FM"[sex]] * count
    scores = np.concatenate(rows)
    values = mean + unit * (scores @ loadings + noise * generator.normal(size=(len(scores), variables)))
    values[generator.random(values.shape) < missing] = np.nan
    return PrintTable(
        values,
        [f"V{i + 1}" for i in range(variables)],
        np.array(which),
        np.array(who),
        {"site": np.array(where), "sex": np.array(sexes)},
        source="simulated prints",
    )
