"""Runs the application with uvicorn, on a socket that is already bound, without its signal handlers and logs."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Literal

import uvicorn
from fastapi import FastAPI

_GRACE_S = 1


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the runtime."""
        yield


class HttpServer:
    """The running server."""

    def __init__(
        self, app: FastAPI, listener: socket.socket, protocol: type[asyncio.Protocol] | Literal["auto"] = "auto"
    ) -> None:
        """Own `listener`; `protocol` is what speaks HTTP on a connection."""
        config = uvicorn.Config(
            app,
            http=protocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")

    async def close(self) -> None:
        """Finish running responses for a second, then stop."""
        self._server.should_exit = True
        await self._task
