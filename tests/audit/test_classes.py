"""Checks of labelled classes against data in which the fault was planted, and against data without any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ethomorph.audit.checks import (
    class_support,
    label_noise,
    metadata_shortcut,
    near_frames,
    place,
    prior_shift,
    sampling,
    time_gap,
)
from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.curve import learning_curve
from ethomorph.audit.data import AuditData
from ethomorph.audit.metadata_model import cross_predicted, metadata_of, random_folds
from ethomorph.audit.run import run_audit
from ethomorph.audit.shortcut import measure_shortcut

ANIMALS, EACH = 12, 40


def table(seed: int = 0, **columns: np.ndarray) -> pd.DataFrame:
    """Labels that nothing else tells: three classes in equal shares, 12 animals of 40 samples."""
    rng = np.random.default_rng(seed)
    count = ANIMALS * EACH
    frame = pd.DataFrame(
        {
            "sample": [f"c{i}" for i in range(count)],
            "group": np.repeat([f"fish {i}" for i in range(ANIMALS)], EACH),
            "label": rng.choice(["dig", "feed", "swim"], count),
        }
    )
    return frame.assign(**columns)


def facts_of(frame: pd.DataFrame, **more) -> ClassFacts:
    return ClassFacts(frame, sorted(frame["label"].unique()), **more)


def asked(check, frame: pd.DataFrame, parts: np.ndarray | None = None, **facts):
    samples = frame if parts is None else frame.assign(part=parts)
    given = {"classes": facts_of(frame), **facts}
    return {f.rule: f for f in check.run(AuditData(samples=samples, facts=given))}


def test_labels_that_go_with_the_animal_fool_a_random_split_only():
    rng = np.random.default_rng(1)
    frame = table()
    favourite = rng.choice(["dig", "feed", "swim"], ANIMALS)
    own = np.repeat(favourite, EACH)
    frame["label"] = np.where(rng.random(len(frame)) < 0.7, own, frame["label"])
    shortcut = measure_shortcut(facts_of(frame))
    # closed form: the favourite is right with 0.7 + 0.3 / 3
    assert shortcut.accuracy("random") == pytest.approx(0.8, abs=0.05)
    assert shortcut.accuracy("grouped") < 0.5
    said = asked(metadata_shortcut, frame, shortcut=shortcut)["metadata_shortcut"]
    assert said.severity == "sick" and "sees no pixel" in said.evidence
    assert f"{100 * shortcut.majority:.1f} %" in said.evidence


def test_a_table_that_says_nothing_raises_no_alarm():
    frame = table(second=np.random.default_rng(2).uniform(0, 100, ANIMALS * EACH))
    shortcut = measure_shortcut(facts_of(frame))
    assert abs(shortcut.accuracy("random") - 1 / 3) < 0.08
    assert asked(metadata_shortcut, frame, shortcut=shortcut)["metadata_shortcut"].severity == "info"


def test_columns_that_name_samples_are_no_metadata():
    frame = table(
        video=np.repeat([f"v{i}" for i in range(ANIMALS)], EACH), LID=np.arange(ANIMALS * EACH), one=["x"] * 480
    )
    found = metadata_of(frame)
    assert found.names == ["group"]  # the video divides the samples as the animal does
    with_time = metadata_of(frame.assign(second=np.arange(480) * 1.5, light=["a", "b"] * 240))
    assert with_time.names == ["group", "second", "light"] and with_time.categories == [True, False, True]


def test_folds_of_the_metadata_model_never_see_themselves():
    frame = table(seed=3)
    codes = facts_of(frame).codes
    unique = frame.assign(second=np.random.default_rng(0).permutation(480))
    said = cross_predicted(metadata_of(unique), codes, random_folds(480), 3).argmax(1)
    assert abs((said == codes).mean() - 1 / 3) < 0.1


def test_class_support():
    frame = table()
    frame.loc[frame["label"] == "swim", "label"] = "dig"
    rare = frame["group"].eq("fish 3") & (frame.index % 40 < 6)
    frame.loc[rare, "label"] = "spawn"
    parts = np.where(frame["group"].isin(["fish 0", "fish 1"]), "test", "train")
    found = asked(class_support, frame, parts)
    assert found["class_imbalance"].severity == "warning" and "always saying dig" in found["class_imbalance"].evidence
    assert "spawn (6)" in found["rare_class"].evidence
    assert found["class_in_few_animals"].severity == "sick" and "spawn (1)" in found["class_in_few_animals"].evidence
    assert found["class_missing_in_part"].evidence == "classes are missing in test: spawn"
    assert not asked(class_support, table())


def test_prior_shift():
    frame = table()
    one = frame["group"] == "fish 5"
    frame.loc[one, "label"] = "dig"
    said = asked(prior_shift, frame)["prior_shift"]
    assert "farthest from the mean is fish 5" in said.evidence
    assert not asked(prior_shift, table())


def test_neighbours_in_time_across_parts():
    time = np.tile(np.arange(EACH) * 10.0, ANIMALS)
    time[1::2] = time[::2] + 2.0
    frame = table(second=time, video=np.repeat([f"v{i}" for i in range(ANIMALS)], EACH))
    alternate = np.where(np.arange(len(frame)) % 2, "train", "test")
    found = asked(time_gap, frame, alternate)
    assert found["no_time_gap"].severity == "sick" and "240 pairs" in found["no_time_gap"].evidence
    whole = np.where(frame["group"] < "fish 5", "train", "test")
    assert "no_time_gap" not in asked(time_gap, frame, whole)
    assert "240 of 480 samples" in asked(time_gap, frame, whole)["crowded_samples"].evidence


def test_classes_with_their_place():
    rng = np.random.default_rng(0)
    count = ANIMALS * EACH
    random_place = table(column_px=rng.uniform(0, 100, count), row_px=rng.uniform(0, 100, count))
    assert not asked(place, random_place)
    spots = {"dig": 10, "feed": 50, "swim": 90}
    near = random_place.assign(column_px=random_place["label"].map(spots) + rng.normal(0, 5, count))
    assert "class_has_place" in asked(place, near)


def test_planted_wrong_labels_are_found_first():
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=300)
    values = np.eye(3)[codes] * 3 + rng.normal(0, 0.7, (300, 3))
    probabilities = np.exp(values) / np.exp(values).sum(1, keepdims=True)
    wrong = rng.choice(300, 20, replace=False)
    spoiled = codes.copy()
    spoiled[wrong] = (codes[wrong] + 1) % 3
    suspect, instead = label_noise.confident_suspects(probabilities, spoiled)
    assert suspect[wrong].mean() > 0.6 and np.isin(np.flatnonzero(suspect), wrong).mean() > 0.9
    assert (instead[wrong] == codes[wrong])[suspect[wrong]].mean() > 0.95


def test_two_observers_and_one():
    frame = table()
    second = np.where(np.arange(len(frame)) < 100, frame["label"], "")
    facts = ClassFacts(frame, ["dig", "feed", "swim"], second_labels=second)
    (said,) = label_noise.observers_told(facts)
    assert "100 samples are labelled twice, kappa 1.00" in said.evidence
    (alone,) = label_noise.observers_told(facts_of(frame))
    assert alone.rule == "no_observer_agreement"


def test_equal_frames_across_parts():
    rng = np.random.default_rng(0)
    hashes = rng.random((480, 3, 64)) < 0.5
    hashes[7] = hashes[400]
    hashes[7, 0, :4] ^= True
    frame = table()
    given = ClassFacts(frame, ["dig", "feed", "swim"], hashes=hashes)
    parts = np.where(np.arange(480) < 200, "train", "test")
    found = asked(near_frames, frame, parts, classes=given)
    assert (
        found["same_frames_across_parts"].severity == "sick"
        and "c7 = c400" in found["same_frames_across_parts"].evidence
    )
    assert "same_frames" not in found


def test_few_and_unequal_animals():
    frame = table(sex=["M"] * 480)
    frame["group"] = np.where(frame.index < 440, "fish 0", frame["group"])
    found = asked(sampling, frame)
    assert "worth 1.2 equal ones" in found["few_animals"].evidence
    assert "sex: every sample is 'M'" in found["one_stratum"].evidence
    assert "few_animals" not in asked(sampling, table())


def test_more_animals_help_where_animals_differ():
    rng = np.random.default_rng(0)
    frame = table(seed=1)
    facts = facts_of(frame)
    offset = np.repeat(rng.normal(0, 2.5, (ANIMALS, 6)), EACH, axis=0)
    facts.features = np.concatenate([np.eye(3)[facts.codes] * 1.5, np.zeros((480, 3))], axis=1) + offset
    facts.features += rng.normal(0, 0.8, facts.features.shape)
    from ethomorph.behavior.examine import linear_codes

    curve = learning_curve(facts, linear_codes, seed=0)
    assert curve is not None
    assert curve.points[-1].score > curve.points[0].score + 0.05
    assert curve.points[-1].score <= curve.forecast <= 1
    assert curve.weakest[0] in facts.classes
    assert learning_curve(facts_of(frame), linear_codes) is None


def test_checks_of_classes_are_left_out_where_there_are_none():
    audit = run_audit(None, samples=table()[["sample", "group"]], images=False)
    assert not {"class_support", "label_noise"} & set(audit.counts["skipped"]) and not audit.findings
    labelled = run_audit(None, samples=table(), images=False, facts={"classes": facts_of(table())})
    assert {"no_observer_agreement", "strata_unknown"} <= {f.rule for f in labelled.findings}
