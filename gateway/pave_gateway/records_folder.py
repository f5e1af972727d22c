"""The folder of provisioning records beside the journal, written: what a gateway that lost its journal starts from."""

from pathlib import Path

from pave_gateway.provisioning import SUFFIX
from pave_gateway.store import swap


def keep(folder: Path, device: str, epoch: int, content: bytes) -> Path:
    """Write a record into `folder`, durably, whole or not at all; one of this device and epoch that is there stays.

    Returns:
        Its path.

    Raises:
        OSError
    """
    path = folder / f"{device}-{epoch}{SUFFIX}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        partial.write_bytes(content)
        swap.sync(partial)
        partial.replace(path)
        swap.sync(folder)
    return path
