"""Alarms, reports, audit and exports in a browser: what a person does there is done."""

import csv
import re

from playwright.sync_api import Page, Route, expect

from tests.browser.tab import Tab
from tests.web.browser.demo import Demo

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
        expect(card).to_be_visible()
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
    assert "cfos" in [each["device"] for each in demo.get("maintenance")["maintenance"]]
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
        refused = "[data-report][data-state=set-aside]"
        page.wait_for_selector(refused)
        number = page.get_attribute(refused, "data-report")
    finally:
        demo.fault("etc", None)
        demo.world(cab1__smoke=False)
    tab.axe()
    first = page.locator(f"[data-report='{number}']")
    expect(first).to_contain_text("1004")
    first.locator("summary").click()
    expect(first.locator(".body")).to_contain_text('"gantryId"')
    expect(first.locator(".answer")).to_contain_text('"1004"')
    first.locator("[data-action=drop]").click()
    expect(page.locator("dialog")).to_contain_text("never be reported")
    page.click("[data-action=cancel]")
    assert demo.get(f"outbox?id={number}")["reports"]
    first.locator("[data-action=drop]").click()
    page.click("[data-action=confirm]")
    expect(first).to_have_count(0)
    assert demo.get(f"outbox?id={number}")["reports"] == []
    demo.post("outbox/retry", {})
    expect(page.locator(refused)).to_have_count(0)
    drawn = page.locator("[data-plot='deliveries.etc'] canvas")
    expect(drawn).to_have_attribute("aria-label", re.compile("^etc, last 24 hours: "))
    box = drawn.bounding_box()
    assert box is not None
    assert box["height"] > 50


def test_export_of_a_time(tab: Tab, demo: Demo) -> None:
    """A CSV of a time that was typed has its mark for Excel; a time that ends before it begins is
    told, and nothing is downloaded.
    """
    demo.post("maintenance", {"device": "cfos", "for": 60})
    demo.delete("maintenance?device=cfos")
    tab.allow("400")
    page = tab.open("/audit")
    page.select_option("[name=what]", "audit")
    page.select_option("[name=lang]", "zh")
    page.select_option("[name=period]", "")
    page.fill("[name=since]", "2020-01-01T00:00")
    page.fill("[name=until]", "2019-01-01T00:00")
    page.click("[data-action=export]")
    expect(page.locator(".toast")).to_contain_text("since is before until")
    page.fill("[name=until]", "")
    with page.expect_download() as download:
        page.click("[data-action=export]")
    assert download.value.suggested_filename.endswith(".csv")
    content = download.value.path().read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    titles, *rows = csv.reader(content.decode("utf-8-sig").splitlines())
    assert titles[:2] == ["时间", "操作人"]
    assert ["cfos", "maintenance"] in [row[2:4] for row in rows]
