"""Faults of the centre that the database shows: processes that died, duties that nobody does."""

from collections.abc import Iterator, Sequence

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import PERIOD
from twisted_gantry.centre.store import leases, ledger, processes, troubles
from twisted_gantry.centre.store.processes import MISSED, Process
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.notify.notice import CRITICAL, WARNING

OLD = 6 * 3600.0
"""Seconds by which reports come late before that is a fault: longer than most outages of a line."""
_LATELY = 600.0  # seconds for which the latest late reports are looked at


def look(session: Session, duties: Sequence[str]) -> None:
    """Note what is wrong now, and forget processes that were replaced. Right after an outage of the
    database nothing is judged: what seems to be gone had no chance to tell that it lives.
    """
    processes.sweep(session)
    now, known = session.now(), processes.processes(session)
    living = [each for each in known if each.seen > now - MISSED]
    if not processes.watched(known, now):
        return
    found = [
        *_missed(processes.missed(known, now)),
        *_without_a_worker(session, duties, living, now),
        *_without_reports(session, known, now),
        *_backlog(session, now),
    ]
    troubles.note(session, troubles.SHARED, found)
    troubles.end_of_gone(session, [each.name for each in living])


def _missed(gone: Sequence[Process]) -> Iterator[Found]:
    for each in gone:
        label = f"{each.role} {each.name}"
        en, zh = f"{label} gives no sign of life", f"进程 {label} 无响应"
        yield Found(f"process.{each.name}", CRITICAL, en, zh)


def _without_a_worker(
    session: Session, duties: Sequence[str], living: Sequence[Process], now: float
) -> Iterator[Found]:
    """Find duties that nobody does, although a worker has been there for long enough."""
    if not any(each.role != "front" and each.since <= now - MISSED for each in living):
        return
    held = {each.duty: each.until for each in leases.all_leases(session)}
    for duty in duties:
        if held.get(duty, 0.0) <= now - MISSED:
            en = f"no worker does the duty {duty}"
            yield Found(f"duty.{duty}", CRITICAL, en, f"职责{duty}无人执行")


def _without_reports(session: Session, known: Sequence[Process], now: float) -> Iterator[Found]:
    serving = processes.serving_since(session)
    if serving is None:
        if any(each.role != "worker" for each in known):
            en = "no front takes reports"
            yield Found("centre.no-front", CRITICAL, en, "没有前端接收上报")
        return
    [(heard,)] = session.rows("SELECT max(heard) FROM states")
    if heard is not None and max(heard, serving) <= now - 2 * PERIOD:
        en = "no report of any gantry for two periods, though a front waits for them"
        zh = "前端正常，但连续两个周期未收到任何门架上报"
        yield Found("centre.no-reports", CRITICAL, en, zh)


def _backlog(session: Session, now: float) -> Iterator[Found]:
    oldest = ledger.oldest_backlog(session, _LATELY)
    if oldest is not None and oldest < now - OLD:
        en = "gantries send reports that are more than six hours old"
        yield Found("centre.backlog", WARNING, en, "门架正在补传六小时以前的数据")
