"""``identify`` and ``measure prints`` as a person types them: options, exit codes, and pictures to count in one go."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.cli.app import execute
from ethomorph.identity.table import read_prints, write_prints
from ethomorph.phantoms.paws import NAMES, simulate_paws
from ethomorph.phantoms.prints import simulate_prints


def test_options_reach_the_work(tables, tmp_path, capsys):
    arguments = [str(tables / "survey.csv"), "--reference", str(tables / "known.csv"), "--out", str(tmp_path)]
    more = ["--closed", "--imputation", "mean", "--no-pictures", "--quiet", "--column", "site=site"]
    assert execute(["identify", *arguments, *more]) == 0
    said = capsys.readouterr().err
    assert "sex by trail" in said
    assert "in-sample" in said
    matches = pd.read_csv(tmp_path / "matches.csv")
    assert "none of these" not in set(matches["best"])
    assert not list(tmp_path.glob("*.png"))
    calls = pd.read_csv(tmp_path / "classes.csv")
    assert set(calls["called"]) <= {"F", "M"}
    assert execute(["identify", *arguments, "--no-pictures", "--unknown", "0.99"]) == 0
    assert (pd.read_csv(tmp_path / "matches.csv")["best"] == "none of these").all()


def test_hold_out_rounds(tables, tmp_path, capsys):
    table = str(tables / "known.csv")
    assert execute(["identify", table, "--method", "fit", "--hold-out", "1", "--out", str(tmp_path)]) == 0
    rows = pd.read_csv(tmp_path / "hold_out.csv")
    assert len(rows) == 4
    assert (tmp_path / "hold_out.png").exists()
    result = json.loads((tmp_path / "identity.json").read_text())
    assert result["hold_out"]["rounds"] == 4
    assert "held-out animals: counted" in capsys.readouterr().err


def test_in_sample_preset_as_the_original(tables, tmp_path):
    arguments = ["--method", "fit", "--species", "tiger", "--in-sample", "--no-pictures", "--out", str(tmp_path)]
    assert execute(["identify", str(tables / "known.csv"), *arguments]) == 0
    assert json.loads((tmp_path / "identity.json").read_text())["in_sample"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", [], "no rows"),
        ("Animal,Trail,V1\na,t,1\n", [], "one print"),
        ("Animal,Trail,V1,V2\n" + "".join(f"a,t{i % 2},{i},{i * i}\n" for i in range(9)), [], "too few"),
        ("Animal,Trail,V1\n" + "".join(f"{c},{c}1,7\n" for c in "abcabc"), [], "no measured variables"),
        ("Animal,Trail,V1\na,t,1 cm\na,t,2\n" + "a,t,3\n" * 20, [], "text among its numbers"),
        ("V1,V2\n1,2\n2,3\n", ["--column", "beast=V1"], "not role=NAME"),
        ("V1,V2\n1,2\n2,3\n", ["--animal", "Who"], "no column 'Who'"),
        ("V1,V2\n1,2\n2,3\n", ["--in-sample"], "method 'fit'"),
    ],
)
def test_bad_tables_end_in_one_line_and_exit_2(tmp_path, capsys, text, options, message):
    (tmp_path / "t.csv").write_text(text)
    assert execute(["identify", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def row(animal, k, trail, p):
    values = (3 + k + 0.1 * p, 9 - k + 0.2 * p * trail, (7 * k + 3 * p + trail) % 5)
    numbers = ";".join(f"{v:.2f}" for v in values).replace(".", ",")
    return f"{animal};{animal}/{trail};{'FM'[k % 2]};{numbers}"


GOOD = "Animal;Trail;Sex;V1;V2;V3\n" + "\n".join(
    row(animal, k, trail, p) for k, animal in enumerate("abcdefghij") for trail in (1, 2) for p in range(4)
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_tables_are_read_or_refused(tmp_path_factory, data):
    """Cells replaced, lines doubled, cut or emptied, delimiters mixed: exit 0 or 2, one line where refused."""
    lines = GOOD.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        row = data.draw(st.integers(0, len(lines) - 1))
        cells = lines[row].split(";")
        kind = data.draw(st.sampled_from(["cell", "double", "cut", "empty", "comma", "column"]))
        if kind == "cell":
            place = data.draw(st.integers(0, len(cells) - 1))
            junk = st.sampled_from(["", "x", "1.234,5", "1e999", "-", "NA", "\x00", '"', "inf", "12 cm", "a"])
            cells[place] = data.draw(junk)
            lines[row] = ";".join(cells)
        elif kind == "double":
            lines.append(lines[row])
        elif kind == "cut":
            lines[row] = lines[row][: data.draw(st.integers(0, len(lines[row])))]
        elif kind == "empty":
            lines[row] = ";" * (len(cells) - 1)
        elif kind == "comma":
            lines[row] = lines[row].replace(";", ",")
        else:
            place = data.draw(st.integers(0, 5))
            lines = [";".join("7" if i == place and k else c for i, c in enumerate(line.split(";")))
                     for k, line in enumerate(lines)]  # fmt: skip
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    code = execute(
        ["identify", str(folder / "t.csv"), "--out", str(folder / "o"), "--no-pictures", "--imputation", "mean"]
    )
    assert code in (0, 2)
    if code == 0:
        json.loads((folder / "o" / "identity.json").read_text(), parse_constant=lambda name: pytest.fail(name))


@settings(max_examples=25, deadline=None)
@given(place=st.integers(0, 6000), junk=st.binary(min_size=1, max_size=8))
def test_damaged_excel_is_read_or_refused(tmp_path_factory, excel, place, junk):
    raw = bytearray(excel)
    raw[place % len(raw) : place % len(raw) + len(junk)] = junk
    folder = tmp_path_factory.mktemp("excel")
    (folder / "t.xlsx").write_bytes(bytes(raw))
    assert execute(["identify", str(folder / "t.xlsx"), "--out", str(folder / "o"), "--no-pictures"]) in (0, 2)


@pytest.fixture(scope="module")
def excel(tmp_path_factory):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in GOOD.splitlines():
        book.active.append(line.replace(",", ".").split(";"))
    path = tmp_path_factory.mktemp("book") / "good.xlsx"
    book.save(path)
    return path.read_bytes()


def test_excel_from_the_command_line(excel, tmp_path):
    (tmp_path / "t.xlsx").write_bytes(excel)
    assert execute(["identify", str(tmp_path / "t.xlsx"), "--out", str(tmp_path / "o"), "--no-pictures"]) == 0


def test_prints_written_are_read_back(tmp_path):
    table = simulate_prints(animals=4, variables=9, sites=2, missing=0.1)
    again = read_prints(write_prints(table, tmp_path / "p.csv"))
    assert again.values == pytest.approx(table.values, rel=1e-6, nan_ok=True)
    assert again.variables == table.variables
    for name in ("trail", "animal"):
        assert getattr(again, name).tolist() == getattr(table, name).tolist()
    assert again.attributes["site"].tolist() == table.attributes["site"].tolist()


def test_columns_that_the_reference_needs_stay(tmp_path):
    table = simulate_prints(animals=4, variables=6)
    table.values[:, 2] = 5.0
    path = write_prints(table, tmp_path / "p.csv")
    assert "V3" not in read_prints(path).variables
    assert read_prints(path, needed=["V3"]).variables == table.variables


def test_measure_prints_follows_a_recipe(tmp_path, capsys):
    sample = simulate_paws(animals=3, trails=(1, 1), prints=(2, 3), right_share=0.5, seed=4)
    folder = sample.write(tmp_path / "paws")
    labels = [str(folder / "landmarks.tps"), "--images", str(folder / "images")]
    assert execute(["measure", "prints", *labels, "--out", str(tmp_path / "p.csv")]) == 2
    assert "absent" in capsys.readouterr().err  # TPS holds no names
    (tmp_path / "study.toml").write_text(
        f'[study]\nname = "paws"\nspecimens = "paws/specimens.csv"\n[task.paws]\nkind = "landmarks"\n'
        f'labels = "paws/landmarks.tps"\nimages = "paws/images"\nnames = {json.dumps(NAMES)}\n'
        '[task.paws.scale]\nlandmarks = ["scale_start", "scale_end"]\nmm = 100.0\n'
    )
    assert execute(["measure", "prints", *labels, "--study", str(tmp_path), "--out", str(tmp_path / "p.csv")]) == 0
    table = pd.read_csv(tmp_path / "p.csv")
    assert len(table) == len(sample)
    truth = {s.image: s for s in sample.landmarks}
    for row in table.itertuples():
        specimen = truth[f"{row.print}.png"] if f"{row.print}.png" in truth else truth[row.print]
        tip, base = (specimen.points[NAMES.index(f"toe1_{end}")] for end in ("tip", "base"))
        assert row.length_toe_1_cm == pytest.approx(np.hypot(*(tip - base)) * specimen.scale / 10, rel=1e-3)
        assert row.animal == specimen.attributes["specimen"]
        assert row.trail == specimen.attributes["trail"]
        assert row.foot == "left hind"


@pytest.mark.slow
def test_from_pictures_to_a_count(tmp_path, capsys):
    """Landmarks learned on some prints, predicted on known and free animals, measured, counted."""
    parts = {"train": (12, 1), "known": (14, 2), "free": (5, 3)}
    for name, (animals, seed) in parts.items():
        sample = simulate_paws(animals=animals, trails=(2, 2), prints=(5, 5), px_per_cm=12, seed=seed, name=name)
        if name == "train":
            sample.landmarks.specimens = sample.landmarks.specimens[::2]
        sample.write(tmp_path / name)
    (tmp_path / "study.toml").write_text(
        '[study]\nname = "paws"\nspecimens = "train/specimens.csv"\n[split]\ntest = 0.1\nvalidation = 0.0\n'
        '[task.paws]\nkind = "landmarks"\nmethod = "ert"\nlabels = "train/landmarks.tps"\nimages = "train/images"\n'
        f'names = {json.dumps(NAMES)}\n[task.paws.scale]\nlandmarks = ["scale_start", "scale_end"]\nmm = 100.0\n'
        "[task.paws.settings]\ncascade_depth = 8\nnum_trees_per_cascade_level = 120\noversampling_amount = 8\n"
    )
    assert execute(["train", str(tmp_path), "--run", "a", "--quiet"]) == 0
    for name in ("known", "free"):
        tps, table = str(tmp_path / f"{name}.tps"), str(tmp_path / f"{name}.csv")
        run = str(tmp_path / "runs" / "paws" / "a")
        assert execute(["predict", run, str(tmp_path / name / "images"), "--out", tps, "--quiet"]) == 0
        specimens = str(tmp_path / name / "specimens.csv")
        assert execute(["measure", "prints", tps, "--study", str(tmp_path), "--specimens", specimens,
                        "--out", table]) == 0  # fmt: skip
    capsys.readouterr()
    assert execute(["identify", str(tmp_path / "free.csv"), "--reference", str(tmp_path / "known.csv"),
                    "--out", str(tmp_path / "who"), "--json"]) == 0  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert result["individuals"]["low"] <= 5 <= result["individuals"]["high"]
    assert result["pairs"]["auc"]["value"] > 0.9
