"""aiocoap's own stack as a server that answers each `POST /r` with 2.04 and keeps nothing: OSCORE, or plain.

OSCORE is aiocoap's by the book: one folder of settings per context, credentials, and its site wrapper.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import aiocoap
import uvloop
from aiocoap import credentials, oscore, oscore_sitewrapper, resource
from aiocoap.numbers.codes import Code

from benchmarks import _ingest_requests as requests
from benchmarks._ingest_ready import say_ready

_Resource: Any = resource.Resource


class Reports(_Resource):
    """`POST /r`."""

    async def needs_blockwise_assembly(self, request: Any) -> bool:
        """None does; aiocoap is spared the look."""
        return False

    async def render_post(self, request: Any) -> Any:
        """Answer what the gateway answers."""
        return aiocoap.Message(code=Code.CHANGED)


def write_contexts(folder: Path, devices: int) -> credentials.CredentialsMap:
    """Write the settings of each device's context; return them as credentials."""
    known = credentials.CredentialsMap()
    for number in range(devices):
        keys = requests.keys_of(number)
        settings = {
            "secret_hex": keys.master_secret.hex(),
            "salt_hex": keys.master_salt.hex(),
            "sender-id_hex": keys.sender_id.hex(),
            "recipient-id_hex": keys.recipient_id.hex(),
        }
        context = folder / str(number)
        context.mkdir(parents=True)
        (context / "settings.json").write_text(json.dumps(settings))
        known[f":{number}"] = oscore.FilesystemSecurityContext(str(context))
    return known


async def serve(port: int, folder: Path | None, devices: int) -> None:
    """Serve until the process is ended; with OSCORE if there is a folder for its contexts."""
    root: Any = resource.Site()
    root.add_resource(["r"], Reports())
    if folder is None:
        context = await aiocoap.Context.create_server_context(root, bind=("127.0.0.1", port))
    else:
        known = write_contexts(folder, devices)
        root = oscore_sitewrapper.OscoreSiteWrapper(root, known)
        context = await aiocoap.Context.create_server_context(root, bind=("127.0.0.1", port), server_credentials=known)
    say_ready()
    try:
        await asyncio.Event().wait()
    finally:
        await context.shutdown()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=0)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, help="where OSCORE's contexts go; without it there is no OSCORE")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.port, given.folder, given.devices))


if __name__ == "__main__":
    main()
