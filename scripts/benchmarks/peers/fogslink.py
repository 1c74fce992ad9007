"""A Fogslink cloud on asyncio, uvloop and msgspec, without a store; prints its port.

It splits once a read, decodes each line into structs, checks the `tKey`, and answers a read with
one write.
"""

import asyncio
import sys
from typing import Any

import msgspec
import uvloop


class _Item(msgspec.Struct):
    eChan: str
    eChanSta: str = "1"
    eVal: str | None = None


class _Identify(msgspec.Struct):
    eqSN: str


class _Authenticate(msgspec.Struct):
    eqSN: str
    apiKey: str


class _Heartbeat(msgspec.Struct):
    eqSN: str
    tKey: str


class _Pack(msgspec.Struct):
    eqSN: str
    packID: str
    totalSize: int
    eqData: list[_Item]


class _Line(msgspec.Struct):
    req001: _Identify | None = None
    req002: _Authenticate | None = None
    req100: _Heartbeat | None = None
    req200: _Pack | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Session(asyncio.Protocol):
    def __init__(self) -> None:
        self.rest = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        answers = "".join([answer(_decode(line)) for line in lines])
        if answers and self.transport is not None:
            self.transport.write(answers.encode())


def answer(line: _Line) -> str:
    if (beat := line.req100) is not None:
        if beat.tKey != f"key-{beat.eqSN}":
            raise ValueError("a wrong tKey")
        return f'{{"res100":{{"eqSN":"{beat.eqSN}","code":"0"}}}}\n'
    if (pack := line.req200) is not None:
        code = "8" if pack.totalSize == len(pack.eqData) else "9"
        return f'{{"res200":{{"eqSN":"{pack.eqSN}","packID":"{pack.packID}","code":"{code}"}}}}\n'
    if (who := line.req001) is not None:
        return f'{{"res001":{{"eqSN":"{who.eqSN}","code":"0","tKey":"key-{who.eqSN}"}}}}\n'
    if (key := line.req002) is not None:
        return f'{{"res002":{{"eqSN":"{key.eqSN}","code":"0"}}}}\n'
    raise ValueError("no request")


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Session, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(serve()))
