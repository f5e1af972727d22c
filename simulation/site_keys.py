"""The keys of an emulated site: what its operator and its technician would have made before a device is flashed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pave_gateway import provisioning
from pave_gateway.config import Config
from pave_gateway.config_registry import TechnicianConfig
from pave_gateway.store.key_file import open_key_file
from pave_tools.device_keys import Provisioner
from pave_tools.provisioning import Flashed, OscoreKeys, Reader, public_hex, read_reader, technician_key

RECORDS, PUBLIC_FILE, TECHNICIAN_FILE = "records", "gateway.json", "technician.key"  # in the folder
TECHNICIAN = "who flashed the emulated devices"


@dataclass(frozen=True)
class SiteProvisioner(Provisioner):
    """One that also keeps what it made, by EUI-64: who listens on the air cannot get it from the records."""

    made: dict[str, OscoreKeys] = field(default_factory=dict[str, OscoreKeys])

    def provision(self, flashed: Flashed) -> dict[str, int | bytes]:
        """See `Provisioner`."""
        values = super().provision(flashed)
        self.made[flashed.device] = _keys_in(values, self.readers[0])
        return values


def provisioner(
    site: str, key_file: Path, gateway_id: bytes, folder: Path, now_ms: int, random_bytes: Callable[[int], bytes]
) -> SiteProvisioner:
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
    return SiteProvisioner(technician, [read_reader(public)], folder / RECORDS, random_bytes)


def believing(config: Config, provisioner: Provisioner) -> Config:
    """Return `config` with the technician in it, as an operator would have added them."""
    technician = TechnicianConfig(name=TECHNICIAN, key=public_hex(provisioner.technician))
    registry = config.registry.model_copy(update={"technician": (*config.registry.technician, technician)})
    return config.model_copy(update={"registry": registry})


def technician_table(provisioner: Provisioner) -> str:
    """Return the same as the end of a site file."""
    return f'\n[[registry.technician]]\nname = "{TECHNICIAN}"\nkey = "{public_hex(provisioner.technician)}"\n'


def _keys_in(values: dict[str, int | bytes], gateway: Reader) -> OscoreKeys:
    """Return the keys in what NVS holds under "oscore" of a device that was flashed for `gateway`."""
    secret, salt, device_id = values["secret"], values["salt"], values["id"]
    assert isinstance(secret, bytes) and isinstance(salt, bytes) and isinstance(device_id, bytes)
    return OscoreKeys(secret, salt, device_id, gateway.gateway_id)
