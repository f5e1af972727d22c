"""A device by other hands joins our server and is acknowledged: npm's lora-packet, in a process of its own.

It is installed into build/ on the first run, where the wire's tests have it too.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lorawan_support import JOIN_EUI, Site, hello_of

PACKAGE = "lora-packet@0.9.3"
INSTALL_DIR = Path(__file__).parents[2] / "build" / "npm" / PACKAGE

Ask = Callable[..., dict[str, Any]]


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


@pytest.fixture
def ask(module_dir: Path) -> Iterator[Ask]:
    command = ["node", str(Path(__file__).with_name("lorawan_peer.js")), str(module_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:

        def asking(**fields: Any) -> dict[str, Any]:
            assert peer.stdin is not None and peer.stdout is not None
            peer.stdin.write(json.dumps(fields) + "\n")
            peer.stdin.flush()
            answer = json.loads(peer.stdout.readline())
            assert "error" not in answer, answer
            return answer

        yield asking
        peer.kill()


def test_a_device_of_lora_packet_joins_says_hello_and_is_acknowledged(ask: Ask) -> None:
    site = Site()
    device = site.devices[0]
    app_key, dev_nonce = device.app_key.hex(), "0007"
    request = ask(do="join", app_key=app_key, join_eui=JOIN_EUI.hex(), dev_eui=device.eui, dev_nonce=dev_nonce)
    site.hear(bytes.fromhex(request["frame"]))
    site.run(10_000)
    accept = ask(do="accept", app_key=app_key, frame=site.sent[0].phy.hex(), dev_nonce=dev_nonce)
    assert accept["mic"] and int(accept["dev_addr"], 16) in site.settings.addresses
    channels = bytes.fromhex(accept["cf_list"])
    assert [100 * int.from_bytes(channels[at : at + 3], "little") for at in range(0, 15, 3)] == list(
        site.settings.channels_hz
    )
    assert (accept["settings"], accept["rx_delay"]) == ("03", "01")

    payloads = [(3, hello_of(259, 74_042)), (1, bytes.fromhex("017803213a0068a3"))]
    heard = []
    for fcnt, (port, payload) in enumerate(payloads):
        sent = ask(do="send", fcnt=fcnt, port=port, payload=payload.hex())
        site.hear(bytes.fromhex(sent["frame"]))
        site.run(10_000)
        heard.append(ask(do="hear", frame=site.sent[-1].phy.hex()))
    assert all(frame["mic"] for frame in heard) and [frame["fcnt"] for frame in heard] == [0, 1]
    assert (heard[1]["port"], heard[1]["payload"]) == (6, "03213a")
    assert (device.eui, 259, 74_042) in site.store.readings
