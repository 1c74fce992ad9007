"""`gantryctl centre`: what stands, files both ways, and commands with an outcome by gantry."""

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.centre.store.samples import report
from tests.ctl.centre.conftest import CentrePeer
from tests.ctl.conftest import Ctl, rows_of
from twisted_gantry.centre.store import incidents
from twisted_gantry.ctl.centre import order


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_status(ctl: Ctl, peer: CentrePeer) -> None:
    """In order without an incident: 0; with one it is shown, and the exit code is 1."""
    assert ctl("centre", "status").exit_code == 0
    peer.rig.store.put_all([report("G1", raised="smoke")])
    peer.rig.desk.write(incidents.refresh)
    result = ctl("centre", "status")
    assert result.exit_code == 1
    assert "critical 1" in result.stdout
    assert "Reports 1 = stored 1" in result.stdout
    chinese = ctl("centre", "status", lang="zh").stdout
    assert "烟雾报警" in chinese
    assert "严重 1" in chinese
    shown = document(ctl("centre", "status", "--json"))
    assert (shown["ok"], shown["overview"]["incidents"], len(shown["incidents"])) == (False, 1, 1)


def test_gantries(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages of the list, by the options; a table for people, JSON for programs."""
    monkeypatch.setattr("twisted_gantry.ctl.centre.views.MAX_LIMIT", 1)
    rows = rows_of(ctl("centre", "gantries").stdout)
    assert [row[0] for row in rows] == ["Id", "G1", "G2"]
    assert rows[1][5] == "never"
    shown = document(ctl("centre", "gantries", "--search", "南门", "--json"))
    assert ([each["id"] for each in shown["gantries"]], shown["after"]) == (["G2"], None)
    assert "从未上报" in ctl("centre", "gantries", lang="zh").stdout
    assert ctl("centre", "gantries", "--state", "silent").stdout == "There are no such gantries.\n"
    assert len(document(ctl("centre", "gantries", "--limit", "1", "--json"))["gantries"]) == 1


def test_incidents_and_ledger(ctl: Ctl, peer: CentrePeer) -> None:
    """One line for a cause; the ledger with the codes of what was refused."""
    assert ctl("centre", "incidents").stdout == "There are no incidents.\n"
    peer.rig.store.put_all([report("G1", raised="mains-abnormal")])
    peer.rig.store.refused("1005")
    peer.rig.desk.write(incidents.refresh)
    [_, row] = rows_of(ctl("centre", "incidents", lang="zh").stdout)
    assert row[1:4] == ["严重", "市电异常", "G2"]
    text = ctl("centre", "ledger").stdout
    assert "Reports 2 = stored 1 + duplicate 0 + refused 1; late 0" in text
    assert "refused with 1005: 1" in text
    assert document(ctl("centre", "ledger", "--json"))["refusedBy"] == {"1005": 1}


def test_import_and_export(ctl: Ctl, tmp_path: Path) -> None:
    """A template, a file with a mistake, a dry run, and the file itself."""
    file = tmp_path / "gantries.csv"
    exported = ctl("centre", "export", "template", str(file), lang="zh")
    assert (exported.exit_code, file.read_text("utf-8-sig")[:4]) == (0, "门架编号")
    file.write_text("门架编号,桩号\nG7,K7\nG8,x\n", encoding="utf-8")
    refused = ctl("centre", "import", str(file))
    assert refused.exit_code == 1
    assert rows_of(refused.stdout)[1][-3:] == ["3", "桩号", "must be like K123+456"]
    assert "格式须如" in ctl("centre", "import", str(file), lang="zh").stdout
    file.write_text("门架编号,桩号\nG7,K7\nG1,K1\n", encoding="utf-8")
    planned = ctl("centre", "import", str(file), "--dry-run")
    assert planned.stdout == "The file is right: 1 new, 0 changed, 1 as before; none stored.\n"
    assert document(ctl("centre", "import", str(file), "--json"))["created"] == 1
    book = tmp_path / "gantries.xlsx"
    assert ctl("centre", "export", "gantries", str(book)).exit_code == 0
    again = ctl("centre", "import", str(book))
    assert again.stdout == "0 new, 0 changed, 3 as before.\n"
    assert ctl("centre", "import", str(tmp_path / "none")).exit_code == 64


def send(ctl: Ctl, *words: str, **more: Any) -> Result:
    return ctl("centre", "command", *words, **more)


@pytest.fixture
def worker(peer: CentrePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker of the centre do its part while `gantryctl` waits."""
    sender = peer.rig.desk.sender()
    monkeypatch.setattr(order, "_pause", lambda seconds: peer.rig.clock.advance(seconds))
    assert sender.running


@pytest.mark.usefixtures("worker")
def test_a_command(ctl: Ctl, peer: CentrePeer) -> None:
    """It says who gets the command, waits, and shows the outcome at each gantry."""
    result = send(ctl, "update-now", "--gantry", "G1")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "1 of 1 gantries will get it."
    assert rows_of(result.stdout)[2][:2] == ["G1", "done"]
    both = send(ctl, "update-now", "--road", "G2")
    assert both.exit_code == 1
    assert "1 of 2 gantries" in both.stdout
    assert "the registry has no URL" in both.stdout
    shown = document(send(ctl, "update-now", "--all", "--json"))
    assert (shown["over"], shown["counts"]) == (True, {"done": 1, "refused": 1})
    assert len(peer.rig.desk.peers["G1"].bodies) == 3


@pytest.mark.usefixtures("worker", "person")
def test_consent(ctl: Ctl, peer: CentrePeer) -> None:
    """One that can hurt names the danger and asks; anything but yes is no."""
    words = ("unlock-door", "unlockDoorId=1", "--gantry", "G1")
    asked = send(ctl, *words, typed="n\n")
    assert asked.exit_code == 1
    assert "opens the cabinet to anybody" in asked.stderr
    assert peer.rig.desk.peers["G1"].bodies == []
    assert "会打开机柜门" in send(ctl, *words, typed="\n", lang="zh").stderr
    assert send(ctl, *words, typed="yes\n").exit_code == 0
    assert send(ctl, *words, "--yes").exit_code == 0
    assert len(peer.rig.desk.peers["G1"].bodies) == 2


def test_a_script_says_yes(ctl: Ctl, peer: CentrePeer) -> None:
    """Where no person can be asked, nothing is sent without --yes."""
    result = send(ctl, "unlock-door", "unlockDoorId=1", "--gantry", "G1")
    assert result.exit_code == 1
    assert "--yes" in result.stderr
    assert peer.rig.get("/commands")["commands"] == []


def test_without_waiting(ctl: Ctl, peer: CentrePeer) -> None:
    """The id alone; and an answer that does not come in time leaves the outcome unknown."""
    taken = document(send(ctl, "update-now", "--gantry", "G1", "--no-wait", "--json"))
    assert peer.rig.get(f"/commands/{taken['id']}")["over"] is False
    peer.replies["POST", "/api/v1/commands"] = (502, {"error": {"code": "x", "message": "y"}})
    unsure = send(ctl, "update-now", "--gantry", "G1")
    assert unsure.exit_code == 3
    assert "unknown whether the centre took" in unsure.stderr


def test_outcomes_that_do_not_come(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for ever: no worker runs, and the outcome is unknown."""
    waited: list[float] = []
    monkeypatch.setattr(order, "_pause", waited.append)
    result = send(ctl, "update-now", "--gantry", "G1", "--expires", "5")
    assert result.exit_code == 3
    assert sum(waited) == 5 + order.LATE
    assert "still to come" in result.stdout


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_centre_that_is_lost_meanwhile(
    ctl: Ctl, peer: CentrePeer, monkeypatch: pytest.MonkeyPatch, lang: str
) -> None:
    """A command that was taken is on its way: without an answer its outcome is unknown (3), and not
    that nothing was sent (2), nor a refusal (1). A script would send it again.
    """
    number = ""

    def lose(_: float) -> None:
        nonlocal number
        [one] = peer.rig.get("/commands")["commands"]
        number = one["id"]
        answer = (503, {"error": {"code": "not-stored", "message": "no database"}})
        peer.replies["GET", f"/api/v1/commands/{number}"] = answer

    monkeypatch.setattr(order, "_pause", lose)
    result = send(ctl, "update-now", "--gantry", "G1", lang=lang)
    assert result.exit_code == 3
    told = {"en": f"Command {number} was taken", "zh": f"命令 {number} 已受理，结果未知"}
    assert told[lang] in result.stderr


def test_usage(ctl: Ctl) -> None:
    """What is wrong is named; without a command all are listed."""
    rows = rows_of(send(ctl).stdout)
    assert rows[0][0] == "Command"
    assert "unlock-door" in [row[0] for row in rows]
    assert "远程解锁机柜门" in send(ctl, lang="zh").stdout
    assert document(send(ctl, "--json"))["methods"]
    for words in (
        ("update-now",),
        ("update-now", "--all", "--road", "G2"),
        ("update-now", "--all", "--section", "A"),
        ("unlock-door", "unlockDoorId", "--all"),
    ):
        assert send(ctl, *words).exit_code == 64, words
    assert "there are: power-cycle" in send(ctl, "explode", "--all").stderr


def test_where_the_centre_is(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody says so, not where a gantry is."""

    def refuse(connection: HTTPConnection) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(HTTPConnection, "connect", refuse)  # a centre may run on this machine
    result = ctl("centre", "status", env={"GANTRY_URL": None})
    assert result.exit_code == 2
    assert "http://127.0.0.1:8090" in result.stderr
