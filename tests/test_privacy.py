"""Nothing personal is ever captured: no addresses of other people's devices, no images, no sound; people are counted.

Three walls, each checked with something planted that must be found: no board has a part that could see or hear, no
source of firmware or gateway reaches for one or for who is on the air around it, and the wire has no place for it.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pave_wire import model, reading, senml
from pave_wire.errors import WireError

ROOT = Path(__file__).parent.parent
WIFI = "firmware/net/wifi.py"
Function = ast.FunctionDef | ast.AsyncFunctionDef

# Every part a board may have, and what it senses. One that is not here fails: say what it senses, and of whom.
SENSES = {
    "LIS2MDL": "the magnetic field: iron, so vehicles",
    "XM125": "distances to what reflects; no picture, and nothing that tells one vehicle from another",
    "SX1262": "its own network's frames",
    "SX1276": "its own network's frames",
    "W5500": "its own network's frames",
    "SHT3x": "temperature and humidity",
    "BH1750": "brightness, one number",
    "FAN": "its revolutions",
    "SSD1306": "nothing",
    "ILI9341": "nothing",
    "BACKLIGHT": "nothing",
    "G5LE-1": "nothing",
}
ANALOG_SENSES = {"cell"}  # an analog input could be a microphone's

CAMERAS = {"camera", "cv2", "imageio", "picamera", "picamera2", "v4l2", "PIL"}
MICROPHONES = {"I2S", "PDM", "alsaaudio", "pyaudio", "sounddevice", "soundfile", "wave"}
SNIFFERS = {
    "AF_PACKET",
    "SOCK_RAW",
    "aioble",
    "aioespnow",
    "bleak",
    "bluetooth",
    "espnow",
    "pcapy",
    "scapy",
    "ubluetooth",
}
BANNED = CAMERAS | MICROPHONES | SNIFFERS
STATIONS = {"stations", "promiscuous", "monitor"}  # WLAN.status("stations") lists who has joined
TELLING = {"print", "open", "write", "send", "sendto", "add", "append", "put", "publish", "dump", "dumps"}

PERSONAL = {
    "address", "audio", "badge", "bssid", "email", "face", "image", "imei", "imsi", "ip", "mac", "phone", "photo",
    "picture", "plate", "sound", "ssid", "station", "user", "video", "voice",
}  # fmt: skip


def sources() -> Iterator[tuple[str, str]]:
    for folder in ("firmware", "gateway/pave_gateway"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "tests" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text()


def parts(board: str) -> list[str]:
    """What is soldered and not known to be harmless."""
    table = tomllib.loads(board)
    chips = [chip["part"] for chip in table.get("chip", []) if chip["part"] not in SENSES]
    return chips + [entry["measures"] for entry in table.get("analog", []) if entry["measures"] not in ANALOG_SENSES]


def reached_for(path: str, source: str) -> list[str]:
    """What of a source could capture something personal, as `line: what`."""
    tree = ast.parse(source)
    found: list[str] = []
    for node in ast.walk(tree):
        found += [f"{getattr(node, 'lineno', 0)}: {word}" for word in words_of(node) if word in BANNED]
        if isinstance(node, ast.Call):
            said = [a.value for a in node.args if isinstance(a, ast.Constant) and a.value in STATIONS]
            found += [f"{node.lineno}: who has joined, {word!r}" for word in said]
            if is_scan(node) and path != WIFI:
                found.append(f"{node.lineno}: a scan for access points, which is {WIFI}'s")
    if path == WIFI:
        for function in [node for node in ast.walk(tree) if isinstance(node, Function)]:
            found += carried_out(function)
    return found


def words_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").split(".")[0], *(alias.name for alias in node.names)]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    return [node.id] if isinstance(node, ast.Name) else []


def is_scan(node: ast.AST) -> bool:
    """Whether it is a call of `scan` on anything but an I2C bus."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "scan":
        return False
    return "i2c" not in ast.unparse(node.func.value).lower()


def carried_out(function: Function) -> list[str]:
    """Where what a scan found leaves the choice of an access point: is kept, told, or handed to other modules.

    A private function may return it, to those that are judged here too.
    """
    names = carriers(function)
    found: list[str] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            kept = [target for target in targets_of(node) if isinstance(target, ast.Attribute | ast.Subscript)]
            if kept and carries(node, names):
                found.append(f"{node.lineno}: keeps what a scan found")
        elif isinstance(node, ast.Global | ast.Nonlocal) and names & set(node.names):
            found.append(f"{node.lineno}: keeps what a scan found")
        elif isinstance(node, ast.Return | ast.Yield) and carries(node.value, names) and function.name[0] != "_":
            found.append(f"{node.lineno}: hands out what a scan found")
        elif (isinstance(node, ast.Raise) and carries(node.exc, names)) or (
            isinstance(node, ast.Call) and name_called(node) in TELLING and carries_any(node, names)
        ):
            found.append(f"{node.lineno}: tells what a scan found")
    return found


def carriers(function: Function) -> set[str]:
    """The names of a function that are bound to something made of a scan's result."""
    names: set[str] = set()
    before = None
    while names != before:
        before = set(names)
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr):
                bound, value = targets_of(node), node.value
            elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
                bound, value = [node.target], node.iter
            else:
                continue
            if carries(value, names):
                names |= {inner.id for target in bound for inner in ast.walk(target) if isinstance(inner, ast.Name)}
    return names


def carries(node: ast.AST | None, names: set[str]) -> bool:
    return node is not None and any(
        is_scan(inner) or (isinstance(inner, ast.Name) and inner.id in names) for inner in ast.walk(node)
    )


def carries_any(call: ast.Call, names: set[str]) -> bool:
    return any(carries(argument, names) for argument in (*call.args, *(word.value for word in call.keywords)))


def targets_of(node: ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def name_called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def personal(names: list[str]) -> list[str]:
    """The names that have a personal word in them."""
    return [name for name in names if PERSONAL & set(name.lower().replace("_", "-").split("-"))]


def names_of_readings() -> list[str]:
    """Every name a reading can have, as pave_wire.reading states them."""
    return [value for name, value in vars(reading).items() if name.isupper() and isinstance(value, str)]


# Boards


@pytest.mark.parametrize("board", sorted((ROOT / "hardware/boards").glob("*.toml")), ids=lambda path: path.stem)
def test_no_board_has_a_part_that_could_see_or_hear(board: Path) -> None:
    assert not parts(board.read_text()), f"{board}: add to SENSES what it senses, and of whom"


def test_a_part_that_nobody_has_judged_is_seen() -> None:
    board = (ROOT / "hardware/boards/pave-kiosk-v1.toml").read_text()
    assert parts(board + '\n[[chip]]\nname = "eye"\npart = "OV2640"\n') == ["OV2640"]
    assert parts(board + '\n[[analog]]\nname = "ear"\nmeasures = "sound"\n') == ["sound"]


# Sources


def test_no_source_reaches_for_a_camera_a_microphone_or_who_is_around() -> None:
    seen = {path: reached_for(path, source) for path, source in sources()}
    assert len(seen) > 100 and WIFI in seen
    assert not {path: found for path, found in seen.items() if found}


@pytest.mark.parametrize(
    "planted",
    [
        "import camera",
        "from machine import I2S",
        "import machine\nmachine.I2S(0)",
        "def f():\n    import bluetooth",
        "from picamera2 import Picamera2",
        "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "def f(wlan):\n    return len(wlan.scan())",
        "def f(access_point):\n    return access_point.status('stations')",
    ],
)
def test_a_source_that_does_is_seen(planted: str) -> None:
    assert reached_for("firmware/roles/kiosk_controller.py", planted)


CHOICE = """
async def connect(ssid, key):
    best = None
    for found in network.WLAN(0).scan():
        if found[0] == ssid and (best is None or found[3] > best[3]):
            best = found
    {}
"""


def test_a_scan_may_choose_an_access_point_and_do_nothing_else() -> None:
    assert not reached_for(WIFI, CHOICE.format("wlan.connect(ssid, key, bssid=best[1])"))
    assert not reached_for(WIFI, "def _strongest(wlan):\n    return max(wlan.scan(), key=lambda ap: ap[3])")
    assert not reached_for(WIFI, "def f(i2c):\n    return i2c.scan()")


@pytest.mark.parametrize(
    "planted",
    [
        "print(best)",
        "return best[1]",
        "seen.append(best[1])",
        "self.seen = best",
        "table[best[1]] = 1",
        "mac = best[1]\n    outbox.add({'near': mac}, 0)",
        "outbox.add(values={'near': best})",
        "raise OSError(5, best)",
        "global best",
    ],
)
def test_a_scan_that_tells_of_others_is_seen(planted: str) -> None:
    assert reached_for(WIFI, CHOICE.format(planted))


# The wire


def test_no_reading_is_named_after_a_person_or_a_persons_device() -> None:
    names = names_of_readings()
    assert reading.OCCUPIED in names and len(names) >= 10
    assert not personal(names)


def test_a_personal_name_is_seen() -> None:
    assert personal(["occupied", "number-plate", "bssid", "MAC_NEAR", "ended"]) == ["number-plate", "bssid", "MAC_NEAR"]


def test_people_are_a_count() -> None:
    counted = [name for name in names_of_readings() if "people" in name or "person" in name]
    assert all(reading.UNITS.get(name) == "count" for name in counted)


def report(record: dict[str, object]) -> bytes:
    opening = [{"bn": "urn:dev:mac:24a160fffe000101_", "n": "epoch", "v": 1}, {"n": "seq", "v": 0, "bt": 0}]
    return senml.encode([*opening, record])  # pyright: ignore[reportArgumentType]


def test_a_reading_has_no_room_for_an_image_or_a_sound() -> None:
    assert model.unpack_readings(report({"n": "reason", "vs": "field"}))
    with pytest.raises(WireError):
        model.unpack_readings(report({"n": "reason", "vd": b"\xff\xd8\xff\xe0"}))
    with pytest.raises(WireError):
        model.unpack_readings(report({"n": "reason", "vs": "A" * 200}))
