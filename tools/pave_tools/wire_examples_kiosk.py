"""What docs/WIRE.md shows of availability, in the manner of `wire_examples`."""

import json
from collections.abc import Callable

from pave_tools.wire_examples import dump, fenced
from pave_wire import model, senml


def availability() -> str:
    """An answer to GET /a?nearest."""
    data = model.pack_availability({"delivery": (3, 12), "taxi": (0, 4)}, {"delivery": (120, 45)})
    records = "\n".join(json.dumps(record) for record in senml.decode(data))
    return fenced(f"{len(data)} bytes of CBOR:\n\n{dump(data)}\n\nthe same as records:\n\n{records}")


BLOCKS: dict[str, Callable[[], str]] = {"availability": availability}
