"""What can be wrong with a message: the peer broke the rules, or we did."""


class WireError(ValueError):
    """The peer sent what its protocol does not allow. The text says what; it holds no secret."""


class NotJson(WireError):
    """The bytes are neither JSON nor JSON5, are not UTF-8, or nest too deeply."""


class BadMessage(WireError):
    """JSON, but not the message that was expected; the text names the place."""


class FrameTooLong(WireError):
    """An object passed the bound before it ended."""


class CannotEncode(ValueError):
    """We were asked to send what the protocol cannot carry: a mistake on our side."""
