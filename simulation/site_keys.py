"""The keys of an emulated site: what its operator and its technician would have made before a device is flashed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pave_gateway import provisioning
from pave_gateway.store.key_file import open_key_file
from pave_tools.device_keys import Provisioner
from pave_tools.provisioning import read_reader, technician_key

RECORDS, PUBLIC_FILE, TECHNICIAN_FILE = "records", "gateway.json", "technician.key"  # in the folder


def provisioner(
    site: str, key_file: Path, gateway_id: bytes, folder: Path, now_ms: int, random_bytes: Callable[[int], bytes]
) -> Provisioner:
    """Return what makes the keys of devices of `site`, with their records in `folder`/records.

    Args:
        site: [site] id.
        key_file: The gateway's; made if there is none.
        gateway_id: What devices are told of the gateway. One whose journal draws another names it at first contact.
        folder: Where the gateway's public file, the technician's key and the records go.
        now_ms: Milliseconds since 1970.
        random_bytes: Where every key comes from: `os.urandom`, or a seeded source where a run is to be repeated.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key_file.parent.mkdir(parents=True, exist_ok=True)
    public = folder / PUBLIC_FILE
    public.write_bytes(provisioning.public_file(open_key_file(key_file, site, [], now_ms, random_bytes), gateway_id))
    technician = technician_key(folder / TECHNICIAN_FILE, random_bytes)
    return Provisioner(technician, [read_reader(public)], folder / RECORDS, random_bytes)
