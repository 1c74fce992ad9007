"""The view of a device: plots, commands with consent, the course of a battery test, diagnosis."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.browser.harness import Figure, Open
from tests.browser.tab import Tab
from tests.web.browser.demo import Demo, eventually
from tests.web.browser.year import POINTS

YEAR = 31_536_000
DRAWN = ".plot-stage[data-busy=false]"
CLICKED_TO_DRAWN = """(span) => new Promise((done) => {
  const stage = document.querySelector('.plot-stage');
  const began = performance.now();
  new MutationObserver((_, watching) => {
    if (stage.dataset.busy !== 'false') return;
    watching.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  }).observe(stage, { attributes: true });
  document.querySelector(`[data-span="${span}"]`).click();
})"""
COLOURS = """() => {
  const canvas = document.querySelector('[data-plot] canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
KEYS = """async () => {
  const found = [];
  const walk = (a, b, path) => {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      if (typeof a[key] !== typeof b[key]) found.push(`${path}.${key}`);
      else if (typeof a[key] === 'object') walk(a[key], b[key], `${path}.${key}`);
    }
  };
  const { DEVICE_TEXTS: texts } = await import('/device_texts.js');
  const { PLOT_TEXTS: plots } = await import('/plot_texts.js');
  walk(texts.en, texts.zh, 'device');
  walk(plots.en, plots.zh, 'plot');
  return found;
}"""
SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) {
      if (each.sources.some(({ node }) => node?.closest?.('[data-view]'))) sum += each.value;
    }
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => done(sum), 2500);
})"""


def opened(tab: Tab, path: str = "/devices/ups1", language: str = "en") -> Page:
    page = tab.open(path, language)
    page.wait_for_selector("[data-plot] canvas")
    page.wait_for_selector(DRAWN)
    return page


def test_a_plot_is_drawn_unasked(tab: Tab) -> None:
    """A device shows its day at once, on a canvas that is not blank; nothing moves meanwhile."""
    page = opened(tab)
    assert page.evaluate(COLOURS) > 10
    page.wait_for_selector("[data-plot~='ups1.state']")
    assert page.evaluate(SHIFTS) < 0.01
    page.click("li[data-key='ups1.temperature'] input")
    page.wait_for_selector("[data-plot~='ups1.temperature']")
    page.fill(".plot-tools input", "ups2.temperature")
    page.wait_for_selector("[data-plot~='ups2.temperature']")
    page.reload()
    page.wait_for_selector("[data-plot~='ups2.temperature'] canvas")
    assert page.evaluate(KEYS) == []


def test_a_year_of_four_points(tab: Tab, tmp_path: Path, figure: Figure) -> None:
    """A year is drawn, and saved as a table and a picture of it; how soon is a figure."""
    page = opened(tab, f"/devices/ups1?plot={','.join(POINTS)}")
    times = []
    for _ in range(4):
        times.append(page.evaluate(CLICKED_TO_DRAWN, YEAR))
        page.evaluate(CLICKED_TO_DRAWN, 86_400)
    figure("a year of four points, from the click to drawn", min(times), "ms")
    page.evaluate(CLICKED_TO_DRAWN, YEAR)
    page.wait_for_url(f"**span={YEAR}*")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    saved.value.save_as(tmp_path / "seen.csv")
    content = (tmp_path / "seen.csv").read_text(encoding="utf-8-sig")
    head, *rows = content.splitlines()
    assert head.startswith("time,ups1.load_r (%) mean,ups1.load_r (%) least")
    assert len(rows) > 500
    days = {row[:10] for row in rows}
    assert 355 < len(days) < 366  # a gap is no row
    with page.expect_download() as saved:
        page.get_by_role("button", name="PNG").click()
    saved.value.save_as(tmp_path / "seen.png")
    picture = (tmp_path / "seen.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") > 600


def test_a_plot_by_keyboard(tab: Tab) -> None:
    """Arrows tell the values at the cursor, plus and Shift change the time, Escape goes back."""
    page = opened(tab, f"/devices/ups1?plot={','.join(POINTS)}")
    page.evaluate(CLICKED_TO_DRAWN, YEAR)
    page.focus(".plot-box")
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    said = page.locator(".plot [role=status]")
    expect(said).to_have_text(re.compile(r"Load R · ups1\.load_r \d+\S* %"))
    page.keyboard.press("+")
    page.wait_for_url(f"**span={YEAR // 2}*")
    page.wait_for_selector(DRAWN)
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_url("**until=*")
    page.wait_for_selector(DRAWN)
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "until=" not in url and "span=86400" in url)


def test_a_plot_by_fingers(open_tab: Open) -> None:
    """What is under two fingers stays under them: the time is zoomed; one finger moves it."""
    tab = open_tab(width=400, height=800, has_touch=True)
    page = opened(tab, "/devices/ups1?plot=ups1.load_r&span=86400")
    page.locator(".plot-box").scroll_into_view_if_needed()
    box = page.locator(".plot-box .u-over").bounding_box()
    assert box is not None
    cdp = tab.cdp()

    def touch(kind: str, *places: float) -> None:
        points = [
            {"x": box["x"] + part * box["width"], "y": box["y"] + 60, "id": number}
            for number, part in enumerate(places)
        ]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.4, 0.6)
    touch("touchMove", 0.3, 0.7)
    touch("touchMove", 0.1, 0.9)
    touch("touchEnd")
    page.wait_for_url(lambda url: "until=" in url)
    page.wait_for_selector(DRAWN)
    span, until = (int(re.findall(rf"{key}=(\d+)", page.url)[0]) for key in ("span", "until"))
    # The time has a little more room where the numbers beside it become shorter.
    assert 86_400 / 5 < span < 86_400 / 3
    touch("touchStart", 0.25)
    touch("touchMove", 0.5)
    touch("touchMove", 0.75)
    touch("touchEnd")
    page.wait_for_url(lambda url: f"until={until}" not in url)
    moved = int(re.findall(r"until=(\d+)", page.url)[0])
    assert 0.4 * span < until - moved < 0.6 * span


def test_alarms_of_a_device(tab: Tab, demo: Demo) -> None:
    """The alarms of a device stand by their urgency."""
    demo.world(mains__voltage=0)
    wanted = {"ups1.mains-abnormal", "ups1.on-battery"}
    eventually("the alarms", lambda: wanted <= demo.active())
    page = opened(tab)
    page.locator(".device-side .alarm").nth(1).wait_for()
    found = page.locator(".device-side .alarm").evaluate_all(
        "(all) => all.map((each) => each.dataset.severity)"
    )
    assert found == sorted(found)
    assert set(found) == {"critical", "warning"}
    demo.world(mains__voltage=220)


def test_commands_ask_before_they_hurt(tab: Tab, demo: Demo) -> None:
    """What is harmless runs at once; what is not names its consequence, and is confirmed."""
    page = opened(tab, language="zh")
    page.click("[data-command=BZOFF]")
    page.wait_for_selector(".outcomes [data-outcome=done]")
    expect(page.locator("[data-action=confirm]")).to_have_count(0)
    expect(page.locator("[data-command=SOFF]")).to_be_disabled()
    expect(page.locator(".commands")).to_contain_text("allow_off")

    def tests() -> int:
        return [each["command"] for each in demo.get("audit")["entries"]].count("T")

    before = tests()
    page.click("[data-command=T]")
    expect(page.locator("dialog")).to_contain_text("电池有故障时门架断电")
    tab.axe()
    page.click("[data-action=cancel]")
    page.wait_for_selector("dialog", state="detached")
    assert tests() == before
    page.click("[data-command=T]")
    page.click("[data-action=confirm]")
    course = page.locator("[data-field=battery-test][data-state=running]:has(progress:visible)")
    expect(course).to_contain_text("电池测试已进行")
    assert tests() == before + 1
    row = page.locator("li[data-key='ups1.fault_voltage']")
    expect(row).to_contain_text("0 V")
    expect(row).to_contain_text("读数有效")
    expect(row).not_to_contain_text("正常")


def test_arguments_as_the_api_says(tab: Tab, demo: Demo) -> None:
    """A form has a field for each argument; values have the types that the API names."""
    page = opened(tab, "/devices/cfos")
    page.click("[data-command=feed-meter]")
    page.fill("dialog [name=dev_id]", "M3")
    page.fill("dialog [name=voltage]", "230, 231, 229")
    page.fill("dialog [name=power_w]", "1500.5")
    page.select_option("dialog [name=is_va]", "false")
    with page.expect_request("**/api/v1/commands") as asked:
        page.click("[data-action=confirm]")
    assert json.loads(asked.value.post_data or "") == {
        "target": "cfos",
        "command": "feed-meter",
        "args": {"dev_id": "M3", "voltage": [230, 231, 229], "power_w": 1500.5, "is_va": False},
    }
    page.wait_for_selector(".outcomes li:not([data-outcome=running])")
    page.click("[data-command=get-params]")
    page.wait_for_selector(".outcomes pre")


def test_diagnosis_and_interlocks(tab: Tab) -> None:
    """The way to a device is tried, step by step; an interlock says when it acts, and its state."""
    page = opened(tab)
    page.click("[data-action=diagnose]")
    page.wait_for_selector(".steps [data-outcome=ok]")
    page.wait_for_selector("[data-action=diagnose]:enabled")
    page.wait_for_selector(".interlocks li")
    expect(page.locator(".interlocks")).to_contain_text("ups1.temperature > 95")
    expect(page.locator(".interlocks")).to_contain_text("at rest")
    tab.axe()


def test_a_viewer_sees_no_commands(tab: Tab) -> None:
    """Who may only read gets no button that would be refused."""

    def viewer(route: Route) -> None:
        route.fulfill(json={"name": "guest", "role": "viewer"})

    tab.page.route("**/api/v1/whoami", viewer)
    page = opened(tab)
    expect(page.locator(".commands:visible")).to_contain_text("Commands are for operators.")
    expect(page.locator("[data-command]")).to_have_count(0)
    expect(page.locator("[data-action=diagnose]")).to_be_hidden()


def test_why_it_is_offline(tab: Tab, demo: Demo) -> None:
    """The last error has its time, and what to do next."""

    def broken(route: Route) -> None:
        answer: Any = route.fetch().json()
        answer["devices"][0] |= {
            "state": "offline",
            "lastError": "refused",
            "lastErrorZh": "连接被拒绝",
            "lastErrorAt": answer["startedAt"],
            "adviceZh": "核对端口号",
        }
        route.fulfill(json=answer)

    tab.page.route("**/api/v1/site", broken)
    tab.page.route("**/api/v1/stream", lambda route: route.abort())
    tab.allow("stream|ERR_FAILED")
    page = opened(tab, language="zh")
    head = page.locator(".device-head")
    told = re.compile(r"最近错误（[^）]*\d\d:\d\d:\d\d[^）]*）：连接被拒绝")
    expect(head).to_contain_text(told)
    expect(head).to_contain_text("处理建议：核对端口号")
    assert eventually("the site", lambda: demo.get("site"))
