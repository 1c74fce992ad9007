"""A daemon records what it says to a device; the twin plays that device to another daemon."""

import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from tests.daemon.process import AUTH, Client, Daemon, free_port, until, write_config
from twisted_gantry.twin.service import ON_FREE_PORTS, TwinSettings, build_twin

PASSWORD = "Kz7-hunter2"


async def _card(client: Client, web: int) -> dict[str, Any] | None:
    """Return what is known of the card, once it is known to be on line."""
    answer = await client.get(f"http://127.0.0.1:{web}/api/v1/points?prefix=ups1.")
    points = {each["point"]: each["value"] for each in (answer or {"points": []})["points"]}
    return points if points.get("ups1.state") and points.get("ups1.model") else None


@pytest.mark.long
async def test_what_was_recorded_is_played_back(tmp_path: Path) -> None:
    """The recording holds no password and no serial number, and reads like the card itself."""
    from twisted.internet import reactor

    twin = build_twin(
        TwinSettings(**{**ON_FREE_PORTS, "auth": AUTH, "ups_password": PASSWORD}),
        reactor,
        time.time,
    )
    twin.startService()
    client = Client(reactor)
    daemons: list[Daemon] = []

    def start(folder: str, card: int, more: str = "") -> int:
        path = tmp_path / folder
        path.mkdir()
        web = free_port()
        config = write_config(path, card, twin.port("etc"), web, more)
        text = config.read_text().replace("poll = 0.2", f'poll = 0.2\npassword = "{PASSWORD}"')
        config.write_text(text)
        data = str(path / "data")
        daemons.append(Daemon(path, "gantry", "--config", str(config), "--data", data))
        return web

    try:
        web = start("first", twin.port("ups-tcp"), '[record]\nfolder = "tape"\n')
        card = await until(reactor, "the card", lambda: _card(client, web), 15.0)
        await deferLater(reactor, 2.0)
        assert daemons[0].end()
        [tape] = (tmp_path / "first" / "data" / "tape").glob("*.jsonl")
        text = tape.read_text()
        assert '"RTD' in text
        assert PASSWORD not in text
        assert "201701013805" not in text
        played = free_port()
        (tmp_path / "twin").mkdir()
        replay = ("--replay", str(tape), "--replay-endpoint", f"tcp:{played}:interface=127.0.0.1")
        daemons.append(Daemon(tmp_path / "twin", "gantry-twin", *replay, "--speed", "5"))
        web = start("second", played)
        again = await until(reactor, "the card again", lambda: _card(client, web), 15.0)
        for name in ("model", "manufacturer", "state", "rated_power"):
            assert again[f"ups1.{name}"] == card[f"ups1.{name}"]
    finally:
        for daemon in daemons:
            if daemon.process.poll() is None:
                daemon.kill()
        await client.close()
        await twin.stopService()
        await deferLater(reactor, 0.05)
