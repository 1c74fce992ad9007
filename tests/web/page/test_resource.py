"""The status page: its files, and the page itself in a browser where there is one."""

import gzip
import json
import re
import shutil
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.resource import IResource

from tests.http_client import Client
from tests.web.small_site import SmallSite
from twisted_gantry.core.alarms import Severity
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.web.page.resource import page_of_site
from twisted_gantry.wire.reading import Quality

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
TYPES = page_of_site().types
PATHS = ["/", *(f"/{name}" for name in TYPES)]
SCRIPTS = [name for name in TYPES if name.endswith(".js") and not name.startswith("vendor/")]


def the_reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def read(name: str) -> str:
    return located(name).read_text()


def located(name: str) -> Traversable:
    shared = name.removeprefix("shared/")
    if shared != name:
        return files("twisted_gantry.pages").joinpath(shared)
    return files("twisted_gantry.web.page").joinpath(name)


def test_files(client: Client) -> None:
    """Every file comes as it is in the package, with its type, and is asked for anew each time."""
    for path in PATHS:
        name = path[1:] or "index.html"
        answer = client.get(path)
        assert answer.status == 200, path
        assert answer.headers["Content-Type"] == TYPES[name]
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.body == located(name).read_bytes()


def test_unchanged(client: Client) -> None:
    """A browser that has a file is told that it still holds."""
    for path in PATHS:
        etag = client.get(path).headers["ETag"]
        answer = client.get(path, If_None_Match=etag)
        assert (answer.status, answer.body) == (304, b""), path
        assert client.get(path, If_None_Match='"other"').status == 200


def test_views_can_be_loaded_again(client: Client) -> None:
    """The path of each view answers with the page; one level down its files stand one level up."""
    for path in ("/alarms", "/reports", "/audit"):
        assert client.get(path).body == client.get("/").body
    page = client.get("/devices/ups1")
    assert page.body.decode() == read("index.html").replace('"./', '"../')
    assert client.get("/devices/ups1", If_None_Match=page.headers["ETag"]).status == 304
    for path in ("/devices", "/devices/", "/devices/ups1/x", "/alarm", "/alarms/x", "/__init__.py"):
        assert client.get(path).status == 404, path


def test_it_can_be_installed(client: Client) -> None:
    """The manifest names icons that are there, in the sizes that it says."""
    manifest = json.loads(client.get("/manifest.webmanifest").body)
    assert (manifest["start_url"], manifest["display"]) == ("./", "standalone")
    sizes = set()
    for icon in manifest["icons"]:
        content = client.get(f"/{icon['src']}").body
        sizes.add(icon["sizes"])
        if icon["type"] == "image/png":
            width, height = struct.unpack(">II", content[16:24])
            assert icon["sizes"] == f"{width}x{height}"
    assert sizes == {"any", "192x192", "512x512"}


def test_packed(client: Client) -> None:
    """A browser gets the page packed; one that cannot unpack gets the page as it is."""
    answer = client.get("/", Accept_Encoding="br, gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body).decode() == read("index.html")
    assert client.get("/", Accept_Encoding="gzip;q=0").headers["Content-Encoding"] is None


def test_nothing_inline() -> None:
    """The page needs neither inline script nor inline style, nor anything of elsewhere."""
    html = read("index.html")
    assert not re.search(r"<style|\son\w+=|\sstyle=", html)
    assert re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL) == [""]
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert {source.removeprefix("./") for source in sources} <= {*TYPES, "#view"}
    for name in (*SCRIPTS, "shared/base.css", "index.html"):
        elsewhere = set(re.findall(r"https?://[^\"\s]*", read(name)))
        assert elsewhere <= {"http://www.w3.org/2000/svg"}, name  # a name, not an address


def test_the_modules_of_the_shell_come_at_once() -> None:
    """A browser is told of every module that the shell imports, so that it need not find them one
    after another.
    """
    needed, todo = set[str](), ["app.js"]
    while todo:
        module = todo.pop()
        folder = "shared/" if module.startswith("shared/") else ""
        found = set(re.findall(r'(?:from|import) "\./([\w./]+)"', read(module)))
        found = {folder + each for each in found} - needed
        needed |= found
        todo += found
    assert set(re.findall(r'modulepreload" href="\./([\w./]+)"', read("index.html"))) == needed


def test_no_markup_from_data() -> None:
    """What the API says cannot become markup or code."""
    for name in SCRIPTS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", read(name)
        )


def test_both_languages_are_complete() -> None:
    """Each text is there in English and in Chinese, and each that the page asks for exists."""
    english, chinese = texts_of("shared/texts.js")
    more = texts_of("texts.js")
    assert len(more[0]) > 40
    assert not english & more[0]  # one text has one place
    assert english == chinese
    assert more[0] == more[1]
    used = {each for name in SCRIPTS for each in re.findall(r"\btext\.(\w+)", read(name))}
    used |= set(re.findall(r'data-(?:text|label)="(\w+)"', read("index.html")))
    assert used - {"duration"} <= english | more[0]


def texts_of(name: str) -> tuple[set[str], set[str]]:
    """Return the names of the texts of a module, of both languages."""
    script = read(name)
    start, middle = script.index("  en: {"), script.index("  zh: {")

    def keys(part: str) -> set[str]:
        part = part.partition("    duration:")[0]  # has a table of its own
        return set(re.findall(r'(?:^    |(?<=", ))"?([a-zA-Z-]+)"?:(?= )', part, re.MULTILINE))

    return keys(script[start:middle]), keys(script[middle : script.index("\n};")])


class Browser(ProcessProtocol):
    """A browser without a window, driven over its pipes: commands to 3, answers from 4.

    `console` gains what its console says.
    """

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        self.console: list[str] = []
        self._answers: dict[int, Deferred[Any]] = {}
        self._numbers = count(1)
        self._session: dict[str, str] = {}
        self._data = b""
        self._ended: Deferred[None] = Deferred()
        self._process: Any = the_reactor().spawnProcess(
            self,
            CHROMIUM,
            [
                CHROMIUM,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *("--disable-component-update", "--remote-debugging-pipe"),
                f"--user-data-dir={folder}",
            ],
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            childFDs={0: "w", 1: "r", 2: "r", 3: "w", 4: "r"},
        )

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """Take answers and events, which end with a NUL each."""
        if childFD != 4:
            return
        *messages, self._data = (self._data + data).split(b"\0")
        for each in map(json.loads, messages):
            if each.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.console.append(json.dumps(each["params"]))
            if each.get("method") == "Log.entryAdded":
                self.console.append(json.dumps(each["params"]["entry"]))
            if "id" in each:
                self._answers.pop(each["id"]).callback(each)

    def processEnded(self, reason: Failure) -> None:
        self._ended.callback(None)

    async def tell(self, method: str, **params: Any) -> Any:
        """Give a command, and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        answer: Deferred[Any] = Deferred()
        self._answers[number] = answer
        self._process.writeToChild(3, json.dumps(message).encode() + b"\0")
        answer.addTimeout(30, the_reactor())
        return (await answer)["result"]

    async def open(self, url: str) -> None:
        """Open a page, and listen to its console from the beginning."""
        target = await self.tell("Target.createTarget", url="about:blank")
        attached = await self.tell("Target.attachToTarget", flatten=True, **target)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Runtime", "Log", "Page"):
            await self.tell(f"{domain}.enable")
        await self.tell("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        result = await self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression holds in the page; fails after 20 s."""
        for _ in range(400):
            if await self.evaluate(expression):
                return
            await deferLater(the_reactor(), 0.05)
        raise AssertionError(f"never: {expression}\n{await self.page()}\n{self.console}")

    async def page(self) -> str:
        return str(await self.evaluate("document.documentElement.outerHTML"))

    async def close(self) -> None:
        self._process.signalProcess("KILL")
        await self._ended


@dataclass
class Served:
    """A site that is served on a real port, and a browser."""

    url: str
    browser: Browser


@asynccontextmanager
async def served(resource: IResource, folder: Path) -> AsyncIterator[Served]:
    factory = bounded_site(resource, the_reactor(), Limits(), Counter())
    endpoint = TCP4ServerEndpoint(the_reactor(), 0, interface="127.0.0.1")
    port: Any = await endpoint.listen(factory)
    browser = Browser(folder)
    try:
        yield Served(f"http://127.0.0.1:{port.getHost().port}/", browser)
    finally:
        await browser.close()
        await port.stopListening()


@pytest.fixture
def live(small: SmallSite) -> Iterator[tuple[IResource, Stream]]:
    """Return the resource of a site with its stream, on the real clock."""
    stream = Stream(small.site, the_reactor())
    stream.startService()
    yield small.resource(stream=stream), stream
    stream.stopService()


def element(page: str, name: str) -> str:
    """Return an element of the page that has no other within, by its id."""
    found = re.search(rf'<p id="{name}"[^>]*>[^<]*</p>', page)
    assert found is not None, page
    return found[0]


Live = tuple[IResource, Stream]
MAINS = "document.querySelector('.site-picture').textContent"
"""What the picture of the site says; the mains stand first in it."""


@needs_browser
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_in_a_browser(small: SmallSite, live: Live, tmp_path: Path, language: str) -> None:
    """A browser shows devices, uplinks, points and alarms, in the language that was chosen."""
    small.site.points.update("ups1", {"input_voltage_r": (221.5, Quality.GOOD)})
    small.site.points.update("ups1", {"state": ("battery", Quality.GOOD)})
    small.ups.status.offline("no answer")
    hostile = "<img src=x onerror=document.title='hacked'>"
    small.site.alarms.set(
        "ups1.overload", Severity.CRITICAL, f"too much {hostile}", f"过载{hostile}"
    )
    small.add_report()
    async with served(live[0], tmp_path) as it:
        await it.browser.open(f"{it.url}?lang={language}")
        await it.browser.until("document.body.textContent.includes('222 V')")
        page = await it.browser.page()
    expected = {
        "zh": ["UPS 管理卡", "离线", "过载", "待发", "严重", "上报通道"],
        "en": ["UPS card", "offline", "too much", "queued", "Uplinks"],
    }
    for text in expected[language]:
        assert text in page
    assert "&lt;img src=x" in page
    assert "<title>▲ (1) North gantry</title>" in page
    assert {"zh": "实时", "en": "live"}[language] in element(page, "link")
    assert 'data-view="overview"' in page
    assert 'class="old"' not in page
    assert it.browser.console == []


@pytest.mark.long
@needs_browser
async def test_live(small: SmallSite, live: Live, tmp_path: Path) -> None:
    """What changes shows at once, without the page asking; a browser resumes, and asks without."""
    resource, stream = live
    points, alarms = small.site.points, small.site.alarms
    points.update("ups1", {"input_voltage_r": (220.0, Quality.GOOD)})
    async with served(resource, tmp_path) as it:
        browser = it.browser
        await browser.open(f"{it.url}?lang=en")
        await browser.until(f"{MAINS}.includes('220 V')")
        while stream.readers == 0:
            await deferLater(the_reactor(), 0.05)
        # What shows from here on, the page was told: it can ask no more.
        await browser.evaluate(
            "window.asked = fetch; window.fetch = () => Promise.reject('off'); 0"
        )
        points.update("ups1", {"input_voltage_r": (187.25, Quality.GOOD)})
        await browser.until(f"{MAINS}.includes('187 V')")
        alarms.set("ups1.overload", Severity.CRITICAL, "too much", "过载")
        await browser.until("document.title === '▲ (1) North gantry'")
        alarms.clear("ups1.overload")
        await browser.until("document.title === 'North gantry'")
        await browser.evaluate("document.querySelector('nav [data-to=alarms]').click(); 0")
        await browser.until("document.querySelector('[data-view=alarms]') !== null")
        await browser.until(
            "document.querySelector('[data-view]').textContent.includes('too much')"
        )
        await browser.evaluate("history.back(); 0")
        await browser.until("document.querySelector('[data-view=overview]') !== null")
        small.ups.status.offline("no answer")
        small.add_report()
        await browser.until(
            "document.querySelector('.device[data-device=ups1]').dataset.state === 'offline'"
        )
        await browser.until("document.querySelector('[data-entry=queued]').dataset.some === 'true'")
        await browser.evaluate("""(() => {
            const input = document.querySelector(".finder input");
            input.value = "STATE";
            input.dispatchEvent(new Event("input"));
        })()""")
        await browser.until("document.querySelector('.found').textContent.includes('ups1.state')")
        points.retract("ups1", ["state"])
        await browser.until("!document.body.textContent.includes('ups1.state')")
        assert browser.console == []
        await browser.evaluate("window.fetch = window.asked; 0")
        stream.stopService()  # the page asks instead
        points.update("ups1", {"input_voltage_r": (199.0, Quality.GOOD)})
        await browser.until(f"{MAINS}.includes('199 V')")


@needs_browser
async def test_consequences_stand_under_their_cause(
    small: SmallSite, live: Live, tmp_path: Path
) -> None:
    """One card for a cause, its consequences within; smoke stands above a critical alarm."""
    alarms = small.site.alarms
    alarms.set("cab1.smoke", Severity.WARNING, "smoke", "烟雾报警")
    alarms.set("ups1.mains-abnormal", Severity.CRITICAL, "mains abnormal", "市电异常")
    cards = """[...document.querySelectorAll('.active > [data-alarm]')]
        .map((each) => each.dataset.alarm).join()"""
    under = "document.querySelector('[data-alarm=\"ups1.mains-abnormal\"] [data-alarm]')"
    async with served(live[0], tmp_path) as it:
        browser = it.browser
        await browser.open(f"{it.url}?lang=en")
        await browser.until(f"{cards} === 'cab1.smoke,ups1.mains-abnormal'")
        while live[1].readers == 0:
            await deferLater(the_reactor(), 0.05)
        alarms.set("ups1.on-battery", Severity.WARNING, "on battery", "UPS电池放电")
        await browser.until(f"{under} && {under}.dataset.alarm === 'ups1.on-battery'")
        assert await browser.evaluate(cards) == "cab1.smoke,ups1.mains-abnormal"
        assert await browser.evaluate(f"{under}.textContent") == "on battery · ups1.on-battery"
        assert await browser.evaluate("document.title") == "▲ (2) North gantry"
        alarms.clear("ups1.mains-abnormal")
        await browser.until(f"{cards} === 'cab1.smoke,ups1.on-battery'")
        assert browser.console == []


@pytest.mark.long
@needs_browser
async def test_no_query_blanks_the_page(small: SmallSite, live: Live, tmp_path: Path) -> None:
    """A language that the page does not have, not even as a property of every object, is none."""
    small.site.points.update("ups1", {"input_voltage_r": (221.5, Quality.GOOD)})
    async with served(live[0], tmp_path) as it:
        for language in ("toString", "__proto__", "constructor", "", "xx", "%ff"):
            await it.browser.open(f"{it.url}?lang={language}")
            await it.browser.until("document.body.textContent.includes('222 V')")
        assert it.browser.console == []


@needs_browser
async def test_no_answer(tmp_path: Path) -> None:
    """When the API does not answer, the page says so."""
    async with served(page_of_site().app.resource(), tmp_path) as it:
        await it.browser.open(f"{it.url}?lang=en")
        await it.browser.until("document.body.classList.contains('old')")
        page = await it.browser.page()
        said = await it.browser.evaluate(
            "document.querySelector('[data-field=headline]').textContent"
        )
    assert "no answer" in element(page, "link")
    assert said == "The gantry does not answer."
