"""A device's OSCORE keys on their way into its flash image, the record of them written first.

    with a `Provisioner`     NVS "oscore" holds keys and counters; the device speaks OSCORE or nothing
    without                  the image has no keys; the device speaks plain CoAP if its settings say `insecure`

What NVS holds is read by `firmware/roles/oscore_keys.py`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pave_tools.provisioning import (
    Flashed,
    OscoreKeys,
    RandomBytes,
    Reader,
    make_record,
    new_oscore_keys,
    write_record,
)

OSCORE_NAMESPACE = "oscore"
_FRESH_WINDOW = bytes(10)  # mask, and the highest Partial IV accepted plus 1: there was none


@dataclass(frozen=True)
class Provisioner:
    """Who makes the keys of devices, for which gateway.

    Attributes:
        technician: Signs the records.
        readers: For whom they are sealed: the gateway first, then whoever may replace it.
        records: The folder they are written to.
        random_bytes: Where keys come from; another than the operating system's only where nothing is kept secret.
    """

    technician: Ed25519PrivateKey
    readers: Sequence[Reader]
    records: Path
    random_bytes: RandomBytes = os.urandom

    def provision(self, flashed: Flashed) -> dict[str, int | bytes]:
        """Make keys for one flashing of a device, write their record, and return what goes into its NVS.

        Raises:
            ProvisioningError: as `make_record` and `new_oscore_keys`.
            OSError: the record cannot be written.
        """
        keys = new_oscore_keys(flashed.device, self.readers[0], self.random_bytes)
        write_record(self.records, flashed, make_record(flashed, keys, None, self.technician, self.readers))
        return oscore_values(keys)


def oscore_values(keys: OscoreKeys) -> dict[str, int | bytes]:
    """Return what NVS holds under "oscore": `keys`, and counters for keys that nobody has used.

    So an image is flashed once: a second time it would put the counters back, and seal two messages under one nonce.
    """
    return {
        "secret": keys.secret,
        "salt": keys.salt,
        "id": keys.device_id,
        "gateway": _FRESH_WINDOW + keys.gateway_id,
        "reserved": 0,
    }
