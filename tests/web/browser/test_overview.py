"""The overview in a browser: what it answers at a glance, and what a person does there."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.tab import Tab
from tests.web.browser.demo import Demo, eventually

Open = Callable[..., Tab]
KINDS = ("ups-card", "cabinet", "computer", "cfos", "bms", "ups-card-http", "relay", "modbus")

NO_SCROLLING = "document.documentElement.scrollHeight <= innerHeight"
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) {
    if (!each.hadRecentInput) window.shifts.push([each.value, each.sources.map(
      ({ node }) => node && (node.className || node.nodeName || node.textContent))]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
COUNT_SOUNDS = """
window.tones = 0;
const part = () => ({ connect: (to) => to, gain: {
  setValueAtTime() {}, exponentialRampToValueAtTime() {} } });
window.AudioContext = class {
  state = "running";
  currentTime = 0;
  createGain() { return part(); }
  createOscillator() {
    return { ...part(), frequency: {}, start() { window.tones += 1; }, stop() {} };
  }
};
"""
MOVED = """async () => {
  const { make, sync } = await import("/shared/dom.js");
  const list = make("div");
  document.body.append(list);
  const build = (each) => make("button", "", each);
  const show = (names) => sync(list, names, (each) => each, build, () => {});
  show(["first", "second", "third"]);
  list.lastElementChild.focus();
  show(["third", "first", "second"]);
  return document.activeElement.textContent;
}"""
PLANS = """async (kinds) => {
  const { plan } = await import("/site_plan.js");
  const uplinks = ["etc", "cloud"].map((name) => ({ name, kind: "etc" }));
  const made = [];
  for (let n = 1; n <= 12; n += 1) {
    for (let turn = 0; turn < kinds.length; turn += 1) {
      const devices = Array.from({ length: n }, (_, i) => (
        { name: `d${i}`, kind: kinds[(i + turn) % kinds.length], fedBy: i > 3 ? "d0" : null }));
      for (const space of [{ width: 930, height: 420 }, { width: 340, height: 400 },
          { width: 3000, height: 1200 }]) {
        made.push({ devices: n, space, ...plan({ devices, uplinks }, space) });
      }
    }
  }
  return made;
}"""


def apart(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Tell whether two boxes leave each other room."""
    beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
    return bool(beside or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"])


def test_the_picture_is_right_for_one_to_twelve_devices(tab: Tab) -> None:
    """Each device has one box, no box covers another one or the border, and lines have ends."""
    plans = tab.open("/").evaluate(PLANS, list(KINDS))
    assert len(plans) == 12 * len(KINDS) * 3
    for made in plans:
        boxes = made["boxes"]
        names = [each["name"] for each in boxes if each["type"] == "device"]
        assert sorted(names) == sorted(f"d{i}" for i in range(made["devices"]))
        for number, box in enumerate(boxes):
            for start, size in (("x", "width"), ("y", "height")):
                assert box[start] >= -0.01
                assert box[start] + box[size] <= made[size] + 0.01
            assert all(apart(box, other) for other in boxes[:number]), made
        ids = {each["id"] for each in boxes}
        assert {end for each in made["lines"] for end in (each["from"], each["to"])} <= ids


def many_devices(page: Page, count: int) -> None:
    """Let the page see a site of so many devices."""

    def answer(route: Route) -> None:
        site = route.fetch().json()
        own = site["devices"]
        copies = [{**own[i % len(own)], "name": f"copy{i}"} for i in range(count - len(own))]
        site["devices"] = own + copies
        route.fulfill(json=site)

    page.route("**/api/v1/site", answer)
    page.route("**/api/v1/stream", lambda route: route.fulfill(status=204))


@pytest.mark.parametrize("count", [6, 12])
def test_it_fits(tab: Tab, count: int) -> None:
    """The overview needs no scrolling at 1400 x 900, and three screens of a phone at most."""
    many_devices(tab.page, count)
    page = tab.open("/", "zh")
    page.locator("li.device").nth(count - 1).wait_for(state="attached")
    tab.until("all is in the window", lambda: page.evaluate(NO_SCROLLING))
    tab.size(400, 800)
    tab.open("/", "zh")
    page.locator("li.device").nth(count - 1).wait_for(state="attached")
    high = "document.documentElement.scrollHeight"
    tab.until("three screens hold it", lambda: page.evaluate(high) <= 3 * 800)
    tab.until_fits(count)


def test_icons_and_batteries(tab: Tab) -> None:
    """Each box has an icon and its whole title; a UPS shows what is left of its battery."""
    page = tab.open("/")
    page.wait_for_selector(".site-picture [data-device=ups2]")
    boxes = page.locator(".site-picture .node")
    assert page.locator(".site-picture .node > .icon[d^=M]").count() == boxes.count()
    assert "…" not in "".join(page.locator(".site-picture .title").all_text_contents())
    bars = page.locator(".site-picture .battery:not([hidden]) rect")
    assert bars.count() == 2
    eventually("a charge", lambda: 0 < float(bars.first.get_attribute("width") or 0) <= 16)


def test_a_mains_failure(open_tab: Open, demo: Demo) -> None:
    """A failure of the mains is seen at once, with since when and the time left; nothing moves, no
    card stays green, a click acknowledges with the name, and the end is seen, too.
    """
    tab = open_tab()
    page = tab.page
    page.add_init_script(WATCH_SHIFTS)
    page.add_init_script(COUNT_SOUNDS)
    tab.open("/")
    expect(tab.headline).to_have_text("all well")
    expect(page.locator("[data-field=runtime-left]")).to_contain_text("at this load")
    expect(page.locator("[data-action=ack]:visible")).to_have_count(0)
    page.click("[data-action=sound]")
    tab.until("one sound", lambda: page.evaluate("window.tones") == 1)
    demo.world(mains__voltage=0)
    try:
        fail(tab, demo)
    finally:
        demo.world(mains__voltage=220)
    expect(tab.headline).to_have_text("all well")
    # A chip whose word grows to the left counts as 0.00003; what is new must have room.
    shifts = page.evaluate("window.shifts")
    assert sum(value for value, _ in shifts) < 0.001, shifts


def fail(tab: Tab, demo: Demo) -> None:
    """See what a failure of the mains does, and acknowledge it."""
    page = tab.page
    cause = page.locator(".causes > [data-alarm$='.mains-abnormal']")
    expect(tab.headline).to_contain_text("mains abnormal since")
    expect(page).to_have_title(re.compile(r"^▲ \(1\) "))
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile(r"favicon-critical\.svg$"))
    tab.until("a sound", lambda: page.evaluate("window.tones") >= 4)
    eventually("the other alarms", lambda: {"ups1.on-battery", "ups2.on-battery"} <= demo.active())
    for device in ("ups1", "ups2"):
        card = f"li.device[data-device={device}]:not([data-state=online])"
        page.wait_for_selector(card)
        page.wait_for_selector(f".site-picture [data-device={device}]:not([data-state=online])")
    tab.until("all is in the window", lambda: page.evaluate(NO_SCROLLING))
    page.wait_for_selector(".causes [data-alarm] [data-alarm]", state="attached")
    cause.locator("[data-action=ack]").first.click()
    page.locator(".cause .acked", has_text="acknowledged by local").first.wait_for()
    expect(page.locator(".causes > li > .head > [data-action=ack]:visible")).to_have_count(0)


def test_a_viewer_only_looks(tab: Tab, demo: Demo) -> None:
    """Who may only look sees no button that would be refused."""
    me = {"name": "vera", "role": "viewer"}
    tab.page.route("**/api/v1/whoami", lambda route: route.fulfill(json=me))
    demo.world(mains__voltage=0)
    try:
        page = tab.open("/")
        page.wait_for_selector(".causes > [data-alarm]")
        for path in ("/", "/alarms"):
            tab.open(path)
            page.wait_for_selector("[data-view] [data-alarm]")
            for action in ("ack", "shelve"):
                shown = page.locator(f"[data-view] [data-action={action}]:visible")
                expect(shown).to_have_count(0)
    finally:
        demo.world(mains__voltage=220)


def test_switches(tab: Tab) -> None:
    """Language and theme are switched, remembered, and hold on every address."""
    page = tab.open("/", "en")
    page.click("[data-action=language]")
    page.wait_for_selector("html[lang=zh-CN]")
    page.click("[data-action=theme]")
    page.click("[data-action=theme]")
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    page.click("nav [data-to=alarms]")
    page.wait_for_selector("[data-view=alarms]")
    page.wait_for_url("**/alarms")
    page.reload()
    page.wait_for_selector("[data-view=alarms]")
    expect(html).to_have_attribute("lang", "zh-CN")
    expect(html).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(15, 21, 28)")
    page.go_back()
    page.wait_for_selector("[data-view=overview]")


def test_the_keyboard_alone(tab: Tab) -> None:
    """A device is opened from the picture by the keyboard, with its state in words."""
    page = tab.open("/")
    link = page.locator(".site-picture a[data-device=ups1]")
    expect(link).to_have_attribute("aria-label", re.compile("UPS card"))
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-view=device][data-device=ups1]")
    page.wait_for_url("**/devices/ups1")


def test_what_moves_keeps_the_focus(tab: Tab) -> None:
    """A row that moves in its list keeps the keyboard's focus."""
    assert tab.open("/").evaluate(MOVED) == "third"
