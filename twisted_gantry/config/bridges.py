"""`[bridge.*]`: each table is read by its struct, and checked beyond single values here."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from twisted_gantry.config.settings import BridgeTables
from twisted_gantry.config.tables import Document
from twisted_gantry.core.secret import Secret
from twisted_gantry.net.pem import TlsSettings


class Bridges:
    """Reads `[bridge.*]`; what is wrong is noted in `document`. `tls` are the defaults of all."""

    def __init__(
        self, document: Document, secret: Callable[[Any], Secret], tls: TlsSettings
    ) -> None:
        self._document, self._secret, self._tls = document, secret, tls

    def read(self) -> BridgeTables:
        """Return the tables that are there and right."""
        table = self._document.table(self._document.root, ("bridge",))
        self._document.unknown(table, {each.name for each in fields(BridgeTables)}, ("bridge",))
        return BridgeTables()
