"""What strangers do to a listener, in processes of their own, from addresses of their own.

Each runs until it is ended. 127.0.0.2 and up stand for other hosts.
"""

import base64
import json
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

Target = tuple[str, int]
GANTRY = "G000211001002110010"


def idle(hosts: list[str], number: int, port: int, say: bytes = b"") -> None:
    """Hold `number` connections of each host, and open each again when it is closed. `say` is sent
    on each.
    """
    selector = selectors.DefaultSelector()

    def connect(host: str) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.bind((host, 0))
            sock.connect_ex(("127.0.0.1", port))
        except OSError:
            sock.close()
            waiting.append(host)
            return
        interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if say else 0)
        selector.register(sock, interest, host)

    waiting = [host for host in hosts for _ in range(number)]
    while True:
        again, waiting[:] = list(waiting), []
        for host in again:
            connect(host)
        for key, events in selector.select(0.05):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                if events & selectors.EVENT_WRITE:
                    sock.send(say)
                    selector.modify(sock, selectors.EVENT_READ, key.data)
                closed = events & selectors.EVENT_READ and not sock.recv(65536)
            except BlockingIOError:
                closed = False
            except OSError:
                closed = True
            if closed:
                selector.unregister(sock)
                sock.close()
                waiting.append(key.data)


def repeat(host: str, port: int, send: Callable[[int], bytes], per_second: float = 0.0) -> None:
    """Send what `send(n)` returns, as fast as it is taken or so often, and read what comes."""
    import time

    number = 0
    while True:
        with suppress(OSError), socket.socket() as sock:
            sock.bind((host, 0))
            sock.settimeout(5)
            sock.connect(("127.0.0.1", port))
            while True:
                sock.sendall(send(number))
                number += 1
                if per_second:
                    time.sleep(1 / per_second)
                sock.settimeout(0.0 if not per_second else 0.001)
                with suppress(BlockingIOError, TimeoutError):
                    if not sock.recv(1 << 20):
                        break
                sock.settimeout(5)
        time.sleep(0.01)


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def bodies(port: int, path: str) -> None:
    """40 bodies of 1 MiB a second without the code."""
    body = b'{"a":[' + b"[]," * 349_000 + b"0]}"
    repeat("127.0.0.9", port, lambda _: post(path, body), 40)


def chunks(port: int, path: str) -> None:
    """A body in chunks of one byte."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    piece = b"1\r\nx\r\n" * 10_000
    repeat("127.0.0.9", port, lambda number: head + piece if number % 20 == 0 else piece)


def heads(port: int, path: str) -> None:
    """Requests whose heads are as long as may be, in a row."""
    more = "".join(f"X-{number}: {number}\r\n" for number in range(400))
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()
    repeat("127.0.0.9", port, lambda _: head * 5)


def pipelined(port: int, path: str) -> None:
    """Small requests without a secret, in a row."""
    repeat("127.0.0.9", port, lambda _: f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 500)


def passwords(port: int) -> None:
    """Wrong passwords, one behind the other."""

    def guess(number: int) -> bytes:
        given = base64.b64encode(b"x:%d" % number).decode()
        return (
            f"GET /api/v1/site HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {given}\r\n\r\n".encode()
        )

    repeat("127.0.0.9", port, guess)


def results(port: int) -> None:
    """Forged results of a card, with guessed sessions."""

    def forged(number: int) -> bytes:
        fields = {"uid": "1", "session": f"{number:032x}", "cmd": "QAD", "value": "(1"}
        return post("/post", json.dumps(fields).encode())

    repeat("127.0.0.9", port, forged)


def serve(port: int, head: bytes, piece: bytes) -> None:
    """Be a server that answers each client with `head`, and `piece` without end."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        while True:
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                if head:
                    sock.recv(65536)
                    sock.sendall(head)
                while piece:
                    sock.sendall(piece)
