"""A text that must not be seen: in no log, metric, error or `repr`."""


class Secret:
    """Holds a password, an authentication code or a key."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one place that must send or compare it."""
        return self._text

    def __repr__(self) -> str:
        """Show that there is one, no more."""
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Equal when the texts are."""
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        """Hash as the text does."""
        return hash(self._text)
