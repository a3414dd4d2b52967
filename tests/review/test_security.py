"""Who gets in, who sees what, and what an attacker would try: each of these must fail."""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from ethomorph.core.errors import InputError
from ethomorph.review.accounts import set_person, set_role
from ethomorph.review.database import Person, SignIn, reading
from ethomorph.review.serve import Place, refuse_open_doors
from ethomorph.review.shield import Buckets

BONES = "/api/studies/lizards/tasks/bones"
PASSWORD = "a long enough password"


@pytest.fixture
def lab(study, application):
    """Two studies on a lab server: ann annotates the first, bob manages the second, eve may look at the first."""
    other = study.parent / "others"
    shutil.copytree(study, other)
    app, gate = application([study, other], database=f"sqlite:///{study.parent / 'lab.sqlite'}", owner=None)
    for name, where, role in (("ann", "lizards", "annotate"), ("bob", "others", "manage"), ("eve", "lizards", "look")):
        set_person(gate.engine, name, PASSWORD)
        set_role(gate.engine, name, where, role)
    return app, gate


def edit_body(value="bad"):
    changes = [{"field": "grade", "value": value, "base": 0}]
    return {"item": "0001_dorsal.png", "key": "key-of-security", "changes": changes}


def test_nothing_under_api_answers_without_signing_in(study, application):
    app, _ = application([study], database=f"sqlite:///{study}/review.sqlite")
    web = TestClient(app)
    for path in ("session", "studies/lizards/tasks/bones/queue", "openapi.json", "nothing", "studies/x/events"):
        answer = web.get(f"/api/{path}")
        assert answer.status_code == 401 and answer.json()["sign_in"] == "token", path
    assert web.post(f"{BONES}/edits", json=edit_body()).status_code == 401


def test_the_token_opens_once(study, application):
    app, gate = application([study], database=f"sqlite:///{study}/review.sqlite")
    token = gate.new_token()
    assert TestClient(app).post("/api/session", json={"token": token}).status_code == 200
    assert TestClient(app).post("/api/session", json={"token": token}).status_code == 401
    assert TestClient(app).post("/api/session", json={"token": "guess"}).status_code == 401


def test_the_cookie_is_for_this_site_only_and_is_not_kept_in_the_clear(study, application):
    app, gate = application([study], database=f"sqlite:///{study}/review.sqlite")
    answer = TestClient(app).post("/api/session", json={"token": gate.new_token()})
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=strict" in said
    with reading(gate.engine) as session:
        kept = session.query(SignIn).one()
    assert kept.cookie not in answer.headers["set-cookie"] and kept.csrf == answer.json()["csrf"]


def test_changes_need_the_pages_secret_and_its_origin(client):
    assert client.web.post(f"{BONES}/edits", json=edit_body()).status_code == 403
    headers = {"x-ethomorph-csrf": client.csrf, "origin": "https://evil.example"}
    assert client.web.post(f"{BONES}/edits", json=edit_body(), headers=headers).status_code == 403
    assert client.get(f"{BONES}/log").json() == []
    assert client.send("POST", f"{BONES}/edits", edit_body()).status_code == 200


def test_another_name_for_this_host_is_not_answered(client):
    assert client.web.get("/", headers={"host": "evil.example"}).status_code == 421


def test_the_browser_is_told_to_be_careful(client):
    for path in ("/", "/api/session", "/api/nothing", f"{BONES}/picture?name=0001_dorsal.png"):
        headers = client.web.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and "frame-ancestors 'none'" in policy


def test_bodies_have_a_limit(client):
    big = edit_body("x" * 2_000_000)
    assert client.send("POST", f"{BONES}/edits", big).status_code == 413

    def endless():
        for _ in range(40):
            yield b" " * 50_000

    headers = {"x-ethomorph-csrf": client.csrf, "content-type": "application/json"}
    answer = client.web.post(f"{BONES}/edits", content=endless(), headers=headers)
    assert answer.status_code in (400, 413)


def test_passwords_cannot_be_guessed_fast(lab):
    web = TestClient(lab[0])
    codes = [web.post("/api/session", json={"token": f"guess {i}"}).status_code for i in range(12)]
    assert codes[0] == 401 and codes[-1] == 429
    assert web.post("/api/session", json={"name": "ann", "password": PASSWORD}).status_code == 429


def test_requests_have_a_rate():
    buckets = Buckets(rate=0.001, burst=3)
    assert [buckets.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert buckets.take("b")


def test_passwords_are_kept_as_argon2_and_short_ones_refused(lab):
    with reading(lab[1].engine) as session:
        assert all(p.password.startswith("$argon2id$") for p in session.query(Person))
    with pytest.raises(InputError, match="characters"):
        set_person(lab[1].engine, "dan", "short")


def test_a_new_password_signs_everybody_of_that_name_out(lab, signed_in):
    ann = signed_in(lab[0], name="ann", password=PASSWORD)
    set_person(lab[1].engine, "ann", "another long password")
    assert ann.get("/api/session").status_code == 401


def test_roles_are_kept(lab, signed_in):
    app, _ = lab
    eve, ann = (signed_in(app, name=name, password=PASSWORD) for name in ("eve", "ann"))
    assert eve.get(f"{BONES}/queue").status_code == 200
    assert eve.send("POST", f"{BONES}/edits", edit_body()).status_code == 403
    assert eve.send("POST", f"{BONES}/undo", {"item": "0001_dorsal.png", "key": "key-of-eve-1"}).status_code == 403
    assert ann.send("POST", f"{BONES}/edits", edit_body()).status_code == 200
    for path in ("write-back", "uploads?name=a.png"):
        assert ann.send("POST", f"{BONES}/{path}").status_code == 403
    assert ann.send("PUT", "/api/studies/lizards/people", {"name": "eve", "role": "manage"}).status_code == 403


def test_one_studys_data_never_reaches_anothers_people(lab, signed_in):
    app, _ = lab
    ann, bob = (signed_in(app, name=name, password=PASSWORD) for name in ("ann", "bob"))
    assert ann.send("POST", f"{BONES}/edits", edit_body()).status_code == 200
    assert [s["slug"] for s in bob.get("/api/session").json()["studies"]] == ["others"]
    reads = (
        "queue",
        "log",
        "export?format=tps",
        "item?name=0001_dorsal.png",
        "picture?name=0001_dorsal.png",
        "formats",
    )
    for path in (f"tasks/bones/{end}" for end in reads):
        assert bob.get(f"/api/studies/lizards/{path}").status_code == 404, path
    assert bob.get("/api/studies/lizards/events").status_code == 404
    assert bob.get("/api/studies/lizards/people").status_code == 404
    assert bob.send("POST", f"{BONES}/edits", edit_body("good")).status_code == 404
    unknown = bob.get("/api/studies/unknown/tasks/bones/queue")
    assert unknown.status_code == 404 and "unknown" in unknown.json()["detail"]
    theirs = bob.get("/api/studies/others/tasks/bones/log").json()
    assert theirs == [] and bob.get("/api/studies/others/tasks/bones/export", format="tps").status_code == 200


def test_who_manages_one_study_cannot_take_over_an_account(lab, signed_in):
    bob = signed_in(lab[0], name="bob", password=PASSWORD)
    people = "/api/studies/others/people"
    body = {"name": "ann", "role": "annotate", "password": "a password of bob's"}
    assert bob.send("PUT", people, body).status_code == 404
    assert bob.send("PUT", people, {"name": "ann", "role": "annotate"}).status_code == 200
    assert bob.send("PUT", people, {"name": "fay", "role": "look", "password": PASSWORD}).status_code == 200
    fay = signed_in(lab[0], name="fay", password=PASSWORD)
    assert [s["role"] for s in fay.get("/api/session").json()["studies"]] == ["look"]


@pytest.mark.parametrize(
    "name", ["../study.toml", "/etc/passwd", "images/../../x", "..\\study.toml", "0001_dorsal.png\0.txt", "%2e%2e/x"]
)
def test_names_lead_nowhere_else(client, name):
    for path in ("item", "picture"):
        assert client.get(f"{BONES}/{path}", name=name).status_code in (404, 422)
    quoted = quote(name)
    for path in (f"/static/{quoted}", f"/static/..%2f..%2f{quoted}", f"/static/../../{quoted}"):
        assert client.web.get(path).status_code in (404, 400)


def test_messages_do_not_tell_where_files_lie(client, study):
    (study / "landmarks.tps").write_text("LM=2\n1 2\nIMAGE=x.png\n")
    text = client.get(f"{BONES}/queue").text
    assert str(study) not in text and "landmarks.tps" in text


def zipped(*entries: tuple[str, bytes], mode: int | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.external_attr = mode << 16
            archive.writestr(info, content)
    return stream.getvalue()


def upload(client, content: bytes, name="pictures.zip"):
    headers = {"x-ethomorph-csrf": client.csrf, "content-type": "application/octet-stream"}
    return client.web.post(f"{BONES}/uploads", params={"name": name}, content=content, headers=headers)


def test_pictures_are_taken_in_whole_or_not_at_all(client, study):
    picture = (study / "images" / "0001_dorsal.png").read_bytes()
    before = sorted(p.name for p in (study / "images").iterdir())
    bad = {
        "climbs out": zipped(("../../evil.png", picture)),
        "absolute": zipped(("/tmp/evil.png", picture)),
        "drive": zipped(("C:\\evil.png", picture)),
        "hidden": zipped((".evil.png", picture)),
        "a link": zipped(("evil.png", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777),
        "no picture": zipped(("a.png", picture), ("b.png", b"#!/bin/sh\n")),
        "a pickle": zipped(("a.png", b"\x80\x04K\x01.")),
        "twice": zipped(("a/x.png", picture), ("b/x.png", picture)),
        "there already": zipped(("0001_dorsal.png", picture)),
        "a bomb": zipped(("zeros.png", b"\0" * 80_000_000)),
        "damaged": zipped(("a.png", picture))[:-30],
        "empty": zipped(),
    }
    for what, content in bad.items():
        assert upload(client, content).status_code == 404, what
    assert upload(client, picture, name="../x.png").status_code == 404
    assert sorted(p.name for p in (study / "images").iterdir()) == before
    assert not (study.parent / "evil.png").exists()
    answer = upload(
        client, zipped(("day 1/new_a.png", picture), ("__MACOSX/._new_a.png", b"x"), ("new_b.png", picture))
    )
    assert answer.json() == ["new_a.png", "new_b.png"]
    assert "new_b.png" in [row["item"] for row in client.get(f"{BONES}/queue").json()["items"]]


def test_a_server_open_to_others_needs_accounts_and_encryption():
    with pytest.raises(InputError, match="accounts"):
        refuse_open_doors(Place(host="0.0.0.0"), accounts=False)
    with pytest.raises(InputError, match="unencrypted"):
        refuse_open_doors(Place(host="0.0.0.0"), accounts=True)
    refuse_open_doors(Place(host="0.0.0.0", behind_proxy=True), accounts=True)
    refuse_open_doors(Place(), accounts=False)
