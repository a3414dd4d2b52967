"""`Identifier`: learns from known animals, tells how many left the trails of a survey and which trail is whose.

The whole chain behind four calls (fit, predict, save, load). Everything it learns (imputation, scaling, axes, pair
calibration, cut, count error) comes from the reference animals alone; reading files and writing reports are elsewhere.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from scipy.special import expit

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.metric import Metric
from ethomorph.core.prints import PrintTable
from ethomorph.identity import checks, crowd
from ethomorph.identity.clustering import cut_at_height, cut_to_number, grow_tree, height_for, learn_cut
from ethomorph.identity.fit import DEFAULT, PRESETS, compare_pairs
from ethomorph.identity.holdout import (
    Calibration,
    CountError,
    calibrate,
    leave_animals_out,
    measure_count_error,
    pooled_variance,
)
from ethomorph.identity.impute import Imputer
from ethomorph.identity.plda import TwoCovariance
from ethomorph.identity.posterior import sample_partitions
from ethomorph.identity.result import Identification, membership
from ethomorph.identity.score import balanced_accuracy
from ethomorph.identity.verdicts import Blocks, Verdicts, blocks_of, keeping_tree
from ethomorph.statistics.counts import count_interval

MANY = 600
"""Above this many trails the posterior is sampled more briefly."""

CROWD = 4000
"""Above this many trails a table of all trails by all animals would not fit."""

FAR_BEYOND = 3
"""Counts of so many times the reference animals are beyond what held-out animals can vouch for."""

UNLIKENESS = "unlikeness: 0 surely one animal, 1 surely two"

HELD_OUT_REPLICAS = 3
"""Replicas of the model in each round of held-out animals, so that the excess error of its counts is in excess of all
that the interval knows already."""


class HeldOut(NamedTuple):
    """One round of held-out animals: how many, how many were counted, balanced accuracy of their pairs (may be NaN)."""

    animals: int
    counted: float
    accuracy: float


class Identifier:
    """Individuals from repeated measurements (footprints, trails, calls), learned on known animals.

    Parameters
    ----------
    method : "plda", the two-covariance model with a posterior over partitions; or "fit", the pairwise
        reference-centroid method with Ward clustering.
    species : for "fit": a preset of `fit.PRESETS` for the number of variables and, in-sample, ellipses and cut.
    imputation : "forest" or "mean" for missing measurements.
    replicas : for "plda": models refitted to Bayesian-bootstrap weights of the reference animals (Rubin 1981), over
        which the posterior is pooled, so that the interval knows how few animals it was learned from.
    seed : everything random follows from it.

    Attributes
    ----------
    variables_ : names of the variables learned from.
    calibration_ : of pair scores; `cut_` : learned height of the tree ("fit"); `count_error_` : of held-out counts.
    model_ : the `TwoCovariance` ("plda").
    rounds_ : what each round of held-out animals gave; not saved.

    Examples
    --------
    >>> from ethomorph.phantoms.prints import simulate_prints
    >>> known, survey = simulate_prints(animals=20, seed=1), simulate_prints(animals=8, seed=2)
    >>> found = Identifier(replicas=2).fit(known).predict(survey)
    >>> found.individuals.low <= 8 <= found.individuals.high
    True
    """

    def __init__(
        self,
        *,
        method: Literal["plda", "fit"] = "plda",
        species: str | None = None,
        imputation: Literal["forest", "mean"] = "forest",
        replicas: int = 10,
        seed: int = 0,
    ) -> None:
        if method not in ("plda", "fit"):
            raise ValueError(f"method is 'plda' or 'fit', not {method!r}")
        if species is not None and species not in PRESETS:
            raise ValueError(f"species is one of {', '.join(PRESETS)}, not {species!r}")
        self.method, self.species, self.imputation = method, species, imputation
        self.replicas, self.seed = replicas, seed

    @property
    def _preset(self) -> Any:
        return PRESETS[self.species] if self.species else DEFAULT

    def fit(self, reference: PrintTable) -> Self:
        """Learn from prints of known animals; prints of unknown animals are not looked at.

        Raises
        ------
        LabelError
            With too few known animals.
        """
        known = reference.where(reference.known)
        if not len(known):
            raise LabelError(
                "no known animals to learn from",
                place=reference.source,
                fix="give a reference table with an animal column",
            )
        self.variables_, self.reference_ = list(known.variables), known
        self.imputer_ = Imputer(method=self.imputation, seed=self.seed).fit(known.values)
        generator = np.random.default_rng(self.seed)
        values = self.imputer_.reference_
        learn = self._learn_plda if self.method == "plda" else self._learn_pairs
        learn(values, known.animal, known.trail, generator)
        return self

    def predict(self, survey: PrintTable, *, verdicts: Verdicts | None = None) -> Identification:
        """Identify the trails of a survey; its animal labels, if any, are not looked at but for a warning on overlap.

        Parameters
        ----------
        verdicts : what a person said of pairs of trails; kept to, for method "plda".

        Raises
        ------
        LabelError
            Where a variable of the reference is absent, or there is one trail only; for verdicts that contradict each
            other, or are given to a method that cannot keep to them.
        """
        if verdicts and (self.method != "plda" or len(survey.trails) > CROWD):
            raise LabelError("verdicts are for method plda and at most 4000 trails", place=verdicts.source)
        survey = survey.with_variables(self.variables_)
        if len(survey.trails) < 2:
            raise LabelError("one trail only", place=survey.source, fix="identifying needs at least two")
        values = self.imputer_.transform(survey.values)
        if self.method == "plda":
            found = self._predict_plda(values, survey, blocks_of(verdicts or Verdicts(), survey.trails))
        else:
            found = self._predict_pairs(values, survey)
        found.warnings += checks.warnings_of(
            survey, values, self.reference_, self.imputer_.reference_, found.individual
        )
        found.warnings += filter(None, [self._other_noise(values, survey)])
        if not self.count_error_.rounds and not found.in_sample:
            found.warnings.append("too few reference animals to measure the count's error: a usual one was assumed")
        if (found.individuals.value or 0) > FAR_BEYOND * len(np.unique(self.reference_.animal)):
            found.warnings.append(
                f"many more animals than the {len(np.unique(self.reference_.animal))} learned from: the interval of "
                "the count was never tried at this size"
            )
        return found

    # ------------------------------------------------------------------ two-covariance model and posterior

    def _learn_plda(self, values: np.ndarray, animal: np.ndarray, trail: np.ndarray, generator: Any) -> None:
        self.model_, *self.replicas_ = _models(values, animal, trail, self.replicas, generator)
        scores, same, counted, variance, truth = [], [], [], [], []
        for rows, left in leave_animals_out(animal, generator):
            models = _models(values[rows], animal[rows], trail[rows], min(self.replicas, HELD_OUT_REPLICAS), generator)
            trails = models[0].summarise(values[left], trail[left])
            owner = animal[left][np.unique(trail[left], return_index=True)[1]]
            upper = np.triu_indices(len(trails), 1)
            scores.append(models[0].pair_scores(trails)[upper])
            same.append((owner[:, None] == owner)[upper])
            draws = np.stack(
                [
                    sample_partitions(m, m.summarise(values[left], trail[left]), generator, draws=15, burn_in=15).counts
                    for m in models
                ]
            )
            counted.append(np.median(draws))
            variance.append(pooled_variance(draws))
            truth.append(len(np.unique(owner)))
        self.calibration_ = calibrate(np.concatenate(scores), np.concatenate(same)) if scores else Calibration()
        self.count_error_ = measure_count_error(np.array(counted), np.array(variance), np.array(truth))
        self.rounds_ = self._rounds(truth, counted, scores, same)
        self.cut_ = 0.5
        self.misses_: list[float] = []

    def _predict_plda(self, values: np.ndarray, survey: PrintTable, blocks: Blocks) -> Identification:
        trails = self.model_.summarise(values, survey.trail)
        number, generator = len(trails), np.random.default_rng(self.seed + 1)
        if number > CROWD:
            return self._predict_crowd(values, survey)
        scores = self.calibration_(self.model_.pair_scores(trails))
        free = len(blocks.apart) == number and not blocks.apart.any()
        start = cut_at_height(grow_tree(scores.max() - scores), float(scores.max())) if number > MANY and free else None
        models = [self.model_, *self.replicas_][: None if number <= MANY else 4]
        draws, burn_in = (30, 15) if number <= MANY else (8, 6)
        counts, together = [], np.zeros((number, number), dtype=np.float64)
        for model in models:
            summary = blocks.joined(model.summarise(values, survey.trail))
            drawn = sample_partitions(
                model, summary, generator, draws=draws, burn_in=burn_in, start=start, apart=blocks.apart
            )
            counts.append(drawn.counts)
            together += blocks.of_trails(drawn.together) / len(models)
        pooled = np.concatenate(counts)
        individuals = self._count(pooled, len(blocks.apart))
        tree, least = keeping_tree(_unlikeness(scores, together), blocks)
        individual = cut_to_number(tree, max(int(individuals.value or 1), least))
        return Identification(
            trails=survey.trails, individual=individual, probability=membership(individual, together),
            individuals=individuals, scores=scores, tree=tree, cut=height_for(tree, int(individual.max()) + 1),
            height=UNLIKENESS, method="plda", in_sample=False, variables=self.variables_,
            usage=_usage(self.model_), draws=pooled,
        )  # fmt: skip

    def _predict_crowd(self, values: np.ndarray, survey: PrintTable) -> Identification:
        """As `_predict_plda` for so many trails that the table of all pairs is made once and in single precision."""
        trails = self.model_.summarise(values, survey.trail)
        generator = np.random.default_rng(self.seed + 1)
        drawn = [crowd.sample_crowd(self.model_, trails, generator, draws=4, burn_in=12)]
        for model in self.replicas_[:2]:
            summary = model.summarise(values, survey.trail)
            drawn.append(crowd.sample_crowd(model, summary, generator, draws=4, burn_in=3, start=drawn[0][-1]))
        every = np.concatenate(drawn)
        scores = crowd.all_pair_scores(self.model_, trails, self.calibration_.slope, self.calibration_.offset)
        counts = every.max(axis=1) + 1
        individuals = self._count(counts, len(trails))
        tree = crowd.two_storey_tree(scores, every, crowd.best_draw(every))
        individual = cut_to_number(tree, int(individuals.value or 1))
        return Identification(
            trails=survey.trails, individual=individual, probability=crowd.membership_of_draws(every, individual),
            individuals=individuals, scores=scores, tree=tree, cut=height_for(tree, int(individual.max()) + 1),
            height=UNLIKENESS, method="plda", in_sample=False, variables=self.variables_,
            usage=_usage(self.model_), draws=counts,
        )  # fmt: skip

    def _other_noise(self, values: np.ndarray, survey: PrintTable) -> str:
        """Whether prints were measured as exactly as the reference's, on what they are compared by."""
        known = self.imputer_.reference_
        if self.method == "plda":
            values, known = self.model_.project(values), self.model_.project(known)
        return checks.other_noise(survey, values, self.reference_, known)

    def _rounds(self, truth: Any, counted: Any, scores: list[np.ndarray], same: list[np.ndarray]) -> list[HeldOut]:
        return [
            HeldOut(int(t), float(c), balanced_accuracy(self.calibration_(raw), pair))
            for t, c, raw, pair in zip(truth, counted, scores, same, strict=True)
        ]

    def _count(self, draws: np.ndarray, trails: int) -> Metric:
        """The number of animals from drawn counts, as wide as counts of held-out animals were wrong."""
        error = self.count_error_
        freedom = max(error.rounds - 1, 3)
        return count_interval(
            draws, overdispersion=error.overdispersion, freedom=freedom, largest=trails, unit="animals"
        )

    # ------------------------------------------------------------------ pairwise reference-centroid method

    def _learn_pairs(self, values: np.ndarray, animal: np.ndarray, trail: np.ndarray, generator: Any) -> None:
        scores, same, trees, numbers, learned_from = [], [], [], [], []
        for rows, left in leave_animals_out(animal, generator, rounds=15, shares=(0.2, 0.35, 0.5)):
            pairs = compare_pairs(values[left], trail[left], values[rows], variables=self._preset.variables)
            owner = animal[left][np.unique(trail[left], return_index=True)[1]]
            upper = np.triu_indices(len(owner), 1)
            scores.append(-np.log1p(pairs.distance)[upper])
            same.append((owner[:, None] == owner)[upper])
            trees.append(grow_tree(np.log1p(pairs.distance), method="ward"))
            numbers.append(len(np.unique(owner)))
            learned_from.append(len(np.unique(animal[rows])))
        if not trees:
            self.calibration_, self.cut_, self.count_error_ = self._preset_calibration(), self._preset.cut, CountError()
            self.misses_, self.rounds_ = [0.0], []
            return
        self.calibration_ = calibrate(np.concatenate(scores) + 1.5, np.concatenate(same), scale=5.0)
        self.calibration_ = Calibration(
            self.calibration_.slope, self.calibration_.offset + 1.5 * self.calibration_.slope
        )
        cut = learn_cut(trees, numbers, learned_from)
        self.cut_, self.misses_ = cut.at(len(np.unique(animal))), list(cut.misses)
        counted = np.array([cut_at_height(t, cut.at(n)).max() + 1 for t, n in zip(trees, learned_from, strict=True)])
        self.count_error_ = measure_count_error(counted, np.zeros(len(counted)), np.array(numbers))
        self.rounds_ = self._rounds(numbers, counted, scores, same)

    def _preset_calibration(self) -> Calibration:
        """Pairs called as the preset's pooled ellipses call them: same where the circles of that coverage overlap."""
        from scipy.stats import chi2

        limit = float(np.log1p(2 * np.sqrt(chi2.ppf(self._preset.coverage, 2))))
        return Calibration(10.0, 10.0 * limit)

    def _predict_pairs(self, values: np.ndarray, survey: PrintTable) -> Identification:
        reference = self.imputer_.reference_
        in_sample = bool(set(survey.trails) & set(self.reference_.trails))
        calibration, cut, misses = self.calibration_, self.cut_, self.misses_
        if in_sample:
            calibration, cut, misses = self._preset_calibration(), self._preset.cut, []
        pairs = compare_pairs(values, survey.trail, reference, variables=self._preset.variables)
        scores = calibration(-np.log1p(pairs.distance))
        tree = grow_tree(np.log1p(pairs.distance), method="ward")
        draws = np.array([cut_at_height(tree, max(cut + miss, 0.0)).max() + 1 for miss in [0.0, *misses]])
        individuals = self._count(draws, len(survey.trails))
        number = int(individuals.value or 1)
        individual = cut_to_number(tree, number)
        prior = -np.log(max(number - 1, 1))  # two trails at random share one of `number` animals
        together = expit(scores + prior)
        return Identification(
            trails=survey.trails, individual=individual, probability=membership(individual, together),
            individuals=individuals, scores=scores, tree=tree, cut=height_for(tree, number),
            height="Ward height on log(1 + distance)",
            method="fit", in_sample=in_sample, variables=self.variables_, usage=pairs.chosen, draws=draws,
        )  # fmt: skip

    # ------------------------------------------------------------------ on disk

    def save(self, folder: str | Path) -> Path:
        """Write settings, reference prints and what was learned: ``model.toml``, ``model.safetensors``, no pickle."""
        import tomli_w
        from safetensors.numpy import save_file

        folder = Path(folder)
        arrays = {"reference": self.reference_.values, "completed": self.imputer_.reference_}
        models = [self.model_, *self.replicas_] if self.method == "plda" else []
        for i, model in enumerate(models):
            arrays |= {f"model{i}.{name}": np.ascontiguousarray(array) for name, array in model.to_arrays().items()}
        settings = {
            "kind": "identity",
            "settings": {k: v for k, v in self._settings().items() if v is not None},
            "learned": {
                "cut": self.cut_,
                "misses": self.misses_,
                **asdict(self.calibration_),
                **asdict(self.count_error_),
            },
            "variables": self.variables_,
            "reference": {"animal": self.reference_.animal.tolist(), "trail": self.reference_.trail.tolist()},
        }
        with atomic_path(folder / "model.safetensors") as path:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
        write_text(folder / "model.toml", tomli_w.dumps(settings))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote. Raises FormatError for a folder that holds no such model."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        try:
            stored = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
            arrays = load_file(folder / "model.safetensors")
            self = cls(**stored["settings"])
            learned, labels = stored["learned"], stored["reference"]
            self.variables_ = stored["variables"]
            self.reference_ = PrintTable(
                arrays["reference"],
                self.variables_,
                np.array(labels["trail"]),
                np.array(labels["animal"]),
                source=str(folder),
            )
            self.imputer_ = Imputer(method=self.imputation, seed=self.seed).resume(
                arrays["reference"], arrays["completed"]
            )
            self.cut_, self.misses_ = learned["cut"], learned["misses"]
            self.calibration_ = Calibration(learned["slope"], learned["offset"])
            self.count_error_ = CountError(learned["overdispersion"], learned["rounds"])
            names = sorted({int(name[5:].split(".")[0]) for name in arrays if name.startswith("model")})
            models = [
                TwoCovariance(**{name.split(".")[1]: a for name, a in arrays.items() if name.startswith(f"model{i}.")})
                for i in names
            ]
            if self.method == "plda":
                self.model_, self.replicas_ = models[0], models[1:]
        except (OSError, KeyError, TypeError, ValueError, IndexError, SafetensorError) as error:
            raise FormatError(
                f"no identity model ({type(error).__name__})", place=folder, fix="give a folder that save() wrote"
            ) from None
        return self

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("method", "species", "imputation", "replicas", "seed")}


def _models(
    values: np.ndarray, animal: np.ndarray, trail: np.ndarray, replicas: int, generator: np.random.Generator
) -> list[TwoCovariance]:
    """The model, and `replicas` of it fitted to Bayesian-bootstrap weights of the animals."""
    number = len(np.unique(animal))
    weights = [None, *(generator.dirichlet(np.ones(number)) for _ in range(replicas))]
    return [TwoCovariance.fit(values, animal, trail, weights=weight) for weight in weights]


def _unlikeness(scores: np.ndarray, together: np.ndarray) -> np.ndarray:
    """Half the chance of being different animals, half the pair's own score between 0 and 1.

    The chances alone are nearly all 0 or 1; the scores order what they leave tied, and show who is nearest.
    """
    typical = max(float(np.median(np.abs(scores))), 1.0)
    return (1 - together) / 2 + expit(-scores / typical) / 2


def _usage(model: TwoCovariance) -> np.ndarray:
    """(variables,) share of the between-animal information that loads on each variable."""
    weight = (model.axes**2 * (model.between / (model.print + model.trail + 1e-12))).sum(1)
    return weight / weight.sum()
