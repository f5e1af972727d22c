"""A device by other hands: aiocoap under OSCORE, client and server on one socket, in a process of its own.

    python coap_peer.py CONTEXT URI

CONTEXT is a directory with aiocoap's OSCORE settings, URI the gateway's. It takes a JSON line for each request on stdin
and says what came of it in one on stdout, `tag` being the request's: {"tag", "code", "payload", "options"}. "observe"
says one for each notification. As a server it has /s (GET, PUT) and /x (POST).
"""

import asyncio
import json
import sys

import aiocoap
from aiocoap import credentials, oscore, oscore_sitewrapper, resource


class Impatient(aiocoap.numbers.constants.TransportTuning):
    """Sends again after 0.2 s, and more often: a test should not wait for losses."""

    ACK_TIMEOUT = 0.2
    MAX_RETRANSMIT = 7


class Settings(resource.Resource):
    """/s: what was PUT last."""

    def __init__(self):
        super().__init__()
        self.body = b"nothing yet"

    async def render_get(self, request):
        return aiocoap.Message(code=aiocoap.CONTENT, payload=self.body, content_format=60)

    async def render_put(self, request):
        self.body = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


class Command(resource.Resource):
    """/x: says backwards what it is told."""

    async def render_post(self, request):
        await asyncio.sleep(0.7 if request.payload == b"slow" else 0)
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload[::-1])


async def start(directory, uri):
    site = resource.Site()
    site.add_resource(["s"], Settings())
    site.add_resource(["x"], Command())
    own = oscore.FilesystemSecurityContext(directory)
    at_server, at_client = credentials.CredentialsMap(), credentials.CredentialsMap()
    at_server[":gateway"] = own
    at_client[uri + "/*"] = own
    context = await aiocoap.Context.create_server_context(
        oscore_sitewrapper.OscoreSiteWrapper(site, at_server),
        server_credentials=at_server,
        bind=("127.0.0.1", 0),
        transports=["oscore", "udp6"],
    )
    context.client_credentials = at_client
    return context


async def request(context, uri, said):
    path = said["path"]
    message = aiocoap.Message(
        code=getattr(aiocoap, said.get("method", "GET")),
        uri=f"{uri}/{path}",
        payload=bytes.fromhex(said.get("payload", "")),
        content_format=said.get("format"),
        observe=0 if said.get("observe") else None,
        transport_tuning=Impatient(),
    )
    asked = context.request(message)
    try:
        response = await asyncio.wait_for(asked.response, said.get("timeout", 60))
        say(said["tag"], response)
        if said.get("observe"):
            async for response in asked.observation:
                say(said["tag"], response)
    except (aiocoap.error.Error, TimeoutError) as error:
        print(json.dumps({"tag": said["tag"], "failed": repr(error)}), flush=True)


def say(tag, response):
    code = f"{response.code.class_}.{int(response.code) & 0x1F:02d}"
    print(json.dumps({"tag": tag, "code": code, "payload": response.payload.hex()}), flush=True)


async def main(directory, uri):
    context = await start(directory, uri)
    print(json.dumps({"tag": "ready"}), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()
    while line := await reader.readline():
        tasks.add(asyncio.create_task(request(context, uri, json.loads(line))))
    for task in tasks:
        task.cancel()
    await context.shutdown()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
