"""The files of the centre's page: served, complete in both languages, nothing from elsewhere."""

import re
from collections import Counter
from importlib.resources import files

import pytest

from twisted_gantry.centre.conditions import CONDITIONS
from twisted_gantry.centre.web.page.resource import VIEWS, page_of_centre
from twisted_gantry.wire.centre_api import GANTRY_STATES
from twisted_gantry.wire.emergencies import EMERGENCIES

PAGE = page_of_centre()
SCRIPTS = [name for name in PAGE.types if name.endswith(".js")]


def read(name: str) -> str:
    shared = name.removeprefix("shared/")
    package = "twisted_gantry.centre.web.page" if shared == name else "twisted_gantry.pages"
    return files(package).joinpath(shared).read_text(encoding="utf-8")


def imports(name: str) -> set[str]:
    """Return the modules that a module names in its imports."""
    folder = "shared/" if name.startswith("shared/") else ""
    found = re.findall(r'(?:from|import) "\./([\w./]+)"', read(name))
    return {folder + each for each in found}


def below(name: str) -> set[str]:
    """Return all modules that a module needs, whatever the depth."""
    found, todo = set[str](), [name]
    while todo:
        new = imports(todo.pop()) - found
        found |= new
        todo += new
    return found


def test_what_is_imported_is_there() -> None:
    """Every module and every name that a module imports exists."""
    exported = {
        name: set(re.findall(r"export (?:async )?(?:const|let|function|class) (\w+)", read(name)))
        for name in SCRIPTS
    }
    for name in SCRIPTS:
        folder = "shared/" if name.startswith("shared/") else ""
        for names, module in re.findall(r'import \{([^}]*)\} from "\./([\w./]+)"', read(name)):
            wanted = {each.split(" as ")[0].strip() for each in names.split(",") if each.strip()}
            assert wanted <= exported[folder + module], (name, module)


def test_the_modules_of_the_shell_come_at_once() -> None:
    """A browser is told of every module that the shell imports, and of no other."""
    told = re.findall(r'modulepreload" href="\./([\w./]+)"', read("index.html"))
    assert set(told) == below("app.js")


def test_each_view_has_a_module_and_a_path() -> None:
    """Each view that the shell knows has its module, and can be loaded again."""
    views = re.findall(r'\[/\^(\w*)[^"]*"(\w+)"\]', read("app.js"))
    assert {f"{view}.js" for _, view in views} <= set(SCRIPTS)
    assert {path for path, _ in views if path} == set(VIEWS)


def test_nothing_inline_nor_from_elsewhere() -> None:
    """The policy of the page needs no exception; what the API says cannot become markup."""
    html = read("index.html")
    assert not re.search(r"<style|\son\w+=|\sstyle=", html)
    assert re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL) == [""]
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert {each.removeprefix("./") for each in sources} <= {*PAGE.types, "#view"}
    for name in (*SCRIPTS, "centre.css", "cells.css", "manage.css"):
        assert not re.search(r"https?://", read(name)), name
        banned = r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\("
        assert not re.search(banned, read(name)), name


def texts_of(name: str) -> tuple[Counter[str], Counter[str]]:
    """Return the names of the texts of a module, in English and in Chinese."""
    english, _, chinese = read(name).partition("\n  zh: {")
    key = r'(?:^ {4,6}|[,{] )"?([A-Za-z][\w-]*)"?: '

    def names(part: str) -> Counter[str]:
        return Counter(re.findall(key, part, re.MULTILINE))

    return names(english), names(chinese)


@pytest.mark.parametrize("name", ["texts.js", "texts_manage.js"])
def test_both_languages_are_complete(name: str) -> None:
    """Each text is there in both languages."""
    english, chinese = texts_of(name)
    assert sum(english.values()) > 15
    # Words in a text may look like a name: only what stands in one language alone counts.
    assert set(english) == set(chinese)


def test_texts_that_are_asked_for_exist() -> None:
    """A view asks for no text that is not there."""
    shell = {*texts_of("texts.js")[0], *texts_of("shared/texts.js")[0]}
    lists = set(texts_of("texts_manage.js")[0])
    for name in SCRIPTS:
        script = read(name)
        assert set(re.findall(r"\btext\.(\w+)", script)) <= shell, name
        if "words(MANAGE)" in script:
            assert set(re.findall(r"\bt\.(\w+)", script)) <= lists, name
    assert set(re.findall(r'data-(?:text|label)="(\w+)"', read("index.html"))) <= shell


def test_alarms_are_called_as_the_centre_calls_them() -> None:
    """The page's names of alarms are those of the table of the centre."""
    found = re.findall(r'"([\w-]+)": \["([^"]+)", "([^"]+)"\]', read("conditions.js"))
    assert {name: (en, zh) for name, en, zh in found} == {
        name: (each.en, each.zh) for name, each in CONDITIONS.items()
    }
    told = re.search(r"EMERGENCIES = \[([^\]]*)\]", read("known.js"))
    assert told is not None
    assert {each.strip(' "') for each in told[1].split(",")} == set(EMERGENCIES)


def test_states_are_those_of_the_api() -> None:
    """Each state of the API has a place and a text."""
    told = re.search(r"STATES = \[([^\]]*)\]", read("states.js"))
    assert told is not None
    assert {each.strip(' "') for each in told[1].split(",")} == set(GANTRY_STATES)
