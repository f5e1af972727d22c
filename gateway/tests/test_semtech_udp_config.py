"""The sections of the site file on where LoRaWAN frames come from, and the secrets beside it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pave_gateway.config_lora_ingress import (
    ChirpStackConfig,
    SecretError,
    SemtechUdpConfig,
    ThingsStackConfig,
    check_one,
    endpoint,
    secret,
)
from pave_gateway.ingress import chirpstack_ingress, things_stack_ingress

EUI = "00000000000000a1"


def test_a_concentrator_in_the_gateways_own_case_needs_no_list() -> None:
    config = SemtechUdpConfig(gateways="any")
    assert (endpoint(config.listen), config.allowed) == (("127.0.0.1", 1700), None)


def test_on_a_lan_each_concentrator_is_named() -> None:
    config = SemtechUdpConfig(listen="192.168.7.1:1700", gateways=(EUI,))
    assert config.allowed == frozenset((EUI,))
    with pytest.raises(ValidationError, match="list the EUI-64 of each concentrator"):
        SemtechUdpConfig(listen="192.168.7.1:1700", gateways="any")


@pytest.mark.parametrize("listen", ["0.0.0.0:1700", "[::]:1700", "8.8.8.8:1700", "[2001:4860:4860::8888]:1700"])
def test_an_address_that_anybody_reaches_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="Semtech UDP has no authentication"):
        SemtechUdpConfig(listen=listen, gateways=(EUI,))


@pytest.mark.parametrize("listen", ["[::1]:1700", "[fd00::1]:1700", "10.0.0.1:0", "100.64.3.4:1700"])
def test_addresses_of_a_lan_or_a_vpn_are_taken(listen: str) -> None:
    assert SemtechUdpConfig(listen=listen, gateways=(EUI,)).listen == listen


@pytest.mark.parametrize("listen", ["localhost", "localhost:1700", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_what_is_no_address_and_port_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError):
        SemtechUdpConfig(listen=listen, gateways=(EUI,))


@pytest.mark.parametrize("gateways", [(), ("00000000000000A1",), ("a1",), "some", None])
def test_what_is_no_list_of_concentrators_is_refused(gateways: Any) -> None:
    with pytest.raises(ValidationError):
        SemtechUdpConfig(gateways=gateways)


def secret_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_secret_is_read_from_its_file_or_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secret(secret_file(tmp_path, " tell no one \n"), "PAVE_X") == "tell no one"
    assert secret(None, "PAVE_X") is None
    monkeypatch.setenv("PAVE_X", "of the environment")
    assert secret(None, "PAVE_X") == "of the environment"


@pytest.mark.parametrize(
    ("text", "mode", "said"), [("", 0o600, "is empty"), ("x", 0o644, "chmod o="), ("x", 0o602, "chmod o=")]
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, text: str, mode: int, said: str) -> None:
    with pytest.raises(SecretError, match=said):
        secret(secret_file(tmp_path, text, mode), "PAVE_X")


def test_a_secret_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="nowhere"):
        secret(tmp_path / "nowhere", "PAVE_X")


def test_chirpstacks_broker_is_asked_for_qos_1_and_a_session(tmp_path: Path) -> None:
    config = ChirpStackConfig(
        host="chirpstack.city.example", client_id="pave-bercy", password_file=secret_file(tmp_path, "pw"), username="me"
    )
    settings = chirpstack_ingress.settings_of(config)
    assert (settings.qos, settings.session_s, settings.version) == (1, 7 * 86_400, "5")
    assert settings.password == "pw" and "pw" not in repr(settings)
    with pytest.raises(ValidationError):
        ChirpStackConfig(host="x", client_id="pave-bercy", application="my application")


def test_the_things_stack_is_named_by_application_and_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ThingsStackConfig(host="eu1.cloud.thethings.network", application="app1")
    assert (config.uid, config.storage_url) == ("app1@ttn", "https://eu1.cloud.thethings.network")
    assert ThingsStackConfig(host="tts.example", application="app1", tenant="").uid == "app1"
    with pytest.raises(SecretError, match="has no API key"):
        things_stack_ingress.settings_of(config, "bercy")
    monkeypatch.setenv("PAVE_THINGS_STACK_KEY", "NNSXS.KEY")
    settings = things_stack_ingress.settings_of(config, "bercy")
    assert (settings.username, settings.qos, settings.session_s, settings.tls) == ("app1@ttn", 0, 0, True)
    assert settings.version == "3.1.1" and "NNSXS" not in repr(settings)


@pytest.mark.parametrize("storage", ["eu1.cloud.thethings.network", "ftp://x", "https://x/api", "https://a b"])
def test_a_storage_is_the_root_of_a_web_server(storage: str) -> None:
    with pytest.raises(ValidationError):
        ThingsStackConfig(host="x", application="app1", storage=storage)


def test_a_site_has_one_network() -> None:
    semtech = SemtechUdpConfig(gateways="any")
    check_one(semtech, None, None)
    check_one(None, None, None)
    with pytest.raises(ValueError, match=r"\[semtech_udp\] and \[things_stack\]"):
        check_one(semtech, None, object())
