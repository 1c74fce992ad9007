"""A mail server in a process of its own: STARTTLS and a login. Prints what happens as JSON lines.

Arguments: the port, the files of certificate and key, the password of `gantry`.
"""

import json
import ssl
import sys
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


def tell(**what: Any) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Mails:
    """Tells envelopes; refuses nobody@."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, _: Any) -> str:
        """Judge a recipient."""
        if to.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        content = envelope.content.decode("ascii")
        tell(sender=envelope.mail_from, to=envelope.rcpt_tos, content=content)
        return "250 taken"

    def log_in(self, server: Any, session: Any, envelope: Any, how: str, data: Any) -> AuthResult:
        """Check a login."""
        right = (data.login, data.password) == (b"gantry", sys.argv[4].encode())
        tell(login=data.login.decode(), right=right)
        return AuthResult(success=right, handled=False)


def main() -> None:
    """Serve until the input ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    mails = Mails()
    controller = Controller(
        mails,
        hostname="127.0.0.1",
        port=int(sys.argv[1]),
        tls_context=context,
        require_starttls=True,
        authenticator=mails.log_in,
        auth_required=True,
    )
    controller.start()
    tell(ready=True)
    sys.stdin.read()
    controller.stop()


if __name__ == "__main__":
    main()
