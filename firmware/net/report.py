"""Emptying the outbox into the gateway: what is not acknowledged stays, under the identity it has."""

from net.clock import now_ms
from net.coap_link import LinkError
from pave_wire import coap, limits, model


async def deliver(outbox, device, link, persistent, save):
    """POST batches of `outbox` until it is empty; `save()` keeps it after every change.

    A batch that the gateway does not understand (4.00, 4.13) is sent again reading by reading, and the one that is
    refused by itself is given up, so that it does not hold back what comes after it. An identity that is taken (4.09)
    means that this device has been here before under another count: everything gets a new epoch.

    Raises:
        LinkError: the gateway did not answer, or not now; everything unacknowledged is still in the outbox.
    """
    most = limits.READINGS_PER_PACK
    while len(outbox):
        batch, payload = _packed(device, outbox.batch(now_ms(), most))
        response = await link.request(coap.POST, model.PATH_READINGS, payload, model.CONTENT_FORMAT_SENML_CBOR)
        if response.code == coap.CHANGED:
            outbox.acknowledged(batch)
        elif response.code in (coap.BAD_REQUEST, coap.TOO_LARGE):
            print("refused:", coap.code_text(response.code), response.payload)
            if len(batch) == 1:
                outbox.given_up(batch)
            most = 1
        elif response.code == coap.CONFLICT:
            outbox.renumber(persistent.next_epoch())
        else:
            raise LinkError("the gateway answered %s %r" % (coap.code_text(response.code), response.payload))
        save()


def _packed(device, batch):
    """Return as many of the oldest readings of `batch` as one request holds, one at least, and their pack."""
    payload = model.pack_readings(device, batch)
    while len(payload) > limits.PACK_BYTES and len(batch) > 1:
        batch = batch[: max(1, len(batch) * limits.PACK_BYTES // len(payload))]
        payload = model.pack_readings(device, batch)
    return batch, payload
