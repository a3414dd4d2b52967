"""Trails of prints through the API: the doubtful pairs first, verdicts kept and exported, the cut stored and undone."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ethomorph.identity.estimator import Identifier
from ethomorph.identity.identify import write_identification
from ethomorph.identity.recipe import read_recipe
from ethomorph.identity.table import write_prints
from ethomorph.identity.variables import measure_prints
from ethomorph.identity.verdicts import read_verdicts
from ethomorph.phantoms.paws import simulate_paws
from ethomorph.phantoms.prints import simulate_prints

PRINTS = "/api/studies/who/tasks/prints"


@pytest.fixture(scope="module")
def cats(tmp_path_factory):
    """A model of simulated cats, the trails of six others with pictures, and the folder `who` of these."""
    folder, recipe = tmp_path_factory.mktemp("prints"), read_recipe("felid")
    known = simulate_paws(animals=14, trails=(2, 2), prints=(4, 4), seed=3, px_per_cm=4)
    sample = simulate_paws(animals=6, trails=(1, 3), prints=(4, 4), seed=9, px_per_cm=8, name="walker")
    sample.write(folder / "photos")
    survey = measure_prints(sample.landmarks, recipe)
    survey.animal[:] = ""
    model = Identifier(replicas=0, imputation="mean").fit(measure_prints(known.landmarks, recipe))
    write_identification(
        model.predict(survey), survey, folder / "who", model=model, learned_from="reference table", pictures=False,
        images=folder / "photos" / "images",
    )  # fmt: skip
    return model, survey, folder / "who"


@pytest.fixture
def who(cats, tmp_path):
    return Path(shutil.copytree(cats[2], tmp_path / "who"))


@pytest.fixture
def client(who, application, signed_in):
    app, gate = application([who], database=f"sqlite:///{who / 'review.sqlite'}")
    return signed_in(app, token=gate.new_token())


def judge(client, item, verdict, key, base=0):
    changes = [{"field": "verdict", "value": verdict, "base": base}]
    return client.send("POST", f"{PRINTS}/edits", {"item": item, "key": key, "changes": changes})


def test_the_most_doubtful_pair_comes_first_with_all_that_tells(client, who):
    queue = client.get(f"{PRINTS}/queue").json()
    tree = queue["scheme"]["tree"]
    scores = -np.array([[float(v) for v in row[1:]] for row in list(csv.reader((who / "distances.csv").open()))[1:]])
    trails = tree["trails"]
    assert len(queue["items"]) == len(trails) * (len(trails) - 1) / 2
    a, b = np.triu_indices(len(trails), 1)
    nearest = int(np.abs(scores[a, b]).argmin())
    first = next(r for r in queue["items"] if r["item"] == f"{trails[a[nearest]]} | {trails[b[nearest]]}")
    assert first in queue["items"][:3] and first["reasons"]
    item = client.get(f"{PRINTS}/item", name=first["item"]).json()
    assert item["score"] == pytest.approx(scores[a, b][nearest], abs=1e-3)
    assert [len(t["pictures"]) for t in item["trails"]] == [4, 4]
    assert [len(item["canonical"][k]) for k in "ab"] == [4, 4]
    assert all(len(m["a"]) == 4 and m["low"] < m["high"] for m in item["measures"])
    picture = client.get(f"{PRINTS}/prints/picture", name=item["trails"][0]["pictures"][0]["name"], width=100)
    assert picture.status_code == 200 and picture.headers["content-type"] == "image/jpeg"
    for evil in ("../study.toml", "/etc/passwd", "nobody.png"):
        assert client.get(f"{PRINTS}/prints/picture", name=evil).status_code == 404


def test_verdicts_and_cut_are_kept_undone_and_exported(client, who, cats):
    queue = client.get(f"{PRINTS}/queue").json()
    tree = queue["scheme"]["tree"]
    pair = queue["items"][0]["item"]
    assert judge(client, pair, "same", "verdict-1").status_code == 200
    assert judge(client, pair, "maybe", "verdict-2").status_code == 404
    assert judge(client, "nobody | else", "same", "verdict-3").status_code == 404
    row = next(r for r in client.get(f"{PRINTS}/queue").json()["items"] if r["item"] == pair)
    assert row["grade"] == "same" and row["need"] == 0
    heights = sorted(m[2] for m in tree["linkage"])
    cut = (heights[-2] + heights[-3]) / 2  # three animals
    body = {"item": tree["item"], "key": "cut-000001", "changes": [{"field": "cut", "value": cut, "base": 0}]}
    assert client.send("POST", f"{PRINTS}/edits", body).status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"{PRINTS}/prints/export").content))
    said = list(csv.DictReader(io.StringIO(archive.read("verdicts.csv").decode())))
    assert [(r["trail_a"] + " | " + r["trail_b"], r["verdict"], r["person"]) for r in said] == [
        (pair, "same", "tester")
    ]
    animals = {r["individual"] for r in csv.DictReader(io.StringIO(archive.read("reviewed.csv").decode()))}
    assert animals == {"individual 1", "individual 2", "individual 3"}
    undone = client.send("POST", f"{PRINTS}/undo", {"item": tree["item"], "key": "undo-00001"}).json()
    assert undone["values"]["cut"]["value"] == tree["native"]
    assert client.send("POST", f"{PRINTS}/prints/write-back").json()["files"] == ["verdicts.csv", "reviewed.csv"]
    model, survey, _ = cats
    again = model.predict(survey, verdicts=read_verdicts(who / "verdicts.csv"))
    one, other = (again.trails.index(said[0][f"trail_{end}"]) for end in "ab")
    assert again.individual[one] == again.individual[other]


def test_verdicts_that_contradict_each_other_are_needy(client):
    tree = client.get(f"{PRINTS}/queue").json()["scheme"]["tree"]
    a, b, c = tree["trails"][:3]
    for number, (pair, said) in enumerate({(a, b): "same", (b, c): "same", (a, c): "different"}.items()):
        assert judge(client, " | ".join(pair), said, f"verdict-{number}").status_code == 200
    rows = {r["item"]: r for r in client.get(f"{PRINTS}/queue").json()["items"]}
    assert rows[f"{a} | {c}"]["reasons"] == ["other verdicts make them one animal"]
    assert rows[f"{a} | {b}"]["reasons"] == ["other verdicts make them two animals"]


def test_a_study_of_prints_shows_the_trails_its_run_did_not_learn_from(tmp_path, application, signed_in):
    from ethomorph.workflow.train import train

    folder = tmp_path / "cats"
    folder.mkdir()
    write_prints(simulate_prints(animals=20, variables=20, seed=1), folder / "prints.csv")
    (folder / "study.toml").write_text(
        '[study]\nname = "Cats"\n[split]\ntest = 0.3\nvalidation = 0.0\n'
        '[task.prints]\nkind = "identity"\nlabels = "prints.csv"\n'
        '[task.prints.settings]\nreplicas = 0\nimputation = "mean"\n'
    )
    run = train(folder, progress=False)
    app, gate = application([folder], database=f"sqlite:///{folder / 'review.sqlite'}")
    web = signed_in(app, token=gate.new_token())
    for _ in range(300):
        queue = web.get("/api/studies/cats/tasks/prints/queue").json()
        if queue["ready"]:
            break
        time.sleep(0.1)
    trails = queue["scheme"]["tree"]["trails"]
    assert len(queue["items"]) == len(trails) * (len(trails) - 1) / 2 > 0
    owners = json.loads(next(folder.glob("review/prints/*/identity.json")).read_text())["truth"]["animals"]
    split = csv.DictReader((run.folder / "split.csv").open())
    assert owners == len({row["group"] for row in split if row["part"] == "test"})


@pytest.mark.timeout(600)
def test_a_person_judges_pairs_and_moves_the_cut(page, start, who):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    page.goto(start(str(who), "--as", "tester").url)
    cut = page.get_by_role("slider", name="Cut of the tree")
    for side in "ab":
        expect(page.locator(f".side.{side} .strip img").first).to_have_js_property("naturalWidth", 120)
    first = page.locator(".rows li.chosen b").inner_text()
    page.keyboard.press("s")
    page.get_by_text(re.compile("^1 of .* pairs done$")).wait_for()
    expect(page.locator(".rows li.chosen b")).not_to_have_text(first)

    found, box = int(cut.get_attribute("aria-valuenow")), cut.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 11)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, page.locator(".tree").bounding_box()["y"] + 17, steps=4)
    expect(cut).to_have_attribute("aria-valuenow", "1")  # live, before the hand lets go
    expect(page.locator(".animals li")).to_have_count(1)
    page.mouse.up()
    cut.press("ArrowDown")
    expect(cut).to_have_attribute("aria-valuetext", "2 animals")
    page.locator(".saving.saved").wait_for()

    page.reload()  # another day
    expect(cut).to_have_attribute("aria-valuenow", "2")
    for number in (1, found):
        page.get_by_role("button", name="Undo the cut").click()
        expect(cut).to_have_attribute("aria-valuenow", str(number))
    page.get_by_label("Show", exact=True).select_option("done")
    page.locator(".rows li", has_text=first).click()
    expect(page.get_by_role("button", name=re.compile("^Same"))).to_have_attribute("aria-pressed", "true")
