"""The site file: slips of whoever writes one, each named with its line, its value and what to write instead."""

from pathlib import Path

import pytest
from gateway_support import mqtt_sink, site_file
from typer.testing import CliRunner

from pave_gateway.cli_app import app
from pave_gateway.config import ConfigError, load, parse_endpoint
from pave_gateway.config_endpoint import endpoint

TECHNICIAN = '[[registry.technician]]\nname = "Jeanne"\nkey = "{}"\n'
RFC_8032_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # 7.1, test 1


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return site_file(tmp_path, mqtt_sink(1883))


def faults(site: Path, *slips: tuple[str, str]) -> list[str]:
    """Return what is said of the file once each old text is the new one, by line, without its name."""
    text = site.read_text(encoding="utf-8")
    for old, new in slips:
        assert old in text
        text = text.replace(old, new, 1)
    site.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(site)
    return str(caught.value).replace(f"{site}:", "").splitlines()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("port = 1883", "port = true", "sink.1.port: true will not do: write a whole number"),
        ("port = 1883", 'port = "1883"', "sink.1.port: '1883' will not do: write a whole number, without quotes"),
        ("port = 1883", "port = 1883.0", "sink.1.port: 1883.0 will not do: write a whole number"),
        ("port = 1883", 'port = "many"', "sink.1.port: 'many' will not do: write a whole number"),
        ("port = 1883", "port = inf", "sink.1.port: inf will not do: write a whole number"),
        ("lat = 48.8358", 'lat = "48.8"', "bay.1.lat: '48.8' will not do: write a number, without quotes"),
        ("lat = 48.8358", "lat = true", "bay.1.lat: true will not do: write a number"),
        ("lat = 48.8358", "lat = nan", "bay.1.lat: nan will not do: write a number"),
        ("lon = 2.3858", "lon = -inf", "bay.1.lon: -inf will not do: write a number"),
        ("trusted = true", "trusted = 1", "clock.trusted: 1 will not do: write true or false"),
        ("trusted = true", 'trusted = "true"', "clock.trusted: 'true' will not do: write true or false, without"),
        ('name = "Laboratory"', "name = 5", "site.name: 5 will not do: write a text in quotes"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_one_line_even_where_it_could_be_converted(site, old, new, expected):
    line = site.read_text().splitlines().index(old) + 1
    (said,) = faults(site, (old, new))
    assert said.startswith(f"{line}: {expected}")
    assert said.endswith(", without quotes") == (", without" in expected)


def test_a_whole_number_does_for_degrees(site):
    site.write_text(site.read_text().replace("48.8358", "48"))
    assert load(site).bay[0].lat == 48.0


def test_an_override_is_typed_as_its_key_is_and_nothing_else_is_converted(site):
    config = load(site, ["sink.city.port=7", "coap.insecure=false", "registry.records=x", "site.name=1883"])
    assert (config.sink[0].port, config.coap.insecure, config.site.name) == (7, False, "1883")
    for override in ("sink.city.port=1.5", "sink.city.port=true", "coap.insecure=1", "coap.insecure=yes"):
        with pytest.raises(ConfigError, match="will not do: write"):
            load(site, [override])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "Laboratory"', 'name = "Lab\\u001b[2J"', "site.name: 'Lab\\x1b[2J' will not do: write it without"),
        ('street = "Rue de Bercy"', 'street = "Rue\\nB"', "bay.1.street: 'Rue\\nB' will not do: write it without"),
        ('name = "Gare"', 'name = "\\u202eGare"', "kiosk.1.name: '\\u202eGare' will not do: write it without U+202E"),
        ('name = "Gare"', 'name = "  "', "kiosk.1.name: '  ' will not do: write more than spaces"),
        ('host = "127.0.0.1"', 'host = "a\\tb"', "sink.1.host: 'a\\tb' will not do: write it without U+0009"),
    ],
)  # fmt: skip
def test_a_name_that_would_act_on_a_terminal_or_a_page_is_refused(site, old, new, expected):
    (said,) = faults(site, (old, new))
    assert expected in said


def test_names_in_french_with_its_spaces_are_taken(site):
    site.write_text(site.read_text().replace('"Gare"', '"Gare\u00a0: côté «\u202fSeine\u202f»"'))
    assert load(site).kiosk[0].name == "Gare\u00a0: côté «\u202fSeine\u202f»"


def test_an_ipv6_address_without_brackets_is_not_guessed_at(site):
    (said,) = faults(site, ('coap = "127.0.0.1:0"', 'coap = "::1:15683"'))
    assert "'::1:15683' will not do: write an IPv6 address in brackets, and no other: \"[::1]:15683\"" in said
    for read in (endpoint, parse_endpoint):
        for wrong in ("::1:15683", "[127.0.0.1]:1", "[::1:1", "::1]:1"):
            with pytest.raises(ValueError, match="brackets"):
                read(wrong)
        for wrong in ("::1", "127.0.0.1:+1", "127.0.0.1:1_0", "127.0.0.1:\u0661"):
            with pytest.raises(ValueError, match="write an address and a port"):
                read(wrong)


@pytest.mark.parametrize("topic", ["pave", "pave/{site}/{kind}", "{class}", "{{place}}"])
def test_one_topic_for_the_retained_states_of_all_bays_is_refused(site, topic):
    (said,) = faults(site, ('version = "5"', f'topic = "{topic}"'))
    assert "put {place} into it" in said


def test_a_folder_in_the_place_of_a_file_is_found_by_check_config(site):
    for name in ("journal.sqlite", "keys"):
        (site.parent / name).mkdir()
    (site.parent / "records").write_text("")
    site.write_text(site.read_text().replace("[clock]", f'[registry]\nkey_file = "{site.parent}/keys"\n[clock]'))
    result = CliRunner().invoke(app, ["check-config", "--site", str(site)])
    assert result.exit_code == 2
    journal, keys, records = result.stderr.splitlines()
    assert f"journal.path: '{site.parent}/journal.sqlite' is a folder; name a file, such as \"{site.parent}" in journal
    assert f"registry.key_file: '{site.parent}/keys' is a folder; name a file" in keys
    assert f"registry.records: '{site.parent}/records' is a file, and has to be a folder" in records
    load(site)  # on another machine they may be what they should


def test_a_byte_order_mark_is_passed_over_and_other_encodings_are_named(site):
    text = site.read_text(encoding="utf-8")
    site.write_text(text, encoding="utf-8-sig")
    assert load(site).site.id == "lab"
    site.write_text(text, encoding="utf-16")
    with pytest.raises(ConfigError, match="have your editor save it as UTF-8"):
        load(site)


def test_faults_between_keys_are_told_beside_those_of_single_keys(site):
    said = faults(
        site,
        ("port = 1883", "port = 0"),
        ('device = "24a160fffe000102"', 'device = "24a160fffe000101"'),
        ('[[sink]]\nname = "city"', '[chirpstack]\nhost = "h"\n[things_stack]\nhost = "t"\n[[sink]]\nname = "city"'),
        ("[clock]", f'[registry]\nkey_file = "{site.parent}/journal.sqlite"\n[lorawan]\nrx_delay_s = 1\n[clock]'),
    )
    for expected in (
        "sink.1.port: 0 will not do: write 1 or more",
        "chirpstack.client_id: is missing; add it",
        "things_stack.application: is missing; add it",
        "[chirpstack] and [things_stack]: a device belongs to one network; keep one of them",
        "bay.2.device: '24a160fffe000101' is already used at",
        "is journal.path's; name another place",
        "lorawan: nothing brings its frames",
    ):
        assert sum(expected in line for line in said) == 1, (expected, said)
    assert len(said) == 7


def test_one_key_of_two_technicians_is_refused(site):
    text = site.read_text().replace("[clock]", TECHNICIAN.format(RFC_8032_KEY) * 2 + "[clock]")
    site.write_text(text)
    with pytest.raises(ConfigError, match=r"registry\.technician\.2\.key: .* is already used at"):
        load(site)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("lat = 48.8358", "latt = 48.8358", "bay.1.latt: is not a key here; did you mean 'lat'?"),
        ("[journal]", "[jornal]", "jornal: is not a key here; did you mean 'journal'?"),
        ('id = "lab"', 'idd = "lab"', "site.idd: is not a key here; did you mean 'id'?"),
    ],
)
def test_a_misspelt_required_key_is_one_fault(site, old, new, expected):
    (said,) = faults(site, (old, new))
    assert expected in said


def test_a_required_key_that_is_missing_is_told_beside_one_that_is_like_none(site):
    said = faults(site, ("lat = 48.8358", "height = 3"))
    assert [line.partition(": ")[2] for line in said] == [
        "bay.1.lat: is missing; add it",
        "bay.1.height: is not a key here; known: id, kind, street, lat, lon, device",
    ]
