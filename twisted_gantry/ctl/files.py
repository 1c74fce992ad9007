"""Files that are written whole or not at all, and replace another only by `force`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from twisted_gantry.ctl.errors import Trouble


@contextmanager
def whole_file(path: Path, *, force: bool, private: bool = True) -> Iterator[IO[bytes]]:
    """Give a temporary file that becomes `path` at the end of the block, unless the block raises.

    A `private` file is readable by its owner alone (0600). After the block it is synced to the
    disk. Raises Trouble if it cannot be written, or if `path` exists and `force` is False.
    """
    if not force:
        refuse_existing(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from None
    os.close(descriptor)
    temporary = Path(name)
    try:
        with temporary.open("wb") as file:
            yield file
            try:
                if not private:
                    temporary.chmod(0o666 & ~_umask())
                file.flush()
                os.fsync(file.fileno())
                _name(temporary, path, force=force)
            except OSError as error:
                raise _cannot_write(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raise Trouble if `path` exists, even as a broken link."""
    if os.path.lexists(path):
        raise Trouble("file-exists", file=path)


def _umask() -> int:
    mask = os.umask(0o077)  # only a write returns the mask
    os.umask(mask)
    return mask


def _name(temporary: Path, path: Path, *, force: bool) -> None:
    if force:
        temporary.replace(path)
    else:
        try:
            path.hardlink_to(temporary)  # unlike a rename, a link never replaces a file
        except FileExistsError:
            raise Trouble("file-exists", file=path) from None
        except OSError:  # a file system without links, as on a memory stick
            refuse_existing(path)
            temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cannot_write(path: Path, error: OSError) -> Trouble:
    return Trouble("cannot-write", file=path, reason=error.strerror or type(error).__name__)
