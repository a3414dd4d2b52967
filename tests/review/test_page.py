"""The page in a real Chromium: what a technician does with hand and keyboard reaches the database and the files."""

from __future__ import annotations

import re

import httpx
import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BONES = "/api/studies/lizards/tasks/bones"
sync_api.expect.set_options(timeout=60_000)
pytestmark = pytest.mark.timeout(600)


def open_page(page, server):
    page.goto(server.url)
    page.wait_for_selector(".stage[data-ready=yes]")


def choose(page, name):
    page.locator(".rows li", has_text=name).click()
    page.wait_for_selector(f".stage[data-ready=yes][data-item='{name}']")
    page.locator(".caption h1", has_text=name[:4]).wait_for()


def saved(page):
    """Wait for the page's own word; it draws at the next frame what the hand did."""
    page.wait_for_timeout(100)
    page.locator(".saving.saved").wait_for()


def held(page, name):
    """The item's values, asked for with the page's own cookie."""
    return page.evaluate(f"fetch('{BONES}/item?name={name}').then(r => r.json()).then(d => d.values)")


def on_screen(page, name, index, shape=(290, 220)):
    """Where the landmark stands on the screen, by the fit of the whole picture."""
    box = page.locator(".stage").bounding_box()
    x, y = list(held(page, name).values())[index]["value"]
    zoom = min((box["width"] - 48) / shape[0], (box["height"] - 48) / shape[1])
    left = box["x"] + (box["width"] - (shape[0] - 1) * zoom) / 2
    top = box["y"] + (box["height"] - (shape[1] - 1) * zoom) / 2
    return left + x * zoom, top + y * zoom, zoom


def test_landmarks_by_hand_and_keyboard(page, server, study):
    open_page(page, server)
    choose(page, "0001_dorsal.png")
    page.keyboard.press("l")  # names off, so that the picture is free

    # Drag with the mouse, below a pixel.
    field = "point:elbow_left"
    index = list(held(page, "0001_dorsal.png")).index(field)
    before = held(page, "0001_dorsal.png")[field]["value"]
    x, y, zoom = on_screen(page, "0001_dorsal.png", index)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 5, y + 3)
    page.mouse.move(x + 11, y - 7)
    page.mouse.up()
    saved(page)
    after = held(page, "0001_dorsal.png")[field]["value"]
    assert after == pytest.approx([before[0] + 11 / zoom, before[1] - 7 / zoom], abs=0.01)

    # The change is on its way to nobody but the database; undo and redo by keyboard.
    page.keyboard.press("Control+z")
    saved(page)
    assert held(page, "0001_dorsal.png")[field]["value"] == pytest.approx(before)
    page.keyboard.press("Control+y")
    saved(page)
    assert held(page, "0001_dorsal.png")[field]["value"] == after

    # Nudge, hide, place again.
    page.locator(".landmarks li", has_text=re.compile("^snout_tip")).click()
    start = held(page, "0001_dorsal.png")["point:snout_tip"]["value"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Alt+ArrowLeft")
    saved(page)
    moved = held(page, "0001_dorsal.png")["point:snout_tip"]["value"]
    assert moved == pytest.approx([start[0] + 0.9, start[1] + 10], abs=2e-3)

    # Answers that come between two strokes take nothing back that the hand did since.
    page.evaluate(
        "() => { const ask = window.fetch; window.fetch = async (...words) => { const answer = await ask(...words);"
        " if (words[1]?.method === 'POST') await new Promise((d) => setTimeout(d, 300)); return answer; } }"
    )
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(170)
    saved(page)
    after = held(page, "0001_dorsal.png")["point:snout_tip"]["value"]
    assert after == pytest.approx([moved[0] + 4, moved[1]], abs=2e-3)
    page.keyboard.press("h")
    saved(page)
    assert held(page, "0001_dorsal.png")["point:snout_tip"]["value"] is None
    box = page.locator(".stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 130)
    saved(page)
    assert held(page, "0001_dorsal.png")["point:snout_tip"]["value"] is not None

    # Exchange two.
    values = held(page, "0001_dorsal.png")
    a, b = (values[f"point:hip_{side}"]["value"] for side in ("left", "right"))
    page.locator(".landmarks li", has_text=re.compile("^hip_left")).click()
    page.keyboard.press("x")
    page.locator(".landmarks li", has_text=re.compile("^hip_right")).click()
    saved(page)
    values = held(page, "0001_dorsal.png")
    assert [values[f"point:hip_{side}"]["value"] for side in ("left", "right")] == [b, a]


def test_grades_filter_progress_and_write_back(page, server, study):
    open_page(page, server)
    choose(page, "0002_dorsal.png")
    page.keyboard.press("b")
    sync_api.expect(page.locator(".caption h1")).not_to_contain_text("0002")
    saved(page)
    assert held(page, "0002_dorsal.png")["grade"]["value"] == "bad"
    choose(page, "0004_dorsal.png")
    page.keyboard.press("d")
    page.get_by_text("1 of 24 specimens done").wait_for()
    page.get_by_label("Show", exact=True).select_option("done")
    sync_api.expect(page.locator(".rows li")).to_have_count(1)
    page.get_by_label("Show", exact=True).select_option("all")
    page.keyboard.press("/")
    page.keyboard.type("0003")
    sync_api.expect(page.locator(".rows li")).to_have_count(1)
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="Write into the study's files").click()
    page.get_by_text("Written:").wait_for()
    assert ",bad," in next(r for r in (study / "specimens.csv").read_text().splitlines() if r.startswith("0002_"))
    with page.expect_download() as waiting:
        page.get_by_role("link", name="All formats, zip").click()
    assert waiting.value.suggested_filename == "bones.zip"


def test_scale_by_two_points_gives_millimetres_live(page, server):
    open_page(page, server)
    choose(page, "0001_dorsal.png")
    page.keyboard.press("s")
    box = page.locator(".stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + 200, middle)
    page.mouse.click(box["x"] + 400, middle)
    page.get_by_label("In truth, in mm").fill("20")
    page.get_by_role("button", name="Set the scale", exact=True).click()
    saved(page)
    zoom = on_screen(page, "0001_dorsal.png", 0)[2]
    scale = held(page, "0001_dorsal.png")["scale"]["value"]
    assert scale["mm_per_px"] == pytest.approx(20 / (200 / zoom), rel=1e-3)
    page.get_by_text(f"{scale['mm_per_px']:.5f} mm/px").wait_for()


def test_a_killed_server_costs_nothing_but_a_moment(page, start, study):
    server = start(str(study), "--as", "tester")
    open_page(page, server)
    choose(page, "0001_dorsal.png")
    server.kill()
    page.keyboard.press("f")
    page.get_by_text("Not connected; edits wait here").wait_for()
    server.start(server.port)
    saved(page)
    assert held(page, "0001_dorsal.png")["status"]["value"] == "flagged"
    log = page.evaluate(f"fetch('{BONES}/log').then(r => r.json())")
    assert len(log) == 1


def test_what_another_person_changes_appears(page, server):
    open_page(page, server)
    choose(page, "0001_dorsal.png")
    cookies = {c["name"]: c["value"] for c in page.context.cookies()}
    with httpx.Client(base_url=server.address, cookies=cookies) as other:
        csrf = other.get("/api/session").json()["csrf"]
        body = {
            "item": "0002_dorsal.png",
            "key": "from-elsewhere",
            "changes": [{"field": "status", "value": "done", "base": 0}],
        }
        assert other.post(f"{BONES}/edits", json=body, headers={"x-ethomorph-csrf": csrf}).status_code == 200
    page.get_by_text("1 of 24 specimens done").wait_for()


def test_the_page_is_usable_without_seeing_it(page, server):
    """Every button has a name, every field a label, and the theme keeps its contrast."""
    open_page(page, server)
    choose(page, "0001_dorsal.png")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea')].filter(e => !(e.textContent.trim() ||"
        " e.ariaLabel || e.labels?.length || e.title)).map(e => e.outerHTML)"
    )
    assert nameless == []
    seen = []
    for _ in range(4):  # every part of the page by keyboard alone, and Tab goes on from there
        page.keyboard.press("F6")
        seen.append(page.evaluate("document.activeElement.closest('.top, .queue, .tools, .inspector').className"))
    # a click on the queue gave it the focus, so the part after it comes first
    assert [name.split()[0] for name in seen] == ["tools", "inspector", "top", "queue"]
    before = page.evaluate("document.activeElement.outerHTML")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.queue') !== null")
    assert page.evaluate("document.activeElement.outerHTML") != before
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        ratios = page.evaluate(CONTRAST)
        assert min(ratios.values()) >= 4.5, (theme, ratios)


def test_a_tablet_held_upright_is_enough(browser, server):
    """Touch alone: the picture has the page, the queue comes when asked for, a finger drags, two fingers zoom."""
    context = browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    try:
        open_page(page, server)
        assert page.locator(".stage").bounding_box()["width"] > 800
        sync_api.expect(page.locator(".inspector")).to_be_hidden()
        page.get_by_role("button", name="Queue").tap()
        page.locator(".rows li", has_text="0001_dorsal.png").tap()
        sync_api.expect(page.locator(".queue")).to_be_hidden()
        page.wait_for_selector(".stage[data-ready=yes][data-item='0001_dorsal.png']")
        index = list(held(page, "0001_dorsal.png")).index("point:elbow_left")
        before = held(page, "0001_dorsal.png")["point:elbow_left"]["value"]
        x, y, zoom = on_screen(page, "0001_dorsal.png", index)
        touch = context.new_cdp_session(page)

        def finger(kind, *places):
            points = [{"x": px, "y": py, "id": i} for i, (px, py) in enumerate(places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        finger("touchStart", (x, y))
        finger("touchMove", (x + 8, y + 4))
        finger("touchMove", (x + 20, y + 12))
        finger("touchEnd")
        page.wait_for_timeout(100)
        page.locator(".saving").wait_for(state="attached")
        sync_api.expect(page.locator(".saving")).to_have_class(re.compile("saved"))
        after = held(page, "0001_dorsal.png")["point:elbow_left"]["value"]
        assert after == pytest.approx([before[0] + 20 / zoom, before[1] + 12 / zoom], abs=0.02)
        fits = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert fits
    finally:
        context.close()


CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    let hex = style.getPropertyValue(name).trim().slice(1);
    if (hex.length === 3) hex = [...hex].map((c) => c + c).join('');
    const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = {};
  for (const [ink, ground] of [['--ink', '--panel'], ['--soft', '--panel'], ['--faint', '--panel'],
    ['--soft', '--ground'], ['--soft', '--line'], ['--soft', '--wash'], ['--faint', '--ground'], ['--faint', '--wash'],
    ['--accent', '--wash'], ['--accent', '--panel'], ['--accent-ink', '--accent'], ['--good', '--good-wash'],
    ['--bad', '--bad-wash'], ['--warn', '--warn-wash']]) {
    const [a, b] = [light(ink), light(ground)];
    found[`${ink} on ${ground}`] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
}"""
