"""Texts in Chinese, found by their English: data in the TOML files beside this module."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

Language = Literal["en", "zh"]

_HOLE = "{}"
_DEEPEST = 4  # phrases within phrases
_LONGEST_DETAIL = 300  # characters that are looked at: a peer may have written them


def preferred(environ: Mapping[str, str]) -> Language:
    """Return the language of the environment; the first variable that is set decides."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return "zh" if environ[name].lower().startswith("zh") else "en"
    return "en"


@cache
def table(name: str) -> Mapping[str, str]:
    """Return the Chinese by the English of a file: `log`, `problems`, `errors`, `details`,
    `words`, or `values`.
    """
    return tomllib.loads(files(__package__).joinpath(f"{name}.zh.toml").read_text("utf-8"))


class Phrases:
    """Texts with holes. The English key has `{}` for each hole, the Chinese `{0}`, `{1}`, …; what
    fills a hole may be a phrase itself.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._exact = {en: zh for en, zh in known.items() if _HOLE not in en}
        # What has more words of its own is the closer match.
        holed = sorted((en for en in known if _HOLE in en), key=_own, reverse=True)
        self._patterns = [(_pattern(en), known[en]) for en in holed]

    def chinese(self, text: str) -> str:
        """Return a text in Chinese; what is not known stays as it is."""
        return self._chinese(text, _DEEPEST)

    def _chinese(self, text: str, depth: int) -> str:
        found = self._exact.get(text)
        if found is not None or depth == 0:
            return found or text
        for pattern, zh in self._patterns:
            match = pattern.fullmatch(text)
            if match is not None:
                return zh.format(*(self._chinese(each, depth - 1) for each in match.groups()))
        return text


def _own(en: str) -> int:
    return len(en.replace(_HOLE, ""))


def _pattern(en: str) -> re.Pattern[str]:
    parts = map(re.escape, en.split(_HOLE))
    return re.compile("(.*?)".join(parts), re.DOTALL)


@cache
def problems() -> Phrases:
    """Return the phrases of what is wrong with a configuration."""
    return Phrases(table("problems"))


@cache
def errors() -> Phrases:
    """Return the phrases of what an HTTP interface answers."""
    return Phrases(table("errors"))


@cache
def details() -> Phrases:
    """Return the phrases of what became of a command, or of another thing that a person did."""
    return Phrases({**table("errors"), **table("details")})


@lru_cache(maxsize=4096)
def detail_in(language: Language, detail: str) -> str:
    """Return the detail of an outcome in a language; what is long, or not known, stays as it is."""
    if language == "en" or len(detail) > _LONGEST_DETAIL:
        return detail
    return details().chinese(detail)
