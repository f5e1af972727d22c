"""LoRaWAN against npm's lora-packet: what we write it reads, and of the same fields it writes the same bytes.

lora-packet is installed from npm into build/ on the first run; one node process reads every frame of a campaign.
"""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pave_wire import lorawan, lorawan_join
from pave_wire.errors import MicError
from pave_wire.lorawan import Session
from pave_wire.lorawan_join import JoinAccept

PACKAGE = "lora-packet@0.9.3"
PEER = Path(__file__).with_name("lora_packet_peer.js")
INSTALL_DIR = Path(__file__).parents[3] / "build" / "npm" / PACKAGE
SEED = 1_004
TYPES = ["Unconfirmed Data Up", "Unconfirmed Data Down", "Confirmed Data Up", "Confirmed Data Down"]

Case = dict[str, Any]


@pytest.fixture(scope="module")
def module_dir() -> Path:
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("lora-packet needs node and npm: install Debian's `nodejs` and `npm`")
    installed = INSTALL_DIR / "node_modules" / "lora-packet"
    if not (installed / "out" / "lib.js").exists():
        INSTALL_DIR.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(INSTALL_DIR), "--no-save", "--no-package-lock", "--no-audit"]
        done = subprocess.run([*command, "--no-fund", "--omit=dev", PACKAGE], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return installed


def ask(module_dir: Path, cases: list[Case]) -> list[Case]:
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(
        ["node", str(PEER), str(module_dir)], input=lines, capture_output=True, text=True, check=True, timeout=300
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases), done.stderr
    return answers


def random_data(rng: random.Random) -> Case:
    port = rng.choice([None, 0, 1, rng.randrange(1, 256)])
    fopts = b"" if port == 0 else rng.randbytes(rng.choice([0, 0, rng.randrange(16)]))
    payload = (
        b"" if port is None else rng.randbytes(rng.choice([0, 1, 11, 15, 16, 17, rng.randrange(243 - len(fopts))]))
    )
    fcnt = rng.choice([0, rng.randrange(1 << 16), rng.randrange(1 << 32), 0xFFFF, 0x10000, 0xFFFFFFFF])
    kind = rng.randrange(4)
    session = Session(rng.randrange(1 << 32), rng.randbytes(16), rng.randbytes(16))
    flags = rng.randrange(16) << 4
    encode = lorawan.encode_downlink if kind & 1 else lorawan.encode_uplink
    return {
        "kind": "data",
        "type": TYPES[kind],
        "dev_addr": f"{session.dev_addr:08x}",
        "nwk_skey": session.nwk_skey.hex(),
        "app_skey": session.app_skey.hex(),
        "fcnt": fcnt,
        "port": port,
        "payload": payload.hex(),
        "fopts": fopts.hex(),
        "flags": flags,
        "frame": encode(session, fcnt, port, payload, fopts, flags, kind >= 2).hex(),
    }


def random_join_request(rng: random.Random) -> Case:
    key, join_eui, dev_eui, dev_nonce = rng.randbytes(16), rng.randbytes(8), rng.randbytes(8), rng.randrange(1 << 16)
    return {
        "kind": "join_request",
        "app_key": key.hex(),
        "join_eui": join_eui.hex(),
        "dev_eui": dev_eui.hex(),
        "dev_nonce": f"{dev_nonce:04x}",
        "frame": lorawan_join.encode_join_request(key, join_eui, dev_eui, dev_nonce).hex(),
    }


def random_join_accept(rng: random.Random) -> Case:
    key, dev_nonce = rng.randbytes(16), rng.randrange(1 << 16)
    channels = tuple(rng.choice([0, 100 * rng.randrange(1 << 24)]) for _ in range(5)) if rng.randrange(2) else ()
    accept = JoinAccept(
        rng.randrange(1 << 24),
        rng.randrange(1 << 24),
        rng.randrange(1 << 32),
        rng.randrange(8),
        rng.randrange(16),
        rng.randrange(1, 16),
        channels,
    )
    cf_list = b"".join((channel // 100).to_bytes(3, "little") for channel in channels) + b"\0" * bool(channels)
    session = lorawan_join.session_of(key, accept, dev_nonce)
    return {
        "kind": "join_accept",
        "app_key": key.hex(),
        "dev_nonce": f"{dev_nonce:04x}",
        "join_nonce": f"{accept.join_nonce:06x}",
        "net_id": f"{accept.net_id:06x}",
        "dev_addr": f"{accept.dev_addr:08x}",
        "settings": f"{accept.rx1_dr_offset << 4 | accept.rx2_data_rate:02x}",
        "rx_delay": f"{accept.rx_delay_s:02x}",
        "cf_list": cf_list.hex(),
        "nwk_skey": session.nwk_skey.hex(),
        "app_skey": session.app_skey.hex(),
        "frame": lorawan_join.encode_join_accept(key, accept).hex(),
    }


def random_case(rng: random.Random) -> Case:
    return rng.choice([random_data] * 8 + [random_join_request, random_join_accept])(rng)


def expected_read(case: Case) -> Case:
    if case["kind"] == "data":
        keys = ["type", "dev_addr", "port", "payload", "fopts", "flags"]
        return {"mic": True, "fcnt_low": case["fcnt"] & 0xFFFF} | {key: case[key] for key in keys}
    left_out = ("kind", "app_key", "frame") + (("dev_nonce",) if case["kind"] == "join_accept" else ())
    return {"mic": True} | {key: value for key, value in case.items() if key not in left_out}


def read_back(case: Case, frame: bytes) -> None:
    """Read with our decoders what lora-packet wrote; raises or asserts on any difference."""
    if case["kind"] == "join_request":
        key = bytes.fromhex(case["app_key"])
        dev_nonce = int(case["dev_nonce"], 16)
        assert lorawan_join.decode_join_request(key, frame, dev_nonce - 1) == dev_nonce
        assert [eui.hex() for eui in lorawan_join.join_request_euis(frame)] == [case["join_eui"], case["dev_eui"]]
    elif case["kind"] == "join_accept":
        key = bytes.fromhex(case["app_key"])
        accept = lorawan_join.decode_join_accept(key, frame)
        assert lorawan_join.encode_join_accept(key, accept).hex() == case["frame"]
        assert f"{accept.join_nonce:06x}{accept.dev_addr:08x}" == case["join_nonce"] + case["dev_addr"]
    else:
        keys = bytes.fromhex(case["nwk_skey"]), bytes.fromhex(case["app_skey"])
        decode = lorawan.decode_downlink if "Down" in case["type"] else lorawan.decode_uplink
        got = decode(Session(int(case["dev_addr"], 16), *keys), frame, case["fcnt"] - 1)
        assert (got.fcnt, got.port, got.flags) == (case["fcnt"], case["port"], case["flags"])
        assert (got.payload.hex(), got.fopts.hex()) == (case["payload"], case["fopts"])
        assert got.confirmed == case["type"].startswith("Confirmed")


def campaign(module_dir: Path, count: int, seed: int) -> int:
    """Return how many frames were the same on both sides; the first that is not is an error."""
    rng = random.Random(seed)
    cases = [random_case(rng) for _ in range(count)]
    for number, (case, answer) in enumerate(zip(cases, ask(module_dir, cases), strict=True)):
        where = f"seed {seed}, case {number}: {case}"
        assert answer.get("read") == expected_read(case), f"{where}: {answer}"
        assert answer["written"] == case["frame"], f"{where}: {answer}"
        read_back(case, bytes.fromhex(answer["written"]))
    return number + 1


def test_300_random_frames_are_the_same_to_lora_packet(module_dir: Path) -> None:
    assert campaign(module_dir, 300, SEED) == 300


@pytest.mark.long
def test_10000_random_frames_are_the_same_to_lora_packet(module_dir: Path) -> None:
    assert campaign(module_dir, 10_000, SEED + 1) == 10_000


def test_a_frame_changed_on_its_way_is_seen_by_both(module_dir: Path) -> None:
    rng = random.Random(SEED)
    cases = [random_data(rng) for _ in range(50)]
    for case in cases:
        frame = bytearray.fromhex(case["frame"])
        frame[-1 - rng.randrange(4)] ^= 1 << rng.randrange(8)
        case["frame"] = frame.hex()
    for case, answer in zip(cases, ask(module_dir, cases), strict=True):
        assert answer["read"]["mic"] is False and answer["written"] != case["frame"]
        with pytest.raises(MicError):
            read_back(case, bytes.fromhex(case["frame"]))
