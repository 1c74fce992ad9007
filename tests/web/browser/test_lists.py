"""Alarms, reports, audit and exports in a browser: what a person does there is done."""

import csv
from pathlib import Path

import openpyxl
from playwright.sync_api import Page, Route, expect

from tests.web.browser.demo import Demo
from tests.web.browser.tab import Tab

MAINS = ".active > [data-alarm$='mains-abnormal']"


def _as_role(tab: Tab, name: str, role: str) -> None:
    """Let the page take the person for one with this role."""

    def answer(route: Route) -> None:
        route.fulfill(json={"name": name, "role": role})

    tab.page.route("**/api/v1/whoami", answer)


def _fail_mains(demo: Demo, page: Page) -> str:
    """Let the mains fail, and return the name of the alarm of which the others are consequences."""
    demo.world(mains__voltage=0)
    page.wait_for_selector(f"{MAINS} [data-alarm]")
    return str(page.get_attribute(MAINS, "data-alarm"))


def test_a_mains_failure_by_keyboard(tab: Tab, demo: Demo) -> None:
    """It is acknowledged with a note, and shelved, together with what it explains; a note is text,
    and the place of the reader stays. Smoke has no way to be muted. A viewer has no button that
    would be refused.
    """
    page = tab.open("/alarms")
    try:
        demo.world(cab1__smoke=True)
        smoke = page.locator("[data-alarm='cab1.smoke']")
        expect(smoke).to_contain_text("never muted")
        expect(smoke.locator("[data-action=ack]")).to_be_visible()
        expect(smoke.locator("[data-action=shelve]")).to_be_hidden()
        name = _fail_mains(demo, page)
        card = page.locator(f".active > [data-alarm='{name}']")
        assert page.locator("[data-action=confirm]").count() == 0
        card.locator("[data-action=ack]").focus()
        page.keyboard.press("Enter")
        page.keyboard.type("<b>on the way</b>")
        tab.axe()
        page.keyboard.press("Enter")
        expect(card).to_contain_text("acknowledged by local")
        expect(card).to_contain_text("“<b>on the way</b>”")
        expect(card.locator("[data-action=unack]")).to_be_focused()
        expect(page.locator("[data-action=confirm]")).to_have_count(0)
        acked = {a["alarm"] for a in demo.get("alarms?active=1")["alarms"] if a["ackedBy"]}
        assert name in acked
        assert len(acked) > 1
        card.locator("[data-action=shelve]").click()
        page.select_option("dialog [name=seconds]", "1800")
        page.click("dialog [data-action=confirm]")
        expect(card).to_contain_text("shelved until")
        card.locator("[data-action=unshelve]").click()
        expect(card).not_to_contain_text("shelved until")
        _as_role(tab, "vera", "viewer")
        page.reload()
        expect(card).to_contain_text("acknowledged by local")
        for action in ("ack", "unack", "shelve", "maintenance"):
            expect(page.locator(f"[data-action={action}]:visible")).to_have_count(0)
    finally:
        demo.world(mains__voltage=230, cab1__smoke=False)
    row = page.locator(f".recent > [data-alarm='{name}']").first
    expect(row).to_contain_text("lasted")
    page.fill("[name=find]", "way")
    expect(page.locator(".recent > [data-alarm='cab1.smoke']")).to_have_count(0)
    expect(row).to_be_visible()


def test_maintenance(tab: Tab, demo: Demo) -> None:
    """It begins and ends on the page; one that another person began is seen."""
    page = tab.open("/alarms")
    page.click("[data-action=maintenance]")
    page.select_option("[name=device]", "cfos")
    page.fill("[name=note]", "new meter")
    page.click("[data-action=confirm]")
    mute = page.locator("[data-maintenance=cfos]")
    expect(mute).to_contain_text("new meter")
    assert [each["device"] for each in demo.get("maintenance")["maintenance"]] == ["cfos"]
    mute.locator("[data-action=end-maintenance]").click()
    expect(mute).to_have_count(0)


def test_reports(tab: Tab, demo: Demo) -> None:
    """A refused report shows why, its body and the answer; it is dropped after a question, and sent
    again. The last day is drawn.
    """
    demo.fault("etc", {"code": "1004"})
    page = tab.open("/reports")
    try:
        demo.world(cab1__smoke=True)
        first = page.locator("[data-report]").first
        expect(first).to_contain_text("1004", timeout=30_000)
    finally:
        demo.fault("etc", None)
        demo.world(cab1__smoke=False)
    tab.axe()
    first.locator("summary").click()
    expect(first.locator(".body")).to_contain_text('"gantryId"')
    expect(first.locator(".answer")).to_contain_text('"1004"')
    number = first.get_attribute("data-report")
    first.locator("[data-action=drop]").click()
    expect(page.locator("dialog")).to_contain_text("never be reported")
    page.click("[data-action=cancel]")
    assert demo.get(f"outbox?id={number}")["reports"]
    first.locator("[data-action=drop]").click()
    page.click("[data-action=confirm]")
    expect(page.locator(f"[data-report='{number}']")).to_have_count(0)
    assert demo.get(f"outbox?id={number}")["reports"] == []
    demo.post("outbox/retry", {})
    expect(page.locator("[data-report]")).to_have_count(0)
    drawn = "[data-plot='deliveries.etc'] canvas"
    assert page.evaluate(f'document.querySelector("{drawn}").getBoundingClientRect().height') > 50
    assert str(page.get_attribute(drawn, "aria-label")).startswith("etc, last 24 hours: ")


def test_export(tab: Tab, tmp_path: Path) -> None:
    """A workbook opens again, a CSV has its mark for Excel; what was done is in the audit."""
    page = tab.open("/audit")

    def exported(what: str, form: str) -> Path:
        page.select_option("[name=what]", what)
        page.select_option("[name=format]", form)
        with page.expect_download() as download:
            page.click("[data-action=export]")
        path = tmp_path / download.value.suggested_filename
        assert path.suffix == f".{form}"
        download.value.save_as(path)
        return path

    page.select_option("[name=prefix]", "ups1.")
    book = openpyxl.load_workbook(exported("points", "xlsx"), read_only=True)
    titles, *rows = book.active.iter_rows(values_only=True)
    assert titles[0] == "Time"
    assert all(each.startswith("ups1.") for each in titles[1:])
    assert rows
    text = exported("alarms", "csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    assert next(csv.reader([text.decode("utf-8-sig").splitlines()[0]]))[0] == "Raised"
