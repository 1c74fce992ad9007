"""`[[notify]]`: every mistake is named with its key, and no secret is shown."""

import pytest

from twisted_gantry.config.load import load
from twisted_gantry.settings.notify import NotifyEntry
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.wire.secret import Secret

HOOK = 'kind = "webhook"\nurl = "http://127.0.0.1/x"\n'
MAIL = "kind = 'smtp'\naddress = 'tcp:h:25'\nfrom = 'a@b'\nto = ['c@d']\n"


def entries(*tables: str) -> tuple[NotifyEntry, ...]:
    text = "[gantry]\nid = 'G1'\n" + "".join(f"[[notify]]\n{each}\n" for each in tables)
    return load(text, "site.toml").notify


def wrong(*tables: str) -> dict[str, str]:
    """Return what is wrong, by the key."""
    with pytest.raises(ConfigError) as caught:
        entries(*tables)
    return {each.key: each.message for each in caught.value.problems}


def test_names() -> None:
    """Without a name a target has that of its kind, with a number from the second on."""
    found = entries(HOOK, f'name = "webhook-2"\n{HOOK}', HOOK, 'kind = "exec"\ncommand = ["/a"]')
    assert [each.name for each in found] == ["webhook", "webhook-2", "webhook-3", "exec"]


def test_who_hears_directly() -> None:
    """A target of escalations hears of them alone, unless it has a least severity of its own."""
    duty = f'name = "duty"\nescalate_after = 60\nescalate_to = "{{}}"\n{HOOK}'
    boss = f'name = "boss"\n{HOOK}'
    found = entries(duty.format("boss"), boss)
    assert [each.min_severity for each in found] == ["warning", None]
    found = entries(duty.format("boss"), f'min_severity = "critical"\n{boss}')
    assert [each.min_severity for each in found] == ["warning", "critical"]


@pytest.mark.parametrize(
    ("table", "key", "says"),
    [
        ("", "kind", "is missing; there are: webhook, wecom"),
        ('kind = "pager"', "kind", "unknown kind 'pager'"),
        ('kind = "webhook"', "url", "is missing"),
        (f"{HOOK}password = 'x'", "password", "unknown key"),
        (f"{HOOK}name = 'a b'", "name", "a letter or a digit first, at most 32"),
        (f"{HOOK}delay = -1", "delay", ">= 0"),
        (f"{HOOK}min_severity = 'high'", "min_severity", "critical, warning"),
        (f"{HOOK}quiet = '22-7'", "quiet", "22:00-07:00"),
        (f"{HOOK}language = 'fr'", "language", "en, zh"),
        (f"{HOOK}proxy = 'socks5://h:1'", "proxy", "http://host:port"),
        (f"{HOOK}escalate_after = 5", "escalate_to", "is missing"),
        (f"{HOOK}escalate_after = 5\nescalate_to = 'x'", "escalate_to", "no target 'x'"),
        (f"{HOOK}escalate_after = 5\nescalate_to = 'webhook'", "escalate_to", "in a circle"),
        ("kind = 'webhook'\nurl = 'ftp://h/x'", "url", "must be http(s)://host"),
        ("kind = 'webhook'\nurl = 'http://u:p@h/x'", "url", "must not hold a user"),
        ("kind = 'webhook'\nurl = 'http://h/ü'", "url", "%XX"),
        ("kind = 'wecom'\nurl = 'http://h/send?key=k'", "url", "must be https"),
        ("kind = 'wecom'\nurl = 'https://h/send?key=k'\nsecret = 'x'", "secret", "unknown key"),
        ("kind = 'exec'\ncommand = 'rm -rf /'", "command", "array"),
        ("kind = 'exec'\ncommand = ['call']", "command", "path of a program"),
        ("kind = 'exec'\ncommand = ['/call']\nproxy = 'http://h'", "proxy", "unknown key"),
        ("kind = 'smtp'\naddress = 'h'\nfrom = 'a@b'\nto = ['c@d']", "address", "such as tcp:"),
        ("kind = 'smtp'\naddress = 'tcp:h:25'\nfrom = 'a'\nto = ['c@d']", "from", "duty@example"),
        ("kind = 'smtp'\naddress = 'tcp:h:25'\nfrom = 'a@b'\nto = ['c']", "to", "'c'"),
        (f"{MAIL}user = 'u'", "password", "is missing"),
        (f"{MAIL}user = 'u'\npassword = 'p'\nstarttls = false", "starttls", "would show"),
    ],
)
def test_mistakes(table: str, key: str, says: str) -> None:
    """Each mistake is told by its key."""
    found = wrong(table)
    assert list(found) == [f"notify[1].{key}"]
    assert says in found[f"notify[1].{key}"]


def test_mistakes_between_targets() -> None:
    """Equal names and longer circles are found; another mistake hides neither."""
    link = 'name = "{}"\nescalate_after = 1\nescalate_to = "{}"\n'
    chain = [link.format(*pair) + HOOK for pair in ("ab", "bc", "ca")]
    found = wrong(f"{HOOK}escalate_to = 'exec'", 'kind = "exec"\ncommand = ["/a"]')
    assert list(found) == ["notify[1].escalate_after"]
    found = wrong(*chain, f'name = "a"\ndelay = -1\n{HOOK}')
    assert "a → b → c → a" in found["notify[1].escalate_to"]
    assert "b → c → a → b" in found["notify[2].escalate_to"]
    assert "a second target is named 'a'" in found["notify[4].name"]
    assert "notify[4].delay" in found


def test_no_mistake_shows_a_secret() -> None:
    """A URL, a secret and a proxy are secrets, right or wrong."""
    found = wrong(
        "kind = 'wecom'\nurl = 'http://h.example/send?key=hunter2-hunter2'",
        "kind = 'webhook'\nurl = 'nohttp://hunter2'\nsecret = 5\nproxy = 'socks://a:hunter2@h'",
    )
    assert "hunter2" not in str(found)
    assert {each.rpartition(".")[2] for each in found} == {"url", "secret", "proxy"}


def test_parts_of_a_url_are_masked_by_themselves() -> None:
    """What a peer may say back of a URL, a key in it, is a secret of the configuration."""
    text = (
        "[gantry]\nid = 'G1'\n[[notify]]\nkind = 'feishu'\n"
        "url = 'https://open.feishu.cn/open-apis/bot/v2/hook/0a1b2c3d'\nsecret = 'fs-secret'\n"
        "proxy = 'http://u:pr%40xy-pass@proxy:1'\n"
        "[[notify]]\nkind = 'wecom'\nurl = 'https://qyapi.weixin.qq.com/send?key=wx-key-1'\n"
    )
    secrets = load(text, "site.toml").secrets()
    assert {"0a1b2c3d", "fs-secret", "pr@xy-pass", "wx-key-1"} <= set(secrets)
    assert "open-apis" not in secrets
    [entry, _] = load(text, "site.toml").notify
    assert "0a1b2c3d" not in repr(entry)
    assert entry.keys == (Secret("0a1b2c3d"), Secret("pr@xy-pass"))
