"""A real `twistd gantry-centre` in a process of its own."""

from pathlib import Path
from typing import Any

from tests.daemon.process import Client, Daemon, free_port


class CentreProcess:
    """A centre on free ports, with the tables `more` in its configuration. The page is for this
    computer alone, without a password.
    """

    def __init__(self, folder: Path, reactor: Any, more: str = "", *words: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.web, self.monitor, self.cloud = free_port(), free_port(), free_port()
        self.config, self.data = folder / "centre.toml", folder / "data"
        self.client = Client(reactor)
        self.words = words
        self.config.write_text(
            f"""
[monitor]
listen = "tcp:{self.monitor}:interface=127.0.0.1"
[cloud]
listen = "tcp:{self.cloud}:interface=127.0.0.1"
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
{more}
""",
            encoding="utf-8",
        )
        self.daemon: Daemon | None = None

    def start(self) -> Daemon:
        arguments = ("--config", str(self.config), "--data", str(self.data), *self.words)
        self.daemon = Daemon(self.folder, "gantry-centre", *arguments)
        return self.daemon

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.web}/api/v1/{path}"

    async def get(self, path: str) -> Any:
        """Return decoded JSON, None while there is no answer."""
        assert self.daemon is not None
        assert self.daemon.process.poll() is None, self.daemon.text
        return await self.client.get(self.url(path))

    async def send(self, method: str, path: str, content: Any) -> Any:
        return await self.client.send(method, self.url(path), content)

    async def close(self) -> None:
        if self.daemon is not None and self.daemon.process.poll() is None:
            self.daemon.kill()
        await self.client.close()
