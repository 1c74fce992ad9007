"""A server that sends given bytes for any request: for answers that no gantry gives."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Speak = Callable[[socket.socket, threading.Event], None]


def saying(data: bytes) -> Speak:
    """Return a server that reads the head of a request, sends `data` and hangs up."""

    def speak(peer: socket.socket, _: threading.Event) -> None:
        seen = b""
        while b"\r\n\r\n" not in seen:
            part = peer.recv(4096)
            if not part:
                return  # the client had enough
            seen += part
        peer.sendall(data)

    return speak


@contextmanager
def raw_server(speak: Speak) -> Iterator[int]:
    """Serve one connection after the other during the block; gives the port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                peer, _ = listener.accept()
                with peer:
                    if over.is_set():
                        return
                    try:
                        speak(peer, over)
                    except OSError:
                        continue  # the client had enough

        thread = threading.Thread(target=serve)
        thread.start()
        port: int = listener.getsockname()[1]
        try:
            yield port
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", port), 5).close()
            thread.join(10)
            assert not thread.is_alive()
