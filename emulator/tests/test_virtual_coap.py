"""A CoAP server by other hands (aiocoap) in the virtual loop, asked by a device."""

import aiocoap
from aiocoap import resource
from virtual_bench import JOIN, Site, play

CLIENT = (
    JOIN
    + """
join()
s = udp()
s.connect(("127.0.0.1", 5683))
def ask(mid):
    # RFC 7252: version 1, confirmable, token of 1 byte, GET, Uri-Path "time"
    request = bytes((0x41, 0x01, mid >> 8, mid & 255, 0x7A)) + b"\\xb4time"
    t = time.ticks_ms()
    s.send(request)
    answer = s.recv(100)
    ok = answer[0] == 0x61 and answer[1] == 0x45 and answer[2:5] == request[2:5]
    print("answer", ok, answer.split(b"\\xff")[1], time.ticks_diff(time.ticks_ms(), t) < 50)
ask(1)
time.sleep(3600)
ask(2)
print("end")
"""
)


class Time(resource.Resource):
    """Says what the loop's time is, in whole minutes."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site

    async def render_get(self, request):
        return aiocoap.Message(payload=b"%d" % (self._site.loop.time() // 60))


def test_aiocoap_serves_a_resource_in_virtual_time(tmp_path):
    async def script(site: Site):
        root = resource.Site()
        root.add_resource(["time"], Time(site))
        context = await aiocoap.Context.create_server_context(
            root, bind=("127.0.0.1", 5683), transports=["simplesocketserver"]
        )
        await site.line("end", within_s=10_000)
        await context.shutdown()

    site = play(tmp_path, CLIENT, script)
    assert [line for line in site.lines() if line.startswith("answer")] == [
        "answer True b'0' True",
        "answer True b'60' True",
    ]
    assert len(site.datagrams()) == 4
