"""Edits, undo and redo against a plain model, one writer and many, on SQLite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.review.database import connect, sqlite_url
from ethomorph.review.store import Conflict, Store, Wanted

keys = (f"key-{i:06d}" for i in count())


def make(path=None) -> Store:
    return Store(connect("sqlite://" if path is None else sqlite_url(path / "a.sqlite")), "study", "task")


def put(store, value, *, item="a", field="f", person="ann", key=None, native=0):
    base = store.values(item).get(item, {}).get(field, (None, 0))[1]
    return store.edit(item, [Wanted(field, value, base)], person=person, key=key or next(keys), native={field: native})


def held(store, item="a", field="f"):
    return store.values(item)[item][field][0]


def test_an_edit_is_there_for_the_next_process(tmp_path):
    put(make(tmp_path), [1.25, 2])
    assert held(make(tmp_path)) == [1.25, 2]


def test_before_is_what_the_file_said_and_undo_brings_it_back(tmp_path):
    put(make(tmp_path), "bad", native="good")
    store = make(tmp_path)
    assert store.undo("a", person="ann", key=next(keys)).values["f"][0] == "good"
    assert store.redo("a", person="ann", key=next(keys)).values["f"][0] == "bad"
    kinds = [(e["kind"], e["person"], e["changes"][0]["before"], e["changes"][0]["after"]) for e in store.log("a")]
    assert kinds == [("redo", "ann", "good", "bad"), ("undo", "ann", "bad", "good"), ("edit", "ann", "good", "bad")]


def test_the_same_key_stores_once():
    store = make()
    first = put(store, 1, key="key-of-one-edit")
    assert store.edit("a", [Wanted("f", 1, 0)], person="ann", key="key-of-one-edit", native={}) == first
    assert len(store.log()) == 1


def test_what_somebody_else_changed_is_not_overwritten():
    store = make()
    put(store, 1)
    with pytest.raises(Conflict) as told:
        store.edit("a", [Wanted("f", 2, 0)], person="bob", key=next(keys), native={})
    assert told.value.current["f"][0] == 1
    assert held(store) == 1


def test_undo_takes_back_only_ones_own_and_not_through_anothers_edit():
    store = make()
    put(store, 1, person="ann")
    assert store.undo("a", person="bob", key=next(keys)) is None
    put(store, 2, person="bob")
    with pytest.raises(Conflict):
        store.undo("a", person="ann", key=next(keys))
    assert held(store) == 2


def test_an_edit_of_several_fields_is_undone_whole():
    store = make()
    store.edit("a", [Wanted("f", 1, 0), Wanted("g", 2, 0)], person="ann", key=next(keys), native={"f": 8, "g": 9})
    assert {f: v for f, (v, _) in store.undo("a", person="ann", key=next(keys)).values.items()} == {"f": 8, "g": 9}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 9), st.sampled_from(["undo", "redo"])), max_size=14))
def test_any_sequence_of_edits_undos_and_redos_is_as_in_an_editor(steps):
    """The model is the two stacks of every text editor."""
    store, present, past, future = make(), 0, [], []
    for step in steps:
        if step == "undo":
            done = store.undo("a", person="ann", key=next(keys))
            assert (done is None) == (not past)
            if past:
                future.append(present)
                present = past.pop()
        elif step == "redo":
            done = store.redo("a", person="ann", key=next(keys))
            assert (done is None) == (not future)
            if future:
                past.append(present)
                present = future.pop()
        else:
            put(store, step, native=0)
            past.append(present)
            present, future = step, []
        if past or future:
            assert held(store) == present


def test_many_writers_lose_nothing(tmp_path):
    store = make(tmp_path)

    def work(person: int) -> int:
        stored = 0
        for i in range(12):
            put(store, i, item=f"item {person}", person=f"p{person}")
            stored += 1
        return stored

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 96
    assert len(store.log(limit=1000)) == 96
    assert all(held(store, f"item {i}") == 11 for i in range(8))


def test_of_two_at_the_same_field_one_wins_and_the_other_hears(tmp_path):
    store = make(tmp_path)

    def race(person: str) -> bool:
        try:
            store.edit("a", [Wanted("f", person, 0)], person=person, key=f"race-{person}", native={})
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(race, ["p0", "p1", "p2", "p3", "p4", "p5"]))
    assert sum(won) == 1
    assert held(store) == f"p{won.index(True)}"
