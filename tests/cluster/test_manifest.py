"""Nothing is lost and nothing is done twice, wherever the writing of a log was cut short."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethomorph.cluster.manifest import Counts, Manifest, chunks
from ethomorph.cluster.work import Work
from ethomorph.core.errors import FormatError, StudyError


def make(folder: Path, count: int = 5) -> Manifest:
    inputs = [Path(f"/pictures/{i}.png") for i in range(count)]
    return Manifest.create(folder, work=Work("predict", "/run"), out=Path("/out.tps"), inputs=inputs, suffix=".json")


def test_outcomes_of_several_workers_come_together(tmp_path):
    manifest = make(tmp_path / "m")
    for worker, said in (("a", [(0, ""), (1, "1.png: broken")]), ("b", [(4, "")])):
        log = manifest.log(worker)
        log.write(said)
        log.close()
    assert manifest.pending() == [2, 3]
    assert manifest.pending(failed_too=True) == [1, 2, 3]
    assert manifest.counts() == Counts(5, 2, 1)
    assert manifest.failures() == [(Path("/pictures/1.png"), "1.png: broken")]


def test_a_later_success_overrides_a_failure_in_any_log_order(tmp_path):
    manifest = make(tmp_path / "m")
    for worker, said in (("b", "1.png: broken"), ("a", "")):
        log = manifest.log(worker)
        log.write([(1, said)])
        log.close()
    assert not manifest.failures()


@given(cut=st.integers(0, 60))
def test_a_log_cut_anywhere_loses_at_most_its_last_line(tmp_path_factory, cut):
    manifest = make(tmp_path_factory.mktemp("m") / "m")
    log = manifest.log("a")
    log.write([(i, "") for i in range(4)])
    log.close()
    file = manifest.folder / "logs" / "a.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: max(0, len(whole) - cut)])
    kept = set(manifest.outcomes())
    assert kept == set(range(len(kept)))
    again = manifest.log("a")
    again.write([(4, "")])
    again.close()
    assert set(manifest.outcomes()) == kept | {4}


def test_more_inputs_are_added_behind_the_known_ones(tmp_path):
    make(tmp_path / "m", 3)
    more = make(tmp_path / "m", 5)
    assert [path.stem for path in more.inputs] == list("01234")


def test_another_runs_output_is_refused(tmp_path):
    make(tmp_path / "m")
    with pytest.raises(StudyError, match="another --out"):
        Manifest.create(tmp_path / "m", work=Work("predict", "/other"), out=Path("/o"), inputs=[], suffix=".json")


def test_a_damaged_plan_is_refused(tmp_path):
    manifest = make(tmp_path / "m")
    (manifest.folder / "plan.json").write_text("{")
    with pytest.raises(FormatError, match=r"plan\.json"):
        Manifest(manifest.folder)


@given(st.integers(0, 200), st.integers(1, 30))
def test_chunks_hold_every_number_once_in_order(count, wanted):
    dealt = chunks(list(range(count)), wanted)
    assert [n for share in dealt for n in share] == list(range(count))
    assert len(dealt) == min(wanted, count)
    if dealt:
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
