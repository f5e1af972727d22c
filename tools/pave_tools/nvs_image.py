"""NVS partition images (ESP-IDF "Non-Volatile Storage Library"), made by Espressif's own generator.

Values are of the kinds MicroPython's `esp32.NVS` reads: a number by `get_i32`, bytes by `get_blob`.
"""

import io
from collections.abc import Mapping

from esp_idf_nvs_partition_gen import nvs_partition_gen as generator

from pave_tools.errors import ImageError
from pave_tools.partition import SECTOR_BYTES

NvsValues = Mapping[str, Mapping[str, int | bytes]]  # namespace -> key -> value

_NAME_CHARS = 15
_PAGES_MIN = 3


def build_nvs(values: NvsValues, size_bytes: int) -> bytes:
    """Return the image of an NVS partition of `size_bytes`; an empty mapping gives an erased one.

    Raises `ImageError` for a name over 15 characters, a number beyond 32 bits, or values that do not fit.
    """
    if size_bytes % SECTOR_BYTES or size_bytes < _PAGES_MIN * SECTOR_BYTES:
        raise ImageError(f"NVS of {size_bytes:#x} bytes: at least {_PAGES_MIN} whole pages of {SECTOR_BYTES:#x}")
    if not values:
        return b"\xff" * size_bytes
    output = io.BytesIO()
    try:
        # One page stays free: NVS moves the oldest page's live entries into it. The generator adds it itself.
        with generator.nvs_open(output, size_bytes - SECTOR_BYTES, generator.Page.VERSION2) as nvs:
            for namespace, entries in values.items():
                nvs.write_namespace(_name(namespace))
                for key, value in entries.items():
                    _write_value(nvs, namespace, _name(key), value)
    except (generator.InsufficientSizeError, generator.InputError) as error:
        raise ImageError(f"NVS of {size_bytes:#x} bytes: {error}") from error
    return output.getvalue()


def _write_value(nvs: generator.NVS, namespace: str, key: str, value: int | bytes) -> None:
    if isinstance(value, bytes):
        nvs.write_entry(key, value, "binary")
    elif -(2**31) <= value < 2**31:
        nvs.write_entry(key, value, "i32")
    else:
        raise ImageError(f"NVS {namespace}.{key} = {value}: beyond 32 bits; store it as bytes")


def _name(name: str) -> str:
    if not 1 <= len(name.encode()) <= _NAME_CHARS:
        raise ImageError(f"NVS name {name!r} should have 1 to {_NAME_CHARS} characters")
    return name
