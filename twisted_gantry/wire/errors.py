"""Errors of messages: the peer broke the rules, or we did."""


class WireError(ValueError):
    """The peer broke its protocol. The text says how, and holds no secret. `quoted` is what came,
    shortened and without secrets, where the decoder tells.
    """

    quoted = ""


class NotJson(WireError):
    """The bytes are no JSON, also in loose spelling, or are cut off where nothing may be lost."""


class TooLarge(NotJson):
    """JSON past a bound: its bytes, its values or its nesting."""


class BadMessage(WireError):
    """JSON, but not the expected message; the text names the place."""


class FrameTooLong(WireError):
    """An object passed its bound before its end."""


class CannotEncode(ValueError):
    """Our message is one that the protocol cannot carry: a mistake on our side."""
