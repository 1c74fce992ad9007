"""The kinds of targets by their names in the configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from twisted_gantry.notify.interfaces import ISender
from twisted_gantry.notify.kinds import dingtalk, feishu, program, smtp, webhook, wecom
from twisted_gantry.notify.settings import (
    CalledSettings,
    Means,
    keys_in,
    wrong_keyed_url,
    wrong_proxy,
    wrong_quiet,
    wrong_url,
)
from twisted_gantry.wire.secret import Secret

Checks = Mapping[str, Callable[[Any], str]]
_COMMON: Checks = {"quiet": wrong_quiet}
_REACHED: Checks = {**_COMMON, "proxy": wrong_proxy}
_KEYED: Checks = {**_REACHED, "url": wrong_keyed_url}


def _nothing(settings: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Kind:
    """A kind of target: its keys, what checks them, and how its sender is made. `wrong` tells, by
    the key, what is wrong with keys that belong together. In a URL with `key_last` the last part
    of the path is a key.
    """

    settings: type[CalledSettings]
    build: Callable[[Any, Means], ISender]
    checks: Checks
    wrong: Callable[[Any], Mapping[str, str]] = _nothing
    key_last: bool = False

    def keys(self, settings: Any) -> tuple[Secret, ...]:
        """Return parts of the settings that are secrets by themselves."""
        url, proxy = getattr(settings, "url", None), getattr(settings, "proxy", None)
        found = () if url is None else keys_in(url, last=self.key_last)
        return found if proxy is None else (*found, *keys_in(proxy))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "webhook": Kind(
            webhook.WebhookSettings, webhook.WebhookSender, {**_REACHED, "url": wrong_url}
        ),
        "wecom": Kind(wecom.WecomSettings, wecom.WecomSender, _KEYED, key_last=True),
        "dingtalk": Kind(dingtalk.DingtalkSettings, dingtalk.DingtalkSender, _KEYED, key_last=True),
        "feishu": Kind(feishu.FeishuSettings, feishu.FeishuSender, _KEYED, key_last=True),
        "smtp": Kind(
            smtp.SmtpSettings,
            smtp.SmtpSender,
            {
                **_REACHED,
                "address": smtp.wrong_address,
                "from": smtp.wrong_mailbox,
                "to": smtp.wrong_mailboxes,
            },
            smtp.wrong_login,
        ),
        "exec": Kind(
            program.ExecSettings,
            program.ExecSender,
            {**_COMMON, "command": program.wrong_command},
        ),
    }
)
