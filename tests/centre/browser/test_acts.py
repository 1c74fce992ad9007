"""What a person does: look for what needs care, choose, acknowledge, command, edit, import."""

import json
import re

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.browser.tab import Tab
from tests.centre.browser.conftest import Played
from tests.centre.browser.province import PER_ROAD, ROADS, STRUCK_ROAD, STRUCK_SECTION


def table(content: bytes) -> FilePayload:
    return {"name": "list.csv", "mimeType": "text/csv", "buffer": content}


LAST_IN_SIGHT = """
[...document.querySelectorAll(".cell")].at(-1).getBoundingClientRect().bottom <= innerHeight
"""
ROAD = "G9"
"""One where no mains failed: its gantries come with all."""
REGIONAL = f"mains-{STRUCK_SECTION}"


def test_what_needs_me(tab: Tab, centre: Played) -> None:
    """A failure along a section is one incident; batteries count down, the least first."""
    page = tab.open()
    row = page.locator(f"[data-incident={REGIONAL}]")
    row.scroll_into_view_if_needed()
    expect(row).to_contain_text("20 gantries")
    expect(row).to_have_count(1)
    least = centre.get("gantries?sort=batteryMinutes&limit=1")["gantries"][0]
    expect(page.locator(".off [data-gantry]").first).to_have_attribute("data-gantry", least["id"])
    bars = page.locator(".off meter").evaluate_all("all => all.map((e) => e.value)")
    minutes = [float(each) for each in bars]
    assert len(minutes) > 1
    assert minutes == sorted(minutes)
    expect(page.locator("[data-field=alarm-rate]")).to_have_text("57")
    expect(page.locator("[data-field=ledger]")).to_contain_text("1,204,551")


def test_acknowledged_with_a_note(tab: Tab) -> None:
    """An incident that a person acknowledged says by whom."""
    page = tab.open()
    row = page.locator(f"[data-incident={REGIONAL}]")
    row.scroll_into_view_if_needed()
    row.locator(tab.action("ack")).click()
    page.fill("dialog input[name=note]", "power company called")
    page.click(f"dialog {tab.action('confirm')}")
    seen = page.locator(f"[data-incident={REGIONAL}][data-seen=true]")
    page.locator(".incidents .stack").evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
    expect(seen).to_contain_text("seen by zhang")
    seen.locator(tab.action("unack")).click()
    page.locator(".incidents .stack").evaluate("(node) => { node.scrollTop = 0; }")
    expect(page.locator(f"[data-incident={REGIONAL}][data-seen=false]")).to_be_attached()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_fault_of_the_centre_is_acknowledged(tab: Tab, centre: Played, language: str) -> None:
    """A fault of the centre itself is acknowledged where it is shown, and that is taken back; none
    is shelved, and one that the database does not keep has no button.
    """
    for name in ("centre.clock", "centre.store"):
        centre.change(f"fault?alarm={name}")
    page = tab.open("/", language)
    row = page.locator("[data-fault='centre.clock']")
    expect(row).to_contain_text({"en": "the clock of the database", "zh": "数据库时钟"}[language])
    expect(row.locator(tab.action("shelve"))).to_be_hidden()
    unkept = page.locator("[data-fault='centre.store']")
    expect(unkept).to_be_visible()
    expect(unkept.locator(tab.action("ack"))).to_be_hidden()
    row.locator(tab.action("ack")).click()
    page.click(f"dialog {tab.action('confirm')}")
    expect(row).to_contain_text({"en": "seen by zhang", "zh": "zhang 已确认"}[language])
    tab.axe()
    for width in (400, 1400):
        tab.size(width, 900)
        tab.shot(f"centre-fault-{language}-{width}")
        tab.until_fits(width)
    row.locator(tab.action("unack")).click()
    expect(row.locator(tab.action("ack"))).to_be_visible()
    centre.change("well")
    expect(row).to_have_count(0)


def test_an_incident_ends(tab: Tab, centre: Played) -> None:
    """What is over leaves the list by itself."""
    page = tab.open()
    first = page.locator("[data-incident]").first
    gone = first.get_attribute("data-incident")
    centre.change(f"end?incident={gone}")
    expect(page.locator(f"[data-incident='{gone}']")).to_have_count(0)


def test_counts_are_filters_in_the_address(tab: Tab, centre: Played) -> None:
    """A count leads to the gantries in it; the address holds the choice, also loaded again."""
    page = tab.open()
    tile = page.locator(".tiles [data-state=silent] .count")
    expect(tile).to_have_text(re.compile(r"\d+"))
    count = tile.inner_text()
    page.click(".tiles [data-state=silent]")
    page.wait_for_url("**/gantries?state=silent")
    expect(page.locator(".matches")).to_have_text(f"{count} of 3000")
    page.click("[data-action=mode][data-value=wall]")
    expect(page.locator(".cell")).to_have_count(int(count))
    page.wait_for_url("**/gantries?state=silent&as=wall")
    page.reload()
    expect(page.locator(".cell")).to_have_count(int(count))
    page.go_back()
    expect(page.locator(".stack .branch").first).to_be_visible()


def test_a_wall_of_all_on_one_screen(tab: Tab) -> None:
    """Every gantry has a cell; at each size all are in the window."""
    page = tab.open("/gantries?as=wall")
    expect(page.locator(".cell")).to_have_count(ROADS * PER_ROAD)
    for width, height in ((400, 800), (1400, 900), (3840, 2160)):
        tab.size(width, height)
        tab.until(f"all are in {width} x {height}", lambda: page.evaluate(LAST_IN_SIGHT))
        tab.shot(f"centre-wall-fits-{width}")


def test_roads_are_collapsed(tab: Tab) -> None:
    """Road, section, gantry: opened one by one, in the worst colour of what is below."""
    page = tab.open("/gantries")
    road = page.locator(f"[data-key=r{STRUCK_ROAD}] button")
    expect(road).to_have_attribute("data-state", "critical")
    expect(page.locator(".level3")).to_have_count(0)
    road.click()
    section = page.locator(f"[data-key='s{STRUCK_ROAD}/{STRUCK_SECTION}'] button")
    expect(section).to_contain_text("0 % well")
    section.click()
    expect(page.locator(".level3").first).to_contain_text("mains abnormal")


def test_slash_searches(tab: Tab) -> None:
    """`/` goes to the search from everywhere; Enter shows what matches."""
    page = tab.open("/alarms")
    page.locator("#view").focus()
    page.keyboard.press("/")
    page.keyboard.type("G7 K1")
    expect(page.locator(".found a").first).to_contain_text("G7 K1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/gantries?q=G7+K1")


def test_a_dangerous_command_for_a_road(tab: Tab) -> None:
    """A preview names how many can be reached and what follows; a yes is asked; then an outcome by
    gantry.
    """
    page = tab.open(f"/commands?new=1&road={STRUCK_ROAD}")
    page.wait_for_selector("select[name=what] option", state="attached")
    page.select_option("select[name=what]", label="unlock a door: 1 front, 2 back ▲")
    page.select_option("select[name=unlockDoorId]", "1")
    page.click(tab.action("preview"))
    expect(page.locator(".preview")).to_contain_text("of 100 gantries can be reached")
    expect(page.locator(".preview .danger-text")).to_contain_text("opens the cabinet")
    page.click(tab.action("run"))
    page.click(f"dialog {tab.action('confirm')}")
    page.wait_for_url("**/commands/c*")
    expect(page.locator("[data-outcome=done]")).to_have_text("done 60")
    expect(page.locator("tbody tr")).to_have_count(100)


def test_registry(tab: Tab) -> None:
    """An entry is edited; secrets are asked for and never shown."""
    page = tab.open("/registry")
    page.fill("input[name=q]", "G3 K1")
    row = page.locator("tbody tr", has_text="G3 K1").first
    row.locator(tab.action("edit")).click()
    expect(page.locator("dialog input[name=auth]")).to_have_value("")
    page.fill("dialog input[name=name]", "North bridge")
    page.click(f"dialog {tab.action('confirm')}")
    expect(page.locator(".toast")).to_have_text("Saved.")


def test_an_entry_is_added_once(tab: Tab, centre: Played) -> None:
    """A new entry with the id of another one is refused: it would empty what is there."""
    tab.allow("404")
    [there] = centre.get("gantries?limit=1")["gantries"]
    put: list[str] = []

    def taken(route: Route) -> None:  # the province of all tests stays as it is
        if route.request.method == "PUT":
            put.append(route.request.url.rpartition("/")[2])
            route.fulfill(json=there)
        else:
            route.continue_()

    tab.page.route("**/api/v1/gantries/*", taken)
    page = tab.open("/registry")
    for name, told in ((there["id"], "is in the registry"), ("G777", "Saved.")):
        page.click(tab.action("add"))
        page.fill("dialog input[name=id]", name)
        page.click(f"dialog {tab.action('confirm')}")
        expect(page.locator(".toast", has_text=told)).to_be_visible()
    assert put == ["G777"]


def test_import_names_mistakes_by_row(tab: Tab) -> None:
    """A file is checked first; what is wrong is shown by row and column, and is not imported."""
    page = tab.open("/registry", "zh")
    page.set_input_files("input[name=file]", table(b"bad"))
    page.click(tab.action("check"))
    expect(page.locator(".table tr", has_text="桩号格式应为")).to_contain_text("stake")
    expect(page.locator(tab.action("import"))).to_be_disabled()
    page.set_input_files("input[name=file]", table(b"fine"))
    page.click(tab.action("check"))
    expect(page.locator(tab.action("import"))).to_be_enabled()


def test_a_gantry(tab: Tab, centre: Played) -> None:
    """Last values have an age and their quality in words; alarms may be shelved."""
    [dark] = centre.get("gantries?sort=batteryMinutes&limit=1")["gantries"]
    page = tab.open(f"/gantries/{dark['id']}")
    values = page.locator(".value-box").first
    expect(values).to_contain_text("ago")
    expect(values).to_contain_text("reading failed")
    expect(page.locator(".refusals")).to_contain_text("the digest is wrong")
    alarm = page.locator("[data-alarm='cabinet-1.mains-abnormal']")
    alarm.locator(tab.action("shelve")).click()
    page.click(f"dialog {tab.action('confirm')}")
    expect(alarm).to_contain_text("shelved until")
    page.click(tab.action("maintenance"))
    page.click(f"dialog {tab.action('confirm')}")
    page.click(tab.action("end-maintenance"))
    expect(page.locator(tab.action("maintenance"))).to_be_visible()


def test_old_looks_old(tab: Tab) -> None:
    """A page whose centre is gone says since when."""
    tab.allow(r"ERR_|Failed to load resource|Failed to fetch")
    page = tab.open()
    tab.offline(True)
    page.wait_for_selector("body.old #link[data-state=offline]")
    expect(tab.headline).to_contain_text("has not answered since")
    tab.offline(False)
    page.wait_for_selector("body:not(.old) #link[data-state=online]")


def test_without_the_stream(tab: Tab) -> None:
    """A page that gets no stream asks, and has every gantry all the same."""
    tab.allow("stream|ERR_FAILED")
    tab.page.route("**/api/v1/stream", lambda route: route.abort())
    page = tab.open("/gantries")
    expect(page.locator(".matches")).to_have_text("3000 of 3000")


class Late:
    """Lets a page wait for its gantries until `come`; those without mains come at once."""

    def __init__(self, page: Page) -> None:
        self._page, self._held, self._come = page, list[Route](), False
        page.route("**/api/v1/stream", lambda route: route.abort())
        page.route("**/api/v1/gantries?limit=1000*", self._hold)

    def _hold(self, route: Route) -> None:
        if self._come:
            route.continue_()
        else:
            self._held.append(route)

    def come(self, tab: Tab) -> None:
        tab.until("the question", lambda: self._held)
        self._come = True
        for route in self._held:
            route.continue_()


def test_words_before_the_gantries(tab: Tab) -> None:
    """What a person looks for is found once the gantries come."""
    tab.allow("stream|ERR_FAILED")
    late = Late(tab.page)
    page = tab.open("/alarms")
    page.keyboard.press("/")
    page.keyboard.type(f"{ROAD} K1")
    expect(page.locator(".found a").first).to_contain_text("No gantry matches")
    late.come(tab)
    expect(page.locator(".found a").first).to_contain_text(f"{ROAD} K1")


def test_a_form_before_the_gantries(tab: Tab) -> None:
    """A form is for whom its address says, and keeps what was filled in, when the gantries come."""
    tab.allow("stream|ERR_FAILED")
    late = Late(tab.page)
    page = tab.open(f"/commands?new=1&road={ROAD}")
    page.wait_for_selector("select[name=what] option", state="attached")
    page.select_option("select[name=what]", label="unlock a door: 1 front, 2 back ▲")
    page.select_option("select[name=unlockDoorId]", "2")
    expect(page.locator("select[name=to]")).to_have_value("one")
    late.come(tab)
    expect(page.locator("select[name=to]")).to_have_value(f"road\n{ROAD}")
    expect(page.locator("select[name=unlockDoorId]")).to_have_value("2")


def test_a_command_to_those_listed_waits_for_all(tab: Tab) -> None:
    """A command to the gantries that are listed is previewed once all are known, not for some."""
    tab.allow("stream|ERR_FAILED")
    late = Late(tab.page)
    page = tab.open("/commands?new=1&q=G2")
    page.wait_for_selector("select[name=what] option", state="attached")
    expect(page.locator("select[name=to]")).to_have_value("listed")
    expect(page.locator(".command-form .late")).to_contain_text("Not every gantry is here yet")
    expect(page.locator(tab.action("preview"))).to_be_disabled()
    late.come(tab)
    expect(page.locator(".command-form .late")).to_be_hidden()
    listed = page.locator("select[name=to] option[value=listed]")
    expect(listed).to_have_text(re.compile(r"^\d+ of 3000$"))
    count = listed.inner_text().split()[0]
    page.click(tab.action("preview"))
    expect(page.locator(".preview")).to_contain_text(f"of {count} gantries can be reached")


def test_a_command_whose_answer_is_lost(tab: Tab) -> None:
    """One that is sent again from the same preview has the same id: the centre does it once."""
    tab.allow("ERR_FAILED")
    sent: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        sent.append(str(json.loads(route.request.post_data or "{}")["id"]))
        if len(sent) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    tab.page.route("**/api/v1/commands", lose)
    page = tab.open(f"/commands?new=1&road={ROAD}")
    page.wait_for_selector("select[name=what] option", state="attached")
    page.select_option("select[name=what]", label="unlock a door: 1 front, 2 back ▲")
    page.select_option("select[name=unlockDoorId]", "1")
    page.click(tab.action("preview"))
    for _ in range(2):
        page.click(tab.action("run"))
        page.click(f"dialog {tab.action('confirm')}")
        tab.until("the command left", lambda: sent)
    page.wait_for_url("**/commands/c*")
    assert len(sent) == 2
    assert sent[0] == sent[1]
