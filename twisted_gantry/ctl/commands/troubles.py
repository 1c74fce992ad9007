"""Why a device, an uplink or a bridge is not well, in a cell: the error, its code, what to do."""

from rich.text import Text

from twisted_gantry.ctl.output import plain, scalar
from twisted_gantry.ctl.texts.catalogue import Texts
from twisted_gantry.wire import local_api

Any = local_api.Device | local_api.Uplink | local_api.Bridge


def trouble(texts: Texts, each: Any, *, with_advice: bool = True) -> Text | None:
    """Return what is wrong now, with the next step below, else the last error and its time."""
    if not each.last_error:
        return None
    error = plain(texts.pick(each.last_error, each.last_error_zh or each.last_error))
    advice = texts.pick(each.advice or "", each.advice_zh or "")
    if each.cause is not None:
        said = texts("trouble", error=error, cause=plain(each.cause))
        return Text(f"{said}\n→ {plain(advice)}" if advice and with_advice else said)
    if each.last_error_at is None:  # an older gantry does not tell whether that is over
        return Text(error)
    return Text(texts("trouble-over", error=error, at=scalar(texts, each.last_error_at)), "dim")
