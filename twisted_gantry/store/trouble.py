"""What a failing disk is called: SQLite's errors as sentences for operators."""

import errno
import sqlite3

from twisted_gantry.core.interfaces import StoreFailed, StoreHung

_TEXTS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "磁盘已满"),
    sqlite3.SQLITE_READONLY: ("the disk or the file is read-only", "磁盘或文件只读"),
    sqlite3.SQLITE_CANTOPEN: ("the database cannot be opened", "数据库无法打开"),
    sqlite3.SQLITE_PERM: ("access to the database is denied", "无权访问数据库"),
    sqlite3.SQLITE_IOERR: ("the disk fails", "磁盘读写错误"),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", "数据库已损坏"),
    sqlite3.SQLITE_NOTADB: ("the database is damaged", "数据库已损坏"),
    sqlite3.SQLITE_BUSY: ("another program holds the database", "数据库被其他程序占用"),
    sqlite3.SQLITE_LOCKED: ("another program holds the database", "数据库被其他程序占用"),
}
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def trouble_of(error: BaseException | None) -> StoreFailed | None:
    """Return what is wrong with the disk, None if the error is about something else."""
    if isinstance(error, StoreFailed):
        return error
    if not isinstance(error, sqlite3.Error):
        return None
    texts = _TEXTS.get(_code(error))
    if texts is None:
        return None
    en, zh = texts
    return StoreFailed(f"{en} ({error})", zh)


def is_damage(error: BaseException | None) -> bool:
    """Tell whether the content of the file is damaged, not the disk out of order."""
    return isinstance(error, sqlite3.Error) and _code(error) in _DAMAGE


def _code(error: sqlite3.Error) -> int:
    # An error that Python raises by itself has no code: the connection was never opened.
    code = getattr(error, "sqlite_errorcode", None)
    return sqlite3.SQLITE_CANTOPEN if code is None else int(code) & 0xFF


def hung(seconds: float) -> StoreHung:
    """Return the error of a disk that has not answered for `seconds`."""
    return StoreHung(
        f"the disk has not answered for over {seconds:g} s", f"磁盘超过{seconds:g}秒无响应"
    )


def of_the_system(error: OSError) -> StoreFailed:
    """Return the trouble of a file that the operating system refuses."""
    texts = {
        errno.ENOSPC: _TEXTS[sqlite3.SQLITE_FULL],
        errno.EDQUOT: _TEXTS[sqlite3.SQLITE_FULL],
        errno.EROFS: _TEXTS[sqlite3.SQLITE_READONLY],
        errno.EACCES: _TEXTS[sqlite3.SQLITE_PERM],
        errno.EPERM: _TEXTS[sqlite3.SQLITE_PERM],
    }
    en, zh = texts.get(error.errno or 0, _TEXTS[sqlite3.SQLITE_IOERR])
    return StoreFailed(f"{en} ({error.strerror})", zh)
