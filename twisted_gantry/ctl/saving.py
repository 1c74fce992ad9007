"""Tables of the API in files for a spreadsheet."""

from collections.abc import Mapping
from pathlib import Path

from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.files import whole_file
from twisted_gantry.ctl.output import plain
from twisted_gantry.ctl.session import Session


def save_table(
    session: Session, what: str, chosen: Mapping[str, str | None], file: Path, *, force: bool
) -> Exit:
    """Fetch an export into `file`, a workbook if its name ends in `.xlsx`, else CSV; `chosen` are
    the parameters of the query. Raises Trouble.
    """
    texts, name = session.texts, plain(str(file))
    form = "xlsx" if file.suffix.lower() == ".xlsx" else "csv"
    query = {"format": form, "lang": texts.language, **chosen}
    waiting = session.waiting(texts("exporting", where=session.url, file=name))
    with waiting, whole_file(file, force=force) as table:
        size = session.api.fetch(f"/api/v1/export/{what}", query, table)
    if session.json:
        session.show_json({"file": str(file), "bytes": size})
    else:
        session.show(texts("exported", file=name, bytes=size))
    return Exit.FINE
