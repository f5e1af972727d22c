"""The site file: what is refused, and how it is said."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_support import mqtt_sink, site_file
from typer.testing import CliRunner

from pave_gateway.config import ConfigError, load, parse_endpoint
from pave_gateway.ports import PortError, tcp_listener, udp_port
from pave_gateway.toml_lines import line_of

from pave_gateway.cli import app  # isort: skip

EXAMPLE = Path(__file__).parents[2] / "examples" / "bercy" / "site.toml"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    path = site_file(tmp_path, mqtt_sink(1883))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def error_of(path: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value)


def test_the_example_site_is_valid_and_has_fifty_bays():
    config = load(EXAMPLE)
    assert (len(config.bay), len(config.kiosk)) == (50, 4)
    assert len({place.device for place in config.places()}) == 54


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_valid_one(tmp_path):
    path = changed(tmp_path, 'street = "Rue', 'stret = "Rue')
    line = path.read_text().splitlines().index('stret = "Rue de Bercy"') + 1
    message = error_of(path)
    assert f"{path}:{line}: bay.1.stret: is not a key here; did you mean 'street'?" in message
    assert "bay.1.street: is missing; add it" in message


def test_a_wrong_value_is_shown_with_what_is_allowed(tmp_path):
    message = error_of(changed(tmp_path, 'kind = "taxi"', 'kind = "bus"'))
    assert "bay.2.kind: 'bus' will not do" in message
    assert "'taxi'" in message


def test_a_latitude_off_the_globe_is_refused(tmp_path):
    assert "bay.1.lat: 148.8 will not do" in error_of(changed(tmp_path, "lat = 48.8358", "lat = 148.8"))


def test_a_device_used_twice_is_refused_with_both_lines(tmp_path):
    message = error_of(changed(tmp_path, 'device = "24a160fffe000102"', 'device = "24a160fffe000101"'))
    assert "bay.2.device: '24a160fffe000101' is already used at" in message
    assert message.count("site.toml:") == 2


def test_a_kiosk_may_not_take_the_id_of_a_bay(tmp_path):
    assert "kiosk.1.id: 'lab-l-01' is already used" in error_of(changed(tmp_path, "lab-k-1", "lab-l-01"))


def test_text_that_is_not_toml_is_said_with_its_line(tmp_path):
    assert "not TOML" in error_of(changed(tmp_path, "[listen]", "[listen"))


def test_a_missing_file_says_what_to_do(tmp_path):
    assert "name the site file with --site" in error_of(tmp_path / "nowhere.toml")


def test_a_topic_with_an_unknown_field_or_a_wildcard_is_refused(tmp_path):
    path = site_file(tmp_path, mqtt_sink(1883))
    assert "{bay} is not known; use site, kind" in error_of(path, "sink.city.topic=pave/{bay}")
    assert "no wildcard" in error_of(path, "sink.city.topic=pave/#")


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("pave/{site!q}", "{site} takes no conversion"),
        ("pave/{site!r}", "{site} takes no conversion"),
        ("pave/{site:d}", "{site} takes no conversion"),
        ("pave/{site:{foo}}", "{site} takes no conversion"),
        ("pave/{site.id}", "{site.id} is not known"),
        ("pave/{}", "{} is not known"),
        ("pave/{site", "will not do"),
        ("pave/{site}/\\u0000", "no NUL"),
        ("", "not empty"),
    ],
)
def test_a_topic_that_could_not_be_made_or_sent_fails_check_config(tmp_path, topic, expected):
    path = changed(tmp_path, 'version = "5"', f'topic = "{topic}"')
    result = CliRunner().invoke(app, ["check-config", "--site", str(path)])
    assert result.exit_code == 2
    assert expected in result.output


def test_a_topic_may_have_literal_braces(tmp_path):
    assert load(changed(tmp_path, 'version = "5"', 'topic = "{{pave}}/{site}"')).sink[0].topic == "{{pave}}/{site}"


def test_overrides_reach_tables_and_sinks_by_name_and_are_converted(tmp_path):
    path = site_file(tmp_path, mqtt_sink(1883))
    config = load(path, ["sink.city.port=1884", "sink.city.version=3.1.1", "coap.insecure=false", "journal.path=x/y"])
    assert (config.sink[0].port, config.sink[0].version) == (1884, "3.1.1")
    assert (config.coap.insecure, config.journal.path) == (False, Path("x/y"))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sink.cty.port=1", "there is no sink 'cty'; did you mean 'city'?"),
        ("sink.city.prt=1", "did you mean 'port'?"),
        ("sink.city.port=many", "'many' will not do"),
        ("listen.http=8080", "such as"),
        ("listen.http", "write KEY=VALUE"),
        ("bay.1.lat=3", "only TABLE.KEY and sink.NAME.KEY"),
    ],
)
def test_a_wrong_override_is_blamed_on_the_command_line(tmp_path, override, expected):
    message = error_of(site_file(tmp_path, mqtt_sink(1883)), override)
    assert message.startswith(f"--set {override}: ")
    assert expected in message


def test_endpoints_are_addresses_with_ports():
    assert parse_endpoint("127.0.0.1:5683") == ("127.0.0.1", 5683)
    assert parse_endpoint("[::1]:1") == ("::1", 1)
    assert parse_endpoint("localhost:1") == ("127.0.0.1", 1)
    for wrong in ("5683", "example.org:1", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x"):
        with pytest.raises(ValueError, match="write an address and a port"):
            parse_endpoint(wrong)


def test_the_line_of_a_key_is_found_in_the_right_table():
    text = "a = 1\n[t]\nk = 1\n[[b]]\nk = 1\n[[b]]\n\nk = 2\n"
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("t", "k")) == 3
    assert line_of(text, ("b", 1, "k")) == 8
    assert line_of(text, ("b", 1, "missing")) == 6
    assert line_of(text, ("nowhere",)) is None


def test_keys_of_tables_in_tables_are_named_with_their_line(tmp_path):
    path = site_file(tmp_path, '[journal.ttl_days]\nalarms = 3\n[[registry.technician]]\nname = "A"\nkee = "00"\n')
    message = error_of(path)
    lines = path.read_text().splitlines()
    assert f"{path}:{lines.index('alarms = 3') + 1}: journal.ttl_days.alarms: is not a key here; did you" in message
    kee = lines.index('kee = "00"') + 1
    assert f"{path}:{kee}: registry.technician.1.kee: is not a key here; did you mean 'key'?" in message


def test_a_place_may_have_no_device_and_two_may_have_none(tmp_path):
    path = site_file(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('device = "24a160fffe000101"\n', "").replace('device = "24a160fffe000102"\n', ""))
    assert [place.device for place in load(path).places()] == ["", "", "24a160fffe000201"]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ('[semtech_udp]\ngateways = "any"\n[chirpstack]\nhost = "h"\nclient_id = "x"\n', "belongs to one network"),
        ("[lorawan]\nrx_delay_s = 1\n", "nothing brings its frames"),
        ('[semtech_udp]\ngateways = "any"\n[lorawan]\naddresses = "01a20000/31"\n', "shorten the prefix"),
        ('[semtech_udp]\nlisten = "0.0.0.0:1700"\ngateways = "any"\n', "name one address of this machine"),
    ],
)
def test_lorawan_that_cannot_be_served_is_refused(tmp_path, sections, expected):
    assert expected in error_of(site_file(tmp_path, sections))


@pytest.mark.parametrize(("kind", "take"), [(socket.SOCK_DGRAM, udp_port), (socket.SOCK_STREAM, tcp_listener)])
def test_a_busy_port_is_refused_with_its_holder_and_the_next_step(kind, take):
    with socket.socket(socket.AF_INET, kind) as holder:
        if kind == socket.SOCK_DGRAM:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as aiocoap does
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        with pytest.raises(PortError) as caught:
            take("127.0.0.1", holder.getsockname()[1])
    message = str(caught.value)
    assert "the port is taken by " in message
    assert "--set listen." in message


def test_a_faulty_site_file_ends_the_command_with_status_2_and_no_traceback(tmp_path):
    path = changed(tmp_path, 'kind = "taxi"', 'kind = "bus"')
    command = [sys.executable, "-m", "pave_gateway", "run", "--site", str(path)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert result.returncode == 2
    assert "bay.2.kind" in result.stderr
    assert "Traceback" not in result.stderr


def test_check_config_says_what_a_site_has(tmp_path):
    result = CliRunner().invoke(app, ["check-config", "--site", str(site_file(tmp_path))])
    assert result.exit_code == 0
    assert "2 bays, 1 kiosks, 0 sinks" in result.stdout
