"""[lorawan] of the site file: defaults, and what is refused with the value and the fix."""

from typing import Any

import pytest
from pydantic import ValidationError

from pave_gateway.config_lorawan import LorawanConfig
from pave_gateway.core.lorawan.settings import LorawanSettings


def test_an_empty_section_is_the_default_of_the_network_server() -> None:
    assert LorawanConfig().settings(50) == LorawanSettings()


def test_a_private_network_of_its_own_prefix() -> None:
    config = LorawanConfig(net_id="000001", addresses="02a20000/16", channels_hz=(867_100_000,), rx2_data_rate=0)
    made = config.settings(50)
    assert made.addresses == range(0x02A20000, 0x02A30000) and made.channels_hz == (867_100_000, 0, 0, 0, 0)
    assert (made.net_id, made.rx2_data_rate) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"addresses": "2a2/16"}, "such as"),
        ({"addresses": "01a20001/16"}, "such as"),
        ({"channels_hz": (868_650_000,)}, "no sub-band"),
        ({"channels_hz": (868_100_000,)}, "none of the three"),
        ({"channels_hz": (867_100_050,)}, "multiple of 100"),
        ({"net_id": "13"}, "pattern"),
        ({"rx1_dr_offset": 6}, "less than or equal to 5"),
        ({"rx2_data_rate": 8}, "less than or equal to 5"),
        ({"rx_delay": 1}, "Extra inputs"),
    ],
)
def test_a_bad_value_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LorawanConfig(**fields)


def test_addresses_of_another_net_id_and_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="take a part of 26000000/7"):
        LorawanConfig(net_id="000013", addresses="01a20000/16").settings(50)
    with pytest.raises(ValueError, match="shorten the prefix /28"):
        LorawanConfig(addresses="01a20000/28").settings(50)
