"""The status page: its files, and the page itself in a browser where there is one."""

import re
import shutil
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.resource import IResource

from tests.web.small_site import Client, SmallSite
from twisted_gantry.net.http_server import Limits, bounded_site
from twisted_gantry.site.alarms import Severity
from twisted_gantry.web.page import TYPES, Page
from twisted_gantry.wire.reading import Quality

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
PATHS = ["/", *(f"/{name}" for name in TYPES)]


def read(name: str) -> str:
    """Return a file of the page."""
    return files("twisted_gantry.web").joinpath(name).read_text()


def test_files(client: Client) -> None:
    """Every file comes as it is in the package, with its type, and is asked for anew each time."""
    for path in PATHS:
        name = path[1:] or "index.html"
        answer = client.get(path)
        assert answer.status == 200, path
        assert answer.headers["Content-Type"] == TYPES[name]
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.body.decode() == read(name)


def test_unchanged(client: Client) -> None:
    """A browser that has a file is told that it still holds."""
    for path in PATHS:
        etag = client.get(path).headers["ETag"]
        answer = client.get(path, If_None_Match=etag)
        assert (answer.status, answer.body) == (304, b""), path
        assert client.get(path, If_None_Match='"other"').status == 200


def test_nothing_inline() -> None:
    """The page needs neither inline script nor inline style, nor anything of elsewhere."""
    html = read("index.html")
    assert not re.search(r"<style|\son\w+=|\sstyle=", html)
    assert re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL) == [""]
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert set(sources) <= set(TYPES)
    for name in ("page.js", "dom.js", "texts.js", "page.css", "index.html"):
        assert not re.search(r"https?://", read(name)), name


def test_no_markup_from_data() -> None:
    """What the API says cannot become markup or code."""
    for name in ("page.js", "dom.js", "texts.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", read(name)
        )


def test_both_languages_are_complete() -> None:
    """Each text is there in English and in Chinese, and each that the page asks for exists."""
    script = read("texts.js")
    start, middle = script.index("  en: {"), script.index("  zh: {")
    end = script.index("export const KINDS")

    def keys(part: str) -> set[str]:
        part = part[: part.index("    duration:")]  # has a table of its own
        return set(re.findall(r'(?:^    |(?<=", ))"?([a-zA-Z-]+)"?:(?= )', part, re.MULTILINE))

    english, chinese = keys(script[start:middle]), keys(script[middle:end])
    assert len(english) > 40
    assert english == chinese
    used = set(re.findall(r"\btext\.(\w+)", read("page.js")))
    used |= set(re.findall(r'data-text="(\w+)"', read("index.html")))
    assert used - {"duration"} <= english


async def shown(resource: IResource, folder: Path, query: str) -> tuple[str, list[str]]:
    """Return what a browser makes of the page of `resource`, and what its console says."""
    from twisted.internet import reactor

    assert CHROMIUM is not None
    real: Any = reactor
    factory = bounded_site(resource, real, Limits(), Counter())
    port = await TCP4ServerEndpoint(real, 0, interface="127.0.0.1").listen(factory)
    try:
        out, err, _ = await getProcessOutputAndValue(
            CHROMIUM,
            [
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *("--disable-component-update", "--enable-logging=stderr"),
                f"--user-data-dir={folder}",
                *("--virtual-time-budget=1500", "--dump-dom"),
                f"http://127.0.0.1:{port.getHost().port}/{query}",
            ],
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        )
    finally:
        await port.stopListening()
    return out.decode(), [line for line in err.decode().splitlines() if "CONSOLE" in line]


def element(page: str, name: str) -> str:
    """Return an element of the page that has no other within, by its id."""
    found = re.search(rf'<p id="{name}"[^>]*>[^<]*</p>', page)
    assert found is not None, page
    return found[0]


@needs_browser
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_in_a_browser(small: SmallSite, tmp_path: Path, language: str) -> None:
    """A browser shows devices, uplinks, points and alarms, in the language that was chosen."""
    small.site.points.update("ups1", {"input_voltage_r": (221.5, Quality.GOOD)})
    small.site.points.update("ups1", {"state": ("battery", Quality.GOOD)})
    small.ups.status.offline("no answer")
    hostile = "<img src=x onerror=document.title='hacked'>"
    small.site.alarms.set(
        "ups1.overload", Severity.CRITICAL, f"too much {hostile}", f"过载{hostile}"
    )
    small.add_report()
    page, console = await shown(small.resource(), tmp_path, f"?lang={language}")
    assert "221.5 V" in page
    expected = {
        "zh": ["当前告警", "UPS 管理卡", "输入电压R", "离线", "过载", "待发送", "严重", "电池"],
        "en": ["Active alarms", "UPS card", "Input voltage R", "offline", "too much", "queued"],
    }
    for text in expected[language]:
        assert text in page
    assert "&lt;img src=x" in page
    assert "<title>(1) North gantry</title>" in page
    assert {"zh": "实时", "en": "live"}[language] in element(page, "link")
    assert "hidden" in element(page, "stale")
    assert console == []


@needs_browser
async def test_no_answer(tmp_path: Path) -> None:
    """When the API does not answer, the page says so."""
    page, _ = await shown(Page().app.resource(), tmp_path, "?lang=en")
    assert "no answer" in element(page, "link")
    assert "hidden" not in element(page, "stale")
    assert "The gantry does not answer." in element(page, "stale")
