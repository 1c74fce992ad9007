"""Audit of changes to the program itself; the command door audits the commands of devices."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from twisted.web.server import Request

from twisted_gantry.access.gate import person_of
from twisted_gantry.access.people import LOCAL, OPERATOR, VIEWER
from twisted_gantry.core.alarms import CannotChange
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.net.http.json import header

_USER = re.compile(r"[A-Za-z0-9._@-]{1,40}\Z")


def who_asks(request: Request) -> str:
    """Return the client, as the audit shows it: `api <address> <person>`. Behind a secret that
    several share stands the name that they give themselves, in brackets.
    """
    peer = getattr(request.getClientAddress(), "host", "unix")
    person, claimed = person_of(request), header(request, "x-gantry-user")
    is_shared = person in (LOCAL, OPERATOR, VIEWER)
    more = f" ({claimed})" if is_shared and _USER.match(claimed) else ""
    return f"api {peer} {person.name}{more}"


@dataclass
class Ending:
    """The outcome, for the audit."""

    result: Outcome = Outcome.DONE
    detail: str = ""


@asynccontextmanager
async def audited(store: IStore, entry: AuditEntry) -> AsyncIterator[Ending]:
    """Write `entry` into the audit, then the outcome of the block: failed if the block raises,
    refused for CannotChange.
    """
    await store.begin_command(entry)
    ending = Ending()
    try:
        yield ending
    except CannotChange as error:
        ending.result, ending.detail = Outcome.REFUSED, str(error)
        raise
    except Exception:
        ending.result, ending.detail = Outcome.FAILED, "the store failed"
        raise
    finally:
        ended = replace(entry, result=ending.result.value, detail=ending.detail)
        await store.end_command(ended)
