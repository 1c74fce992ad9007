"""The key file: made once, and told apart from a wrong one."""

from pathlib import Path

import pytest

from twisted_gantry.centre.store.sealing import WrongKey, read_key
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.wire.secret import Secret


def test_the_key_is_made_at_the_first_start(tmp_path: Path) -> None:
    """For the owner alone, once, and nothing else is left in the folder."""
    first = read_key(tmp_path / "centre.key")
    sealed = first.seal(Secret("code\udcff"))
    assert b"code" not in sealed
    assert read_key(tmp_path / "centre.key").open(sealed) == Secret("code\udcff")
    assert [each.name for each in tmp_path.iterdir()] == ["centre.key"]
    assert (tmp_path / "centre.key").stat().st_mode & 0o777 == 0o600


async def test_a_wrong_key_says_what_to_do(store: InlineStore, tmp_path: Path) -> None:
    """The database remembers its key: another one is found at the start."""
    right, wrong = read_key(tmp_path / "right"), read_key(tmp_path / "wrong")
    await store.write(right.prove)
    await store.write(right.prove)
    with pytest.raises(WrongKey, match=r"wrong is not the key .*: copy the key file of the first"):
        await store.write(wrong.prove)
    with pytest.raises(WrongKey):
        wrong.open(right.seal(Secret("code")))


async def test_a_new_key_before_the_old_one(memory: InlineStore, tmp_path: Path) -> None:
    """With both in the file the new one seals, and the old one still opens."""
    old, new = read_key(tmp_path / "old"), read_key(tmp_path / "new")
    await memory.write(old.prove)
    both = tmp_path / "both"
    both.write_text((tmp_path / "new").read_text() + (tmp_path / "old").read_text())
    await memory.write(read_key(both).prove)
    assert read_key(both).open(old.seal(Secret("code"))) == Secret("code")
    assert new.open(read_key(both).seal(Secret("code"))) == Secret("code")


@pytest.mark.parametrize("content", ["", "no key", "\x00\xff"])
def test_a_file_without_keys(tmp_path: Path, content: str) -> None:
    """A spoilt file is never taken for a key."""
    (tmp_path / "key").write_text(content)
    with pytest.raises(WrongKey, match="has no Fernet keys"):
        read_key(tmp_path / "key")
