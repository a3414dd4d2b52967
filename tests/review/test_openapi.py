"""Whatever the OpenAPI document allows, and what it does not: never a failure of ours, never another study's data."""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

SECRET = "landmark_of_the_other_study"


@pytest.fixture(scope="module")
def attacked(lizards, tmp_path_factory):
    """A lab server with two studies, and somebody who manages only the first; the second holds a secret name."""
    import shutil

    from fastapi.testclient import TestClient

    from ethomorph.review.accounts import Gate, set_person, set_role
    from ethomorph.review.app import create_app
    from ethomorph.review.database import connect

    folder = tmp_path_factory.mktemp("attacked")
    own, other = (shutil.copytree(lizards, folder / name) for name in ("own", "other"))
    text = (other / "study.toml").read_text().replace("snout_tip", SECRET).replace("Tiny lizards", SECRET)
    (other / "study.toml").write_text(text)
    gate = Gate(connect(f"sqlite:///{folder / 'lab.sqlite'}"), None)
    set_person(gate.engine, "mallory", "a long enough password")
    set_role(gate.engine, "mallory", "own", "manage")
    app = create_app([own, other], gate, hosts=frozenset({"testserver"}), cookie="ethomorph_test")
    web = TestClient(app, raise_server_exceptions=False)
    answer = web.post("/api/session", json={"name": "mallory", "password": "a long enough password"})
    shield = app.middleware_stack.app if app.middleware_stack else None
    while shield is not None and not hasattr(shield, "sign_ins"):
        shield = getattr(shield, "app", None)
    if shield is not None:
        shield.all.rate = shield.all.burst = shield.sign_ins.burst = 1e9  # the storm is wanted here
        shield.all._left.clear()
    return app, web, answer.json()["csrf"]


def calls(app):
    """A schema strategy for every address, but the endless stream and what starts a training."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    left_out = {("GET", "/api/studies/{study}/events"), ("DELETE", "/api/session")}
    left_out |= {
        ("POST", "/api/studies/{study}/tasks/{task}/runs"),
        ("POST", "/api/studies/{study}/tasks/{task}/predict"),
    }
    for result in schema.get_all_operations():
        operation = result.ok()
        if (operation.method.upper(), operation.path) not in left_out:
            yield operation


def sent(web, case):
    """Send a case by the test client, with its own cookie beside whatever the case brings."""
    asked = case.as_transport_kwargs(base_url="http://testserver")
    asked.pop("cookies", None)
    body = asked.pop("data", None)
    if isinstance(body, (bytes, str)):
        asked["content"] = body
    headers = {k: str(v).encode("utf-8", "replace") for k, v in dict(asked.pop("headers")).items()}
    return web.request(asked.pop("method"), asked.pop("url"), headers=headers, **asked)


@pytest.mark.parametrize("study", ["own", "other"])
def test_no_request_breaks_the_server_or_leaks(attacked, study):
    from hypothesis import HealthCheck, given, settings

    app, web, csrf = attacked
    seen = 0
    for operation in calls(app):

        @settings(max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def attack(case):
            nonlocal seen
            label = f"{case.method} {case.path}"
            path = dict(case.path_parameters or {})
            if "study" in path:
                path |= {"study": study} | ({"task": "bones"} if "task" in path else {})
            case.path_parameters = path
            case.headers = {**dict(case.headers or {}), "x-ethomorph-csrf": csrf}
            answer = sent(web, case)
            seen += 1
            assert answer.status_code < 500, (label, answer.status_code, answer.text[:300])
            assert SECRET not in answer.text
            if study == "other" and "study" in path:
                assert answer.status_code in (404, 422, 405, 413), (label, answer.status_code)

        attack()
    assert seen > 30
