"""A device's keys on their way into its flash image, the record of them written first.

    `provision`              NVS "oscore" holds keys and counters; the device speaks OSCORE or nothing
    `provision_lora`         NVS "lora" does; the device joins a LoRaWAN network with them
    neither                  the image has no keys; the device speaks plain CoAP if its settings say `insecure`

What NVS holds is read by `firmware/roles/oscore_keys.py` and `firmware/roles/lorawan_keys.py`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pave_tools.provisioning import (
    Flashed,
    LoraKeys,
    OscoreKeys,
    RandomBytes,
    Reader,
    make_record,
    new_lora_keys,
    new_oscore_keys,
    write_record,
)

OSCORE_NAMESPACE = "oscore"
LORA_NAMESPACE = "lora"
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

    def provision_lora(self, flashed: Flashed, join_eui: bytes) -> dict[str, int | bytes]:
        """Make an AppKey for one flashing of a device, write its record, and return what goes into its NVS.

        Args:
            flashed: The device; its EUI-64 is the DevEUI.
            join_eui: 8 bytes, of the network it is to join.

        Raises:
            ProvisioningError: as `make_record`.
            OSError: the record cannot be written.
        """
        keys = new_lora_keys(join_eui, self.random_bytes)
        write_record(self.records, flashed, make_record(flashed, None, keys, self.technician, self.readers))
        return lora_values(keys, bytes.fromhex(flashed.device))


def lora_values(keys: LoraKeys, dev_eui: bytes) -> dict[str, int | bytes]:
    """Return what NVS holds under "lora": `keys`, and counters for an AppKey that nobody has used.

    Keys and counters go together: flashed a second time, the image would use a DevNonce twice.
    """
    counters = {"dev_nonce": 0, "join_nonce": 0, "airtime_ms": 0}
    return {"app_key": keys.app_key, "join_eui": keys.join_eui, "dev_eui": dev_eui, **counters}


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
