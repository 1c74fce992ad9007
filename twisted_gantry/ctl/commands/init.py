"""`gantryctl init`: a first configuration, by questions and answers; no gantry is needed."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click
import msgspec

from twisted_gantry.ctl.draft import Draft, Table
from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.files import refuse_existing
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import plain
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire.secret import Secret

if TYPE_CHECKING:
    from twisted_gantry.core.interfaces import IDeviceKind

# A placeholder: it is the number of no gantry.
_ID = "G000000000000000000"
_WATCHED = "pc1"

# Examples of values, where the name of the setting does not explain them.
_EXAMPLES: Mapping[tuple[str, str], str] = {
    ("ups-card", "address"): "tcp:192.168.1.20:2390",
    ("ups-card-http", "url"): "http://192.168.1.21/",
    ("ups-card-http", "callback"): "http://192.168.1.5:9000/post",
    ("cfos", "url"): "http://192.168.1.30",
    ("bms", "url"): "https://www.einfra.cn/wad/ems/v1/api",
    ("cabinet", "url"): "http://192.168.1.40:3700/remotecontrol.do",
    ("relay", "address"): "tcp:192.168.1.50:8080",
    ("relay", "on"): "a00101a2",
    ("relay", "off"): "a00100a1",
}
_NAMES = {"ups-card": "ups", "ups-card-http": "ups", "cabinet": "cab", "computer": "pc"}
# The stand-in for [monitor] until it is asked for: some devices need it.
_MONITOR = Table("monitor", {"listen": "tcp:8082", "auth": Secret("-")})


@click.command(cls=Command, short_help="Write a first configuration. · 生成初始配置文件")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="site.toml")
@click.option("--id", "gantry_id", metavar="ID", help="The gantry's number. · 门架编号。")
@click.option("--name", metavar="NAME", help="A name for people. · 门架名称。")
@click.option(
    "--yes",
    is_flag=True,
    help="Ask nothing: only this computer is monitored. · 不提问，仅监测本机。",
)
@click.option("--force", is_flag=True, help="Replace existing files. · 覆盖已有文件。")
@json_option
@pass_session
def init(
    session: Session, file: Path, gantry_id: str | None, name: str | None, yes: bool, force: bool
) -> int:
    """Ask about the site, and write FILE (site.toml), which passes `gantryctl check`.

    Only settings without a default are asked; docs/configuration.md has the rest. A password goes
    into a file of its own beside FILE, which its owner alone may read.

    询问现场设备与上报通道，生成可通过 `gantryctl check` 的配置文件 FILE（默认 site.toml）。
    只询问没有默认值的设置，其余见 docs/configuration.md。密码写入 FILE 旁的单独文件，仅属主可读。
    """
    if not yes and not session.can_ask():
        raise Trouble("init-needs-terminal", Exit.USAGE)
    if not force:
        refuse_existing(file)
    interview = Interview(session, Draft())
    if yes:
        interview.minimal(_ID if gantry_id is None else gantry_id, name or "")
    else:
        interview.run(gantry_id, name)
    secrets = interview.draft.write(file, _check, force=force)
    if session.json:
        session.show_json({"file": str(file), "secrets": [str(each) for each in secrets]})
        return Exit.FINE
    session.show(session.texts("init-written", file=plain(str(file))))
    for each in secrets:
        session.show(session.texts("init-secret", file=plain(str(each))))
    if yes and gantry_id is None:
        session.show(session.texts("init-whose", id=_ID))
    return Exit.FINE


def _check(path: Path) -> None:
    from twisted_gantry.config.load import check_file

    problems = check_file(path)
    if problems:
        raise Trouble("init-wrong", problems="\n".join(str(each) for each in problems))


class Interview:
    """The questions, and the draft that is made of the answers."""

    def __init__(self, session: Session, draft: Draft) -> None:
        # Imported here: this module imports every kind of device.
        from twisted_gantry.config.devices import DEVICE_KINDS

        self.session, self.draft = session, draft
        self._points = {each.name: each for each in entry_points(group=DEVICE_KINDS)}
        self._devices: dict[str, IDeviceKind] = {}

    def minimal(self, gantry_id: str, name: str) -> None:
        """Take every default: only this computer is monitored."""
        gantry = self._gantry(gantry_id, name)
        problems = self._problems(gantry)
        if problems:
            raise Trouble("init-wrong", problems="\n".join(problems))
        self.draft.tables.append(gantry)
        self._watch_computer()

    def run(self, gantry_id: str | None, name: str | None) -> None:
        texts = self.session.texts
        self._say("init-begin")
        while True:
            given = gantry_id if gantry_id is not None else self.session.ask(texts("ask-id"), _ID)
            called = name if name is not None else self.session.ask(texts("ask-name"))
            if self._added(self._gantry(given, called)):
                break
            gantry_id = name = None
        if self.session.ask_whether(texts("ask-computer"), default=True):
            self._watch_computer()
        self._ask_devices()
        etc = self._ask_etc()
        self._ask_fogslink()
        self._ask_server(
            "remotecontrol", "ask-remotecontrol", "tcp:3699", needed=False, secret=not etc
        )
        needed = bool(self._problems(monitor=None))
        self._ask_server("monitor", "ask-monitor", "tcp:8082", needed=needed, secret=True)

    @staticmethod
    def _gantry(gantry_id: str, name: str) -> Table:
        return Table("gantry", {"id": gantry_id, **({"name": name} if name else {})})

    # -- devices

    def _watch_computer(self) -> None:
        values = {"name": _WATCHED, "kind": "computer"}
        if self._added(Table("device", values, _WATCHED, repeated=True)):
            self._devices[_WATCHED] = self._points["computer"].load()

    def _ask_devices(self) -> None:
        kinds = ", ".join(sorted(self._points))
        while kind := self.session.ask(self.session.texts("ask-kind", kinds=kinds)):
            if kind in self._points:
                self._ask_device(kind)
            else:
                self._say("init-no-kind", kind=kind, kinds=kinds)

    def _ask_device(self, kind: str) -> None:
        stem = _NAMES.get(kind, kind)
        number = next(n for n in range(1, 1000) if f"{stem}{n}" not in self._devices)
        name = self.session.ask(self.session.texts("ask-device-name"), f"{stem}{number}")
        settings = self._points[kind].load().settings
        hints = get_type_hints(settings)
        values: dict[str, Any] = {"name": name, "kind": kind}
        secrets: dict[str, bool] = {}
        for each in msgspec.structs.fields(settings):
            key, hint = each.encode_name, hints[each.name]
            if hint is Secret or (isinstance(hint, UnionType) and Secret in get_args(hint)):
                secrets[key] = each.required
            elif each.required:
                values[key] = self._ask_value(name, kind, key, hint)
        if self._completed(Table("device", values, name, repeated=True), secrets):
            self._devices[name] = self._points[kind].load()

    def _ask_value(self, name: str, kind: str, key: str, hint: Any) -> Any:
        example = _EXAMPLES.get((kind, key), "")
        texts = self.session.texts
        if example:
            question = texts("ask-setting-such-as", name=name, key=key, example=example)
        else:
            question = texts("ask-setting", name=name, key=key)
        while True:
            answer = self.session.ask(question)
            if not answer:
                continue
            try:
                given = msgspec.json.decode(answer) if answer[0] in "[{" else answer
                value: Any = msgspec.convert(given, hint, strict=False)
            except (msgspec.DecodeError, RecursionError) as error:
                self._say("init-problem", problem=str(error))
            else:
                return value

    def _ask_secret(self, what: str, *, required: bool) -> str:
        while True:
            try:
                return self.session.hidden(what, optional=not required)
            except Trouble as trouble:
                self._say("init-problem", problem=self.session.explain(trouble))

    # -- uplinks and servers

    def _ask_etc(self) -> bool:
        texts = self.session.texts
        while url := self.session.ask(texts("ask-etc-url")):
            if self._completed(Table("uplink.etc", {"url": url}, "etc"), {"auth": True}):
                sources = self._sources()
                if sources and self.session.ask_whether(texts("ask-cabinet"), default=True):
                    self._added(Table("cabinet", {"id": "1", **sources}, repeated=True))
                return True
        return False

    def _sources(self) -> dict[str, list[str]]:
        """Return the devices for each group of a cabinet; the most specialised ones win."""
        from twisted_gantry.config.settings import GROUPS

        found = {}
        for group in GROUPS:
            able = {n: k for n, k in self._devices.items() if group in k.groups and not k.parts}
            fewest = min((len(kind.groups) for kind in able.values()), default=0)
            if able:
                found[group] = [n for n, kind in able.items() if len(kind.groups) == fewest]
        return found

    def _ask_fogslink(self) -> None:
        texts = self.session.texts
        while address := self.session.ask(texts("ask-fogslink")):
            number = self.session.ask(texts("ask-eq-sn"))
            channels: dict[str, str] = {}
            while answer := self.session.ask(texts("ask-channel")):
                channel, _, point = answer.partition("=")
                channels[channel.strip()] = point.strip()
            values = {"address": address, "eq_sn": number, "channels": channels}
            if self._completed(Table("uplink.fogslink", values, "fogslink"), {"api_key": True}):
                return

    def _ask_server(
        self, name: str, question: str, endpoint: str, *, needed: bool, secret: bool
    ) -> None:
        texts = self.session.texts
        if needed:
            self._say("init-needed", name=name)
        while needed or self.session.ask_whether(texts(question), default=False):
            values = {"listen": self.session.ask(texts("ask-listen"), endpoint)}
            if self._completed(Table(name, values), {"auth": True} if secret else {}):
                return

    # -- the draft

    def _completed(self, table: Table, secrets: Mapping[str, bool]) -> bool:
        """Ask for the secrets of a table and add it to the draft; True if the table is right.

        `secrets` are its keys, and whether they are required. The rest of the table is checked
        before the secrets are asked for.
        """
        stand_ins = {key: Secret("-") for key, required in secrets.items() if required}
        if self._complained(self._problems(table.having(stand_ins))):
            return False
        given = {
            key: self._ask_secret(f"{table.name or table.header} {key}", required=required)
            for key, required in secrets.items()
        }
        return self._added(table.having({k: Secret(text) for k, text in given.items() if text}))

    def _added(self, table: Table) -> bool:
        wrong = self._complained(self._problems(table))
        if not wrong:
            self.draft.tables.append(table)
        return not wrong

    def _complained(self, problems: list[str]) -> bool:
        for problem in problems:
            self._say("init-problem", problem=problem)
        return bool(problems)

    def _problems(self, *more: Table, monitor: Table | None = _MONITOR) -> list[str]:
        """Return the problems of the draft with these tables.

        `monitor` stands in for a table that is asked for at the end: devices may need it.
        """
        from twisted_gantry.config.load import load
        from twisted_gantry.settings.tables import ConfigError

        tables = [*self.draft.tables, *more]
        if monitor is not None and all(each.header != monitor.header for each in tables):
            tables.append(monitor)
        try:
            load(Draft(tables).revealed())
        except ConfigError as error:
            return [f"{each.key}: {each.message}" for each in error.problems]
        return []

    def _say(self, key: str, **fields: object) -> None:
        click.echo(plain(self.session.texts(key, **fields)), err=True)
