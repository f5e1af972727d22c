"""Emptying the outbox into the gateway: what is not acknowledged stays, under the identity it has."""

from net.clock import now_ms
from net.coap_link import LinkError
from pave_wire import coap, model


async def deliver(outbox, device, link):
    """POST batches of `outbox` until it is empty.

    Raises:
        LinkError: the gateway did not answer, or not with 2.04; everything unacknowledged is still in the outbox.
    """
    while len(outbox):
        batch = outbox.batch(now_ms())
        payload = model.pack_readings(device, batch)
        response = await link.request(coap.POST, model.PATH_READINGS, payload, model.CONTENT_FORMAT_SENML_CBOR)
        if response.code != coap.CHANGED:
            raise LinkError("the gateway answered %s %r" % (coap.code_text(response.code), response.payload))
        outbox.acknowledged(batch)
