"""`firmware/manifest.toml`: which source file goes on a device of which role. A list, never a glob.

    [files]
    boot = ["boot.py", "main.py"]           # copied as source to /
    [shared]
    modules = ["lib/pave_wire/cbor.py"]     # every role's
    [roles.presence]
    modules = ["app/presence.py"]           # this role's own

A module is compiled to slot a: `app/presence.py` to `/a/app/presence.mpy`. The firmware's `lib/` is a root of imports,
as the slot is on the device: `lib/pave_wire/cbor.py` goes to `/a/pave_wire/cbor.mpy`.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pave_tools.errors import ManifestError, nearest
from pave_tools.tree import FIRMWARE_DIR

SLOT = "/a"


@dataclass(frozen=True)
class Entry:
    """One file: `source` on the host, `device_path` on the device."""

    source: Path
    device_path: str


@dataclass(frozen=True)
class Role:
    """What one role carries: `boot` copied as source, `modules` compiled; both sorted by device path."""

    name: str
    boot: tuple[Entry, ...]
    modules: tuple[Entry, ...]


def load_role(name: str, firmware_dir: Path = FIRMWARE_DIR) -> Role:
    """Read the manifest of `firmware_dir`; raises `ManifestError` for an unknown role or a file it cannot take."""
    document = _read(firmware_dir / "manifest.toml")
    roles = document.get("roles", {})
    if name not in roles:
        raise ManifestError(f"{firmware_dir / 'manifest.toml'}: no role {name!r}{nearest(name, roles)}")
    boot = [_entry(path, firmware_dir, f"/{path}") for path in _paths(document, "files", "boot")]
    sources = _paths(document, "shared", "modules") + _paths(roles, name, "modules")
    modules = [_entry(path, firmware_dir, module_path(path)) for path in sources]
    for device_path in (paths := [entry.device_path for entry in boot + modules]):
        if paths.count(device_path) > 1:
            raise ManifestError(f"role {name}: {device_path} is listed {paths.count(device_path)} times; list it once")
    return Role(name, _sorted(boot), _sorted(modules))


def role_names(firmware_dir: Path = FIRMWARE_DIR) -> list[str]:
    """Return the roles the manifest declares."""
    return list(_read(firmware_dir / "manifest.toml").get("roles", {}))


def module_path(source: str) -> str:
    """Return where the compiled module goes: `lib/pave_wire/cbor.py` -> `/a/pave_wire/cbor.mpy`."""
    return f"{SLOT}/{source.removeprefix('lib/').removesuffix('.py')}.mpy"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}; the firmware is built from a checkout of Pavé") from error
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{path}: not TOML: {error}") from error


def _paths(document: dict[str, Any], table: str, key: str) -> list[str]:
    paths: list[str] = document.get(table, {}).get(key, [])
    if {type(path) for path in paths} - {str} or type(paths) is not list:  # TOML may hold anything
        raise ManifestError(f"manifest: [{table}] {key} = {paths!r} should be a list of paths below firmware/")
    return paths


def _entry(path: str, firmware_dir: Path, device_path: str) -> Entry:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or str(pure) != path or pure.suffix != ".py":
        raise ManifestError(f"manifest: {path!r} is not a plain path of a .py file below firmware/ (with / between)")
    source = firmware_dir / path
    if not source.is_file():
        known = [file.relative_to(firmware_dir).as_posix() for file in firmware_dir.rglob("*.py")]
        raise ManifestError(f"manifest: no file {path!r} in {firmware_dir}{_only_close(path, known)}")
    return Entry(source, device_path)


def _only_close(path: str, known: list[str]) -> str:
    hint = nearest(path, known)
    return hint if "did you mean" in hint else "; write it, or take it out of the manifest"


def _sorted(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.device_path))
