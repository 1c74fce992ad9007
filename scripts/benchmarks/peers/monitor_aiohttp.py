"""The peer of the benchmark: `monitor.do` by aiohttp and asyncpg, one INSERT a request.

usage: monitor_aiohttp.py URL. Prints its port. It checks the code and the digest, decodes the JSON,
and answers after its commit.
"""

import asyncio
import hashlib
import json
import sys

import asyncpg
import uvloop
from aiohttp import web

from scripts.benchmarks.centre_load import AUTH

_TABLE = """CREATE TABLE IF NOT EXISTS peer_reports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gantry text NOT NULL, method text NOT NULL,
    stamp bigint NOT NULL, digest bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now(),
    body text NOT NULL, UNIQUE (stamp, gantry, method, digest))"""
_INSERT = """INSERT INTO peer_reports (gantry, method, stamp, digest, body)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"""


def _answer(code: str, msg: str) -> web.Response:
    body = json.dumps({"code": code, "msg": msg}, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=body, content_type="application/json")


async def serve(url: str) -> None:
    pool = await asyncpg.create_pool(url, min_size=10, max_size=10)
    await pool.execute(_TABLE)

    async def monitor(request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("binfile-auth") != AUTH:
            return _answer("1001", "无权使用该接口")
        digest = hashlib.md5(body, usedforsecurity=False)
        if request.headers.get("binfile-md5") != digest.hexdigest():
            return _answer("1004", "无效的签名")
        fields = json.loads(body)
        row = (fields["gantryId"], fields["method"], int(fields["timeStamp"]), digest.digest())
        await pool.execute(_INSERT, *row, body.decode())
        return _answer("1000", "成功")

    app = web.Application()
    app.router.add_post("/monitor.do", monitor)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(serve(sys.argv[1]))
