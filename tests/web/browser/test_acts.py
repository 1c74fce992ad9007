"""What a person does on the page: sees a mains failure, acknowledges, commands, exports."""

import re
import time
from io import BytesIO

import openpyxl
from playwright.sync_api import expect

from tests.browser.harness import Figure
from tests.browser.tab import Tab
from tests.web.browser.demo import Demo, eventually

# The focus is seen: as an outline, or in the picture as the line of a box.
_SHOWN = """(() => {
  const box = document.activeElement.querySelector("rect.box");
  return getComputedStyle(document.activeElement).outlineStyle !== "none"
    || (box !== null && parseFloat(getComputedStyle(box).strokeWidth) > 3);
})()"""
SON = ("ups1", "SON")
MAINS = "[data-view] .active > [data-alarm$='mains-abnormal']"


def test_a_mains_failure(tab: Tab, demo: Demo, figure: Figure) -> None:
    """It shows, one line with its consequences; a person acknowledges. How soon is a figure."""
    page = tab.open(language="en")
    expect(tab.headline).to_have_text("all well")
    demo.world(mains__voltage=0)
    try:
        cut = time.time()
        page.wait_for_selector(MAINS)
        seen = time.time()
        cause = page.locator(MAINS).first
        name = cause.get_attribute("data-alarm")
        assert name is not None
        raised = demo.alarm(name)["raisedAt"]
        figure("from the cut to the page", seen - cut, "s")
        figure("from the alarm to the page", seen - demo.seconds(raised), "s")
        expect(tab.headline).to_contain_text("mains", ignore_case=True)
        expect(page).to_have_title(re.compile(r"\(1\)"))
        page.wait_for_selector(f"{MAINS} [data-alarm='ups1.on-battery']", state="attached")
        left = page.locator("[data-field=runtime-left]:visible")
        expect(left).to_contain_text("battery")
        cause.locator(tab.action("ack")).click()
        expect(cause).to_contain_text("local")  # who acknowledged
        assert demo.alarm(name)["ackedBy"] == "local"
        eventually("the call", lambda: demo.told(name))
        expect(cause).to_contain_text("told to demo")  # who was called
        tab.shot("mains-failure-en-1400")
    finally:
        demo.world(mains__voltage=220)
    page.wait_for_selector(MAINS, state="detached")
    expect(tab.headline).to_have_text("all well")


def test_a_dangerous_command(tab: Tab, demo: Demo) -> None:
    """Refused, nothing is done; confirmed, the outcome is told, and the audit names the person."""
    page = tab.open("/devices/ups1", "en")

    def given() -> list[str]:
        found = demo.get("audit")["entries"]
        return [each["who"] for each in found if (each["target"], each["command"]) == SON]

    before = given()
    locked = page.locator("li", has=page.locator("[data-command=SOFF]"))
    expect(locked.locator("button")).to_be_disabled()
    expect(locked).to_contain_text("allow_off")
    press = page.locator("[data-command=SON]")
    expect(page.locator(tab.action("confirm"))).to_have_count(0)
    press.click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("power")
    expect(dialog.locator(tab.action("cancel"))).to_be_focused()
    dialog.locator(tab.action("cancel")).click()
    expect(page.locator(tab.action("confirm"))).to_have_count(0)
    assert given() == before
    press.click()
    page.locator(tab.action("confirm")).click()
    expect(page.locator(".outcomes")).to_contain_text("done", ignore_case=True)
    tab.shot("command-done-en-1400")
    assert given() == ["api 127.0.0.1 local", *before]


def test_by_keyboard_alone(tab: Tab) -> None:
    """Tab and Enter go from the top to a device, and through a question and back."""
    page = tab.open(language="en")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()

    def until(what: str) -> None:
        for _ in range(150):
            page.keyboard.press("Tab")
            if page.evaluate("(s) => document.activeElement.matches(s)", what):
                assert page.evaluate(_SHOWN), what
                return
        raise AssertionError(f"no way to {what}")

    until("[data-action=language]")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator(".site-picture")).to_have_attribute("aria-label", "Picture of the site")
    until("[data-device=ups1] a, a[data-device=ups1]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-view=device] [data-command=SON]")
    until("[data-command=SON]")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    expect(page.locator("[data-command=SON]")).to_be_focused()


def test_focus_outlives_a_new_size(tab: Tab) -> None:
    """The picture is drawn anew for another width, and the box with the focus keeps it."""
    page = tab.open(language="en")
    page.locator("a.node[data-device=ups1]").focus()
    before = page.evaluate_handle("document.activeElement")
    tab.size(400, 900)
    expect(page.locator(".picture.narrow")).to_be_visible()
    expect(page.locator("a.node[data-device=ups1]")).to_be_focused()
    assert not page.evaluate("(old) => old.isConnected", before)


def test_export_is_a_workbook(tab: Tab) -> None:
    """What the page exports opens, with a column for each point and what it is called."""
    page = tab.open("/audit", "en")
    form = page.locator("form.export")
    form.locator("[name=what]").select_option("points")
    form.locator("[name=format]").select_option("xlsx")
    form.locator("[name=prefix]").select_option("ups1.")
    with page.expect_download() as download:
        form.locator(tab.action("export")).click()
    content = download.value.path().read_bytes()
    book = openpyxl.load_workbook(BytesIO(content), read_only=True)
    rows = list(book.active.iter_rows(values_only=True))
    text = " ".join(str(each) for row in rows[:5] for each in row)
    assert "ups1.input_voltage_r" in text
    assert len(rows) > 2
    book.close()
