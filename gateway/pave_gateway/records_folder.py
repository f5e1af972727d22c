"""The folder of provisioning records beside the journal, written: what a gateway that lost its journal starts from.

<device>-<epoch>.pave    a provisioning record
<device>.retired         a note that the device was retired (`core.registry_differences`), such as
    {"pave_retired": 1, "site": "bercy", "device": "24a160fffe000101", "epoch": 28317600, "at_ms": 1795000000000}
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pave_gateway.core import limits
from pave_gateway.core.registry_differences import Retirement
from pave_gateway.provisioning import SUFFIX
from pave_gateway.store import swap
from pave_wire.limits import EPOCH_MAX

_log = logging.getLogger(__name__)

RETIRED = ".retired"
_YEAR_9999_MS = 253_402_300_799_999


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    pave_retired: Literal[1]
    site: Annotated[str, Field(max_length=64)]
    device: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    epoch: Annotated[int, Field(ge=-1, le=EPOCH_MAX)]
    at_ms: Annotated[int, Field(ge=0, le=_YEAR_9999_MS)]


def keep(folder: Path, device: str, epoch: int, content: bytes) -> Path:
    """Write a record into `folder`, durably, whole or not at all; one of this device and epoch that is there stays.

    Returns:
        Its path.

    Raises:
        OSError
    """
    path = folder / f"{device}-{epoch}{SUFFIX}"
    if not path.exists():
        _write(path, content)
    return path


def note(folder: Path, site: str, retired: Iterable[Retirement]) -> None:
    """Note retirements in `folder`, each durably, in place of an older one of the device.

    Raises:
        OSError
    """
    for one in retired:
        at_ms = min(one.at_ms, _YEAR_9999_MS)
        content = {"pave_retired": 1, "site": site, "device": one.device, "epoch": one.epoch, "at_ms": at_ms}
        _write(folder / f"{one.device}{RETIRED}", json.dumps(content).encode() + b"\n")


def noted(folder: Path, site: str) -> dict[str, Retirement]:
    """Return the retirements noted in `folder`, by device; what is no note of `site` is logged and left out."""
    found: dict[str, Retirement] = {}
    for path in sorted(folder.glob(f"*{RETIRED}"))[: limits.RECORDS_PER_IMPORT]:
        try:
            one = _Note.model_validate_json(_read(path))
        except (OSError, ValidationError):
            _log.warning("%s: no note of a retirement that can be read; look at it, or remove it", path)
            continue
        if one.site != site or path.name != f"{one.device}{RETIRED}":
            _log.warning("%s: it is of device %s of site %s; remove it from here", path, one.device, one.site)
            continue
        found[one.device] = Retirement(one.device, one.epoch, one.at_ms)
    return found


def _read(path: Path) -> bytes:
    if not path.is_file():  # a pipe would wait for its other end
        raise OSError
    with path.open("rb") as file:
        return file.read(limits.RETIRED_NOTE_BYTES)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    swap.sync(partial)
    partial.replace(path)
    swap.sync(path.parent)
