"""The site file: what is refused, and how it is said."""

import copy
import re
import socket
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import get_origin

import pytest
from gateway_support import mqtt_sink, site_file
from pydantic import ValidationError
from typer.testing import CliRunner

from pave_gateway.config import Config, ConfigError, load, parse_endpoint
from pave_gateway.config_faults import SiteFile, refusals, table_of
from pave_gateway.ports import PortError, tcp_listener, udp_port
from pave_gateway.toml_lines import line_of

from pave_gateway.cli_app import app  # isort: skip

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
    assert "\n" not in message, "that it is missing under its right name is the same fault"


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
    assert load(changed(tmp_path, 'version = "5"', 'topic = "{{pave}}/{place}"')).sink[0].topic == "{{pave}}/{place}"


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


# One line per fault

EVERYTHING = """
[lorawan]
net_id = "000000"
addresses = "01a20000/16"
channels_hz = [867100000]
[semtech_udp]
gateways = ["00000000000000a1"]
[chirpstack]
host = "broker"
client_id = "lab"
ca_file = "ca.pem"
username = "me"
password_file = "password"
[things_stack]
host = "eu1"
application = "app1"
storage = "https://eu1"
[registry]
key_file = "keys"
records = "records"
[[registry.technician]]
name = "Jeanne"
key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""
WRONG = ("", "no such", "\0", "x" * 300, -1, 10**30, 1.5, float("nan"), True, date(2026, 11, 23), [], ["x"], {})


def leaves(model, at=()):
    """Yield where each key that is no table stands: ("bay", 0, "lat")."""
    for name, field in model.model_fields.items():
        inside = table_of(field.annotation)
        if inside is None:
            yield (*at, name)
        else:
            yield from leaves(inside, (*at, name, 0) if get_origin(field.annotation) is tuple else (*at, name))


def with_value(data, at, value):
    changed = copy.deepcopy(data)
    table = changed
    for part in at[:-1]:
        table = table.setdefault(part, {}) if isinstance(part, str) else table[part]
    table[at[-1]] = value
    return changed


def lines_of(path, data):
    try:
        Config.model_validate(data)
    except ValidationError as error:
        return refusals(SiteFile(path, path.read_text(), {}), Config, error)
    return []


def test_every_wrong_value_of_every_key_is_one_line_in_the_words_of_the_file(tmp_path):
    path = site_file(tmp_path, mqtt_sink(1883) + EVERYTHING)
    data = tomllib.loads(path.read_text())
    assert lines_of(path, data) == []
    seen = dict.fromkeys(leaves(Config), 0)
    for at in seen:
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in at)
        for value in WRONG:
            lines = lines_of(path, with_value(data, at, value))
            seen[at] += len(lines)
            assert len(lines) <= 1, lines
            for line in lines:
                assert re.match(rf"{re.escape(str(path))}(:\d+)?: {re.escape(key)}[.:]", line), line
                assert not re.search(r"should|valid|instance|pydantic|literal\[|constrained|\n", line), line
                assert len(line) < 400 + len(str(path)), line
    assert min(seen.values()) > 0, [at for at, count in seen.items() if not count]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('device = "24a160fffe000101"', 'device = "24A1"', "bay.1.device: '24A1' will not do: write an EUI-64"),
        ("[[kiosk]]", "[kiosk]", "kiosk: write it as a table, [[kiosk]] and its keys in lines below"),
        ('[site]\nid = "lab"', 'site = 3\n[sites]\nid = "lab"', "site: 3 will not do: write it as a table, [site]"),
        ("trusted = true", 'trusted = "perhaps"', "clock.trusted: 'perhaps' will not do: write true or false"),
        ("port = 1883", "port = 0", "sink.1.port: 0 will not do: write 1 or more"),
        ('version = "5"', "version = 5", "sink.1.version: 5 will not do: write '5' or '3.1.1'"),
        ('kind = "mqtt"', 'kind = "http"', "sink.1.kind: 'http' will not do: write 'mqtt'"),
        ('id = "lab"', 'id = "Lab 1"', "site.id: 'Lab 1' will not do: write small letters, digits and -"),
        ("[coap]", "[coaps]", "coaps: is not a key here; did you mean 'coap'?"),
    ],
)
def test_a_fault_is_one_line_with_its_place_the_value_and_what_to_write(tmp_path, old, new, expected):
    path = changed(tmp_path, old, new)
    lines = [line for line in error_of(path).splitlines() if "sites" not in line]
    assert len(lines) == 1
    assert re.match(rf"{re.escape(str(path))}(:\d+)?: {re.escape(expected)}", lines[0]), lines[0]


def test_a_list_of_concentrators_with_a_wrong_one_names_that_one(tmp_path):
    message = error_of(site_file(tmp_path, '[semtech_udp]\ngateways = ["00000000000000a1", "A2"]\n'))
    assert message.count("\n") == 0
    assert "semtech_udp.gateways: ['00000000000000a1', 'A2'] will not do: 'A2' is no EUI-64" in message
    message = error_of(site_file(tmp_path, '[semtech_udp]\ngateways = "all"\n'))
    assert "semtech_udp.gateways: 'all' will not do: write \"any\", or a list" in message


@pytest.mark.parametrize(
    ("coap", "own", "is_refused"),
    [
        ("127.0.0.1:1700", "127.0.0.1:1700", True),
        ("0.0.0.0:1700", "127.0.0.1:1700", True),
        ("[::]:1700", "127.0.0.1:1700", True),
        ("0.0.0.0:1700", "[::1]:1700", False),
        ("127.0.0.2:1700", "127.0.0.1:1700", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_coap_and_packet_forwarders_cannot_share_a_port(tmp_path, coap, own, is_refused):
    path = site_file(tmp_path, f'[semtech_udp]\nlisten = "{own}"\ngateways = "any"\n')
    path.write_text(path.read_text().replace('coap = "127.0.0.1:0"', f'coap = "{coap}"'))
    if not is_refused:
        load(path)
        return
    line = path.read_text().splitlines().index(f'listen = "{own}"') + 1
    assert error_of(path) == f"{path}:{line}: semtech_udp.listen: {own!r} is listen.coap's port, too; use another"


def test_two_of_the_gateways_own_files_cannot_have_one_name(tmp_path):
    path = site_file(tmp_path, f'[registry]\nkey_file = "{tmp_path}/x/../journal.sqlite"\n')
    assert "registry.key_file: " in error_of(path) and "is journal.path's; name another place" in error_of(path)
    assert "is gateway.json's" in error_of(site_file(tmp_path), f"journal.path={tmp_path}/gateway.json")
    assert "is control.sock's" in error_of(site_file(tmp_path), f"registry.records={tmp_path}/control.sock")


def test_an_override_of_a_sink_where_the_file_has_none_such_is_refused(tmp_path):
    path = site_file(tmp_path)
    path.write_text('sink = "city"\n' + path.read_text())
    assert "there is no sink 'city'" in error_of(path, "sink.city.port=1")


def test_a_file_nested_too_deep_or_without_an_end_is_one_line(tmp_path):
    deep = tmp_path / "deep.toml"
    deep.write_text("a = " + "[" * 5000)
    assert "too deep" in error_of(deep)
    assert "no site file" in error_of(Path("/dev/zero"))
