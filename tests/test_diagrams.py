"""The pages of docs/machines say what the Automat tables say."""

from pathlib import Path

import pytest

import twisted_gantry
from scripts import state_diagrams

ROOT = Path(twisted_gantry.__file__).parent


def test_every_page_is_as_its_table_says() -> None:
    """A change of a table comes with its page, and no page is left without a table."""
    assert state_diagrams.different() == []


def test_every_machine_has_a_page() -> None:
    """A module that builds a machine stands in the list of the script."""
    found = {
        ".".join(module.relative_to(ROOT).with_suffix("").parts)
        for module in ROOT.rglob("*.py")
        if "TypeMachineBuilder(" in module.read_text(encoding="utf-8")
    }
    assert found == {name for _, _, name in state_diagrams.MACHINES}


def test_a_page_that_differs_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check names the page, and writes nothing; the script itself mends the page."""
    monkeypatch.setattr(state_diagrams, "FOLDER", tmp_path)
    assert state_diagrams.main([]) == 0
    assert state_diagrams.main(["--check"]) == 0
    page = tmp_path / "alarm.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("Cleared --> Raised", "Raised --> Raised"), encoding="utf-8")
    (tmp_path / "old.md").touch()
    capsys.readouterr()
    assert state_diagrams.main(["--check"]) == 1
    told = capsys.readouterr().out
    assert f"{page} differs" in told
    assert "old.md belongs to no machine" in told
    (tmp_path / "old.md").unlink()
    assert state_diagrams.main([]) == 0
    assert page.read_text(encoding="utf-8") == text
