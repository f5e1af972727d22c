"""aiocoap as a peer in a process of its own. It speaks JSON lines on stdout.

    server PORT [CONTEXT]              ask URI METHOD SIZE [CONTEXT]              observe URI LAST [CONTEXT]

CONTEXT is a directory with aiocoap's OSCORE settings; with it everything goes sealed.
"""

import asyncio
import json
import sys

import aiocoap
from aiocoap import credentials, oscore_sitewrapper, resource


class Store(resource.Resource):
    def __init__(self):
        super().__init__()
        self.body = b"nothing yet"
        self.writes = 0

    async def render_get(self, request):
        return aiocoap.Message(code=aiocoap.CONTENT, payload=self.body)

    async def render_put(self, request):
        self.body = request.payload
        self.writes += 1
        return aiocoap.Message(code=aiocoap.CHANGED, payload=b"%d" % self.writes)

    render_post = render_put


class Counter(resource.ObservableResource):
    """Counts up, once per `PUT /tick`."""

    def __init__(self):
        super().__init__()
        self.count = 0

    async def render_get(self, request):
        return aiocoap.Message(code=aiocoap.CONTENT, payload=b"%d" % self.count)

    def tick(self):
        self.count += 1
        self.updated_state()


class Tick(resource.Resource):
    def __init__(self, counter):
        super().__init__()
        self._counter = counter

    async def render_put(self, request):
        self._counter.tick()
        return aiocoap.Message(code=aiocoap.CHANGED)


class Late(resource.Resource):
    async def render_get(self, request):
        await asyncio.sleep(0.5)
        return aiocoap.Message(code=aiocoap.CONTENT, payload=b"at last")


def contexts(name, directory):
    """Return aiocoap's credentials: the OSCORE context in `directory` under `name`, a peer or a URI."""
    made = credentials.CredentialsMap()
    if directory:
        made.load_from_dict({name: {"oscore": {"basedir": directory + "/"}}})
    return made


async def client(uri, directory):
    """Return a client's context, with OSCORE for everything at the host of `uri` if there is a `directory`."""
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    context.client_credentials = contexts(uri.rsplit("/", uri.count("/") - 2)[0] + "/*", directory)
    return context


async def serve(port, directory=None):
    site = resource.Site()
    counter = Counter()
    site.add_resource(["s"], Store())
    site.add_resource(["o"], counter)
    site.add_resource(["tick"], Tick(counter))
    site.add_resource(["late"], Late())
    site.add_resource([".well-known", "core"], resource.WKCResource(site.get_resources_as_linkheader))
    known = contexts(":peer", directory)
    if directory:
        site = oscore_sitewrapper.OscoreSiteWrapper(site, known)
    await aiocoap.Context.create_server_context(
        site, server_credentials=known, bind=("127.0.0.1", int(port)), transports=["udp6"]
    )
    say({"ready": True})
    await asyncio.get_running_loop().create_future()


async def ask(uri, method, size, directory=None):
    """Send `size` bytes (counting up, modulo 251) by `method`; say the code and the bytes that came."""
    context = await client(uri, directory)
    payload = bytes(i % 251 for i in range(int(size)))
    request = aiocoap.Message(code=getattr(aiocoap, method), uri=uri, payload=payload)
    response = await context.request(request).response
    say({"code": int(response.code), "payload": response.payload.hex()})
    await context.shutdown()


async def observe(uri, last, directory=None):
    """Say every notification until the one whose payload is `last`."""
    context = await client(uri, directory)
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
    response = await request.response
    say({"payload": response.payload.decode()})
    async for response in request.observation:
        say({"payload": response.payload.decode()})
        if response.payload == last.encode():
            break
    await context.shutdown()


def say(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    asyncio.run({"server": serve, "ask": ask, "observe": observe}[command](*arguments))
