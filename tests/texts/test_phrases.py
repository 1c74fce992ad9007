"""Both languages: what the log and a check say has a Chinese text for each English one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from twisted.logger import LogLevel

import twisted_gantry
from twisted_gantry.config.load import load
from twisted_gantry.logs import SPEECH, human_line, json_line
from twisted_gantry.settings.tables import ConfigError, Problem, checked
from twisted_gantry.texts.phrases import Phrases, detail_in, errors, preferred, problems, table
from twisted_gantry.wire.json import loads

ROOT = Path(twisted_gantry.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
LEVELS = {"info", "warn", "error", "critical", "failure", "debug"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# What `checked` says in both languages; patterns, examples, and words of another check.
NO_PROBLEMS = {
    "\\(at line (\\d+), column \\d+\\)",
    "\\s*\\(at .*\\)$",
    "Invalid enum value",
    "matching regex",
    " (a warning)",
    "; not checked now",
    "the configuration is in order",
    "too much that is no result",
    "{} does not match the body, or is missing",
    "tcp:mail.example.com:587 or tls:mail.example.com:465",
}

NAMES_A_WRONG = "_?(wrong|mistakes|repeated$)"
# Modules whose errors a check passes on.
PASSED_ON = {
    *("access/passwords.py", "bridges/mqtt/settings.py", "core/condition.py", "notify/quiet.py"),
    *("devices/mapped/roles.py", "devices/relay/driver.py", "uplinks/fogslink/uplink.py"),
    *("net/endpoints.py", "net/http/proxy.py", "net/pem.py"),
}


def parsed(pattern: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the modules in whose text a pattern is found."""
    for module in MODULES:
        source = module.read_text(encoding="utf-8")
        if re.search(pattern, source):
            yield module, ast.parse(source)


def calls_of(*names: str) -> Iterator[tuple[Path, ast.Call]]:
    """Yield the calls of functions, classes or methods."""
    for module, tree in parsed(rf"\b({'|'.join(names)})\("):
        for node in ast.walk(tree):
            called: Any = node.func if isinstance(node, ast.Call) else None
            if getattr(called, "id", getattr(called, "attr", "")) in names:
                assert isinstance(node, ast.Call)
                yield module, node


def text_of(node: ast.AST) -> str:
    """Return the text of a constant, and of an f-string with `{}` for each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{\w+\}", "{}", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)  # type: ignore[misc]
    return ""


def texts_in(tree: ast.AST) -> Iterator[str]:
    """Yield the sentences of a piece of code, but for docstrings."""
    parts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            parts |= {id(each) for each in node.values}
    for node in ast.walk(tree):
        text = "" if id(node) in parts else text_of(node)
        if " " in text.strip() and re.search("[a-z]{3}", text) and not CHINESE.search(text):
            yield text


def problem_texts() -> set[str]:
    """Return what checks of the configuration say: two rooms, functions that name a wrong, and the
    errors that these pass on.
    """
    found: set[str] = set()
    for module, tree in parsed(""):
        place = module.relative_to(ROOT)
        room = place.parts[0]
        if place.as_posix() in PASSED_ON:
            for node in ast.walk(tree):
                found |= set(texts_in(node)) if isinstance(node, ast.Raise) else set()
        if room in {"settings", "config"}:
            found |= set(texts_in(tree))
        elif room not in {"twin", "net"}:
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef) and re.match(NAMES_A_WRONG, node.name):
                    found |= set(texts_in(node))
    return found - NO_PROBLEMS


def log_formats() -> set[str]:
    """Return the formats of all calls of a log, but for those in a variable."""
    found: set[str] = set()
    for _, call in calls_of(*LEVELS):
        log: Any = getattr(call.func, "value", None)
        given = call.args[0] if call.args else None
        if not isinstance(given, ast.Constant) or not isinstance(given.value, str):
            continue
        if getattr(log, "id", getattr(log, "attr", "")).endswith("log"):
            found.add(given.value)
    return found


def holes(text: str) -> list[str]:
    return sorted(name + spec for _, name, spec, _ in _fields(text))


def _fields(text: str) -> Iterator[tuple[str, str, str, str]]:
    for literal, name, spec, conversion in Formatter().parse(text):
        if name is not None:
            yield literal, name, spec or "", conversion or ""


def test_each_message_of_the_log() -> None:
    """The catalogue has each format; both languages have the same fields."""
    known = table("log")
    missing = sorted(log_formats() - known.keys())
    assert not missing, "\n".join(missing)
    for en, zh in known.items():
        assert holes(en) == holes(zh), en
        assert CHINESE.search(zh) or not re.search(r"[a-z]{4}", re.sub(r"\{.*?\}", "", en)), en


def test_each_problem_of_a_configuration() -> None:
    """The catalogue has each text; the Chinese has each hole of the English once."""
    phrases, known = problems(), table("problems")
    missing = sorted(t for t in problem_texts() if t not in known and phrases.chinese(t) == t)
    assert not missing, "\n".join(missing)
    for en, zh in known.items():
        count = en.count("{}")
        assert holes(zh) == [str(number) for number in range(count)], en


def error_texts() -> set[str]:
    """Return what servers answer, but for texts in a variable, and for the twin."""
    found: set[str] = set()
    for module, call in calls_of("HttpError"):
        if module.relative_to(ROOT).parts[0] != "twin" and len(call.args) >= 3:
            found.add(text_of(call.args[2]))
    return found - {""}


def test_each_error_of_the_api() -> None:
    """The catalogue has each text; the Chinese has each hole of the English once."""
    known = table("errors")
    assert not (missing := sorted(error_texts() - known.keys())), "\n".join(missing)
    for en, zh in known.items():
        assert holes(zh) == [str(number) for number in range(en.count("{}"))], en


def outcome_texts() -> set[str]:
    """Return what drivers and the command door say of an outcome, but for texts in a variable."""
    found: set[str] = set()
    for _, call in calls_of("CommandResult"):
        found |= {text_of(each) for each in call.args[1:2]}
    return found - {"", "{}", "{}{}"}


def test_each_outcome_of_a_command() -> None:
    """The catalogue has each text; the Chinese has each hole of the English once."""
    known = table("details")
    assert not (missing := sorted(outcome_texts() - known.keys())), "\n".join(missing)
    for en, zh in known.items():
        assert holes(zh) == [str(number) for number in range(en.count("{}"))], en


@pytest.mark.parametrize(
    ("en", "zh"),
    [
        (
            "no battery test: the UPS is in the state battery; the mains are abnormal",
            "不做电池测试：UPS 处于电池状态；市电异常",
        ),
        ("not sent: the link was lost", "未发送：连接中断"),
        ("powered-down, 0 alarms", "下电，0 条报警"),
        ("there is no alarm x", "没有告警 x"),
        ("words of a peer", "words of a peer"),
        ("not sent: " + "x" * 1000,) * 2,
    ],
)
def test_the_detail_of_an_outcome(en: str, zh: str) -> None:
    """An outcome is told in Chinese; what is long is left as it is, not searched."""
    assert detail_in("en", en) == en
    assert detail_in("zh", en) == zh


def test_phrases_within_phrases() -> None:
    """The closest phrase is taken; what fills its holes is translated, too."""
    phrases = Phrases({"{}: {}": "{0}→{1}", "a {} is {}": "{0}为{1}", "no word": "无"})
    assert phrases.chinese("a door is no word") == "door为无"
    assert phrases.chinese("what else") == "what else"
    assert phrases.chinese("x: no word") == "x→无"


@pytest.mark.parametrize(
    ("environ", "language"),
    [({}, "en"), ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LC_ALL": "C", "LANG": "zh_CN"}, "en")],
)
def test_the_language_of_the_environment(environ: dict[str, str], language: str) -> None:
    assert preferred(environ) == language


def test_a_check_in_chinese() -> None:
    """Problems keep place and key; what is in order is said in Chinese as well."""
    with pytest.raises(ConfigError) as caught:
        load('[gantry]\nid = "G1"\nnmae = "x"\n[web]\nlisten = "tcp:8080"\n', "site.toml")
    told = caught.value.text("zh").splitlines()
    assert told[0] == "site.toml:3: gantry.nmae: 未知的键；是否为 name？"
    assert told[1].startswith("site.toml:5: web.listen: tcp:8080 可从其他机器访问")
    assert problems().chinese("expected int >= 1; it is 0") == "应为不小于 1 的整数；现为 0"
    roads = "expected array | null, got str; it is 'G2'"  # roads = "G2" of a user
    assert problems().chinese(roads) == "应为数组，而非 str；现为 'G2'"
    assert errors().chinese("airOperate is out of range") == "airOperate 超出范围"
    later = [Problem("s", 1, "k", "is missing")]
    assert checked(later, [], "zh").splitlines() == ["s:1: k: 缺失；此时未检查", "配置无误"]
    assert checked([], later, "en").splitlines()[0] == "s:1: k: is missing (a warning)"


def test_a_log_in_chinese() -> None:
    """The message is Chinese, with the Chinese of its fields; the fields of JSON stay."""
    event = {
        "log_format": "{name} is offline: {reason} [{cause}] {advice}",
        "name": "ups1",
        "cause": "silent",
        "log_level": LogLevel.warn,
        "log_time": 0.0,
        "reason": "no answer",
        "reason_zh": "无应答",
        "advice": "look",
        "advice_zh": "请检查",
    }
    assert "is offline: no answer" in str(human_line(event))
    SPEECH.set("zh")
    try:
        line = json_line(event)
        assert "ups1 离线：无应答 [失联] 请检查" in str(human_line(event))
        assert "状态：离线" in str(
            human_line({**event, "log_format": "{name} is {state}", "state": "offline"})
        )
    finally:
        SPEECH.set("en")
    assert loads(line.encode())["message"].startswith("ups1 离线")
    assert loads(line.encode())["fields"]["reason"] == "no answer"
