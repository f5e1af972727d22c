"""What code costs on an ESP32-S3, in time and in current. What flash costs in time is `flash.timing`.

Each field says where its value comes from and how far to trust it: DATASHEET (a printed table), MEASURED (somebody's
instrument, on the hardware named), DERIVED (arithmetic on such figures, shown), ESTIMATE (nothing printed was found).
Fields are in SI units, named in their last part: `_s` seconds, `_a` amperes. Times of code are at 240 MHz; `cpu_s`
scales them. Currents are the chip's at 3.3 V and 25 C.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DATASHEET, MEASURED, DERIVED, ESTIMATE = "datasheet", "measured", "derived", "estimate"
REFERENCE_MHZ = 240
BYTECODES_PER_PYSTONE = 498  # counted with CPython's opcode trace on MicroPython's tests/perf_bench/misc_pystone.py

_S3 = "ESP32-S3 Series Datasheet v2.2, "
_SLEEP = _S3 + "table 5-10"
_BUSY = _S3 + "table 5-9, one core on 32-bit data, other idle, all peripheral clocks on"
_WAITI = _S3 + "table 5-9, WAITI, peripheral clocks off"
_RF = _S3 + "table 5-7, peak"
_BOOT = "glenn20/upy-esp32-experiments, OptimisingMicropythonBootTime: FeatherS3 (ESP32-S3, 240 MHz), Nordic PPK2, "
_WIFI = "glenn20/upy-esp32-experiments, ESPNowvsWifiEnergyUsage: ESP32 (not S3), Nordic PPK2, "
_FLASH = (  # the S3's own file has zeros; like the ESP32 it has a second core to stop
    "esp-idf components/idf_test/include/esp32/idf_performance_target.h, thresholds at 70 % of measurements; ESP32, "
)


def _cited(value: float, basis: str, source: str) -> Any:
    return field(default=value, metadata={"basis": basis, "source": source})


@dataclass(frozen=True)
class Costs:
    """Constants of virtual time and energy; another set is made with `dataclasses.replace`."""

    # Currents, A
    active_40_a: float = _cited(21.8e-3, DATASHEET, _BUSY)
    active_80_a: float = _cited(42.6e-3, DATASHEET, _BUSY)
    active_160_a: float = _cited(54.6e-3, DATASHEET, _BUSY)
    active_240_a: float = _cited(65.9e-3, DATASHEET, _BUSY + " (measured on a FeatherS3: 67 mA)")
    idle_40_a: float = _cited(13.2e-3, DATASHEET, _WAITI)
    idle_80_a: float = _cited(22.0e-3, DATASHEET, _WAITI)
    idle_160_a: float = _cited(27.6e-3, DATASHEET, _WAITI)
    idle_240_a: float = _cited(32.9e-3, DATASHEET, _WAITI)
    boot_a: float = _cited(36e-3, DERIVED, _BOOT + "1.7 mC in 47.0 ms before app_main")
    light_sleep_a: float = _cited(240e-6, DATASHEET, _SLEEP + ", VDD_SPI and Wi-Fi off")
    deep_sleep_rtc_a: float = _cited(8e-6, DATASHEET, _SLEEP + ", RTC memory and peripherals on (ext0, pulls, hold)")
    wifi_tx_n_a: float = _cited(283e-3, DATASHEET, _RF + ", 802.11n HT20 MCS7 at 18.5 dBm")
    wifi_rx_a: float = _cited(88e-3, DATASHEET, _RF + ", RX HT20, CPU idle")
    wifi_connect_a: float = _cited(146e-3, DERIVED, _WIFI + "(100.2 - 3.3) mC / (734 - 70) ms, static address")

    # Boot, s
    boot_s: float = _cited(47.0e-3, MEASURED, _BOOT + "wake to app_main, image not validated (deep sleep)")
    validate_s: float = _cited(217e-3, MEASURED, _BOOT + "image validation; every boot but those from deep sleep")
    nvs_init_s: float = _cited(7.8e-3, MEASURED, _BOOT + "nvs_flash_init()")
    vm_start_s: float = _cited(0.8e-3, MEASURED, _BOOT + "app_main to _boot.py")
    mount_s: float = _cited(340e-3, MEASURED, _BOOT + "_boot.py to main.py (16 MB flash), 350 ms less a sleep of 10 ms")

    # Code, s
    bytecode_s: float = _cited(
        1 / (1602 * BYTECODES_PER_PYSTONE),
        DERIVED,
        "micropython issue 6565: 1,602 pystones/s on ESP32 at 240 MHz (v1.12); 498 bytecodes per pystone, counted",
    )
    call_s: float = _cited(5e-6, ESTIMATE, "a method of `machine` or `time`: four bytecodes and a C function")
    flash_read_s: float = _cited(
        79e-6, DERIVED, _FLASH + "4-byte reads: 4 B / (35,200 B/s / 0.7), less the bytes' own time"
    )
    flash_read_byte_s: float = _cited(
        125e-9, DERIVED, _FLASH + "2 KB reads: 0.7 / 6,650 kB/s less 79 us; and 60 ns for LittleFS's CRC-32 (ESTIMATE)"
    )
    gc_64kib_s: float = _cited(
        2.0e-3, MEASURED, "peterhinch/micropython-micro-gui issue 10: 2.01 ms, ESP32 without SPI RAM, whole heap"
    )
    gc_psram_live_64kib_s: float = _cited(
        33e-3, DERIVED, "micropython PR 10235: 22 ms with 43 kB live, ESP32-S3 with 2 MB SPI RAM; scaled to 64 KiB"
    )
    aes_block_s: float = _cited(2.0e-6, DERIVED, "CycloneCRYPTO issue 8: 8 MB/s, ESP32-S3 AES peripheral, block mode")
    sha256_s: float = _cited(
        80e-6, MEASURED, "arduino-esp32 issue 6819: one short message, mbedTLS with hardware, ESP32, core 2.0.3"
    )

    # Buses, s
    i2c_transaction_s: float = _cited(60e-6, ESTIMATE, "interrupt-driven driver: as SPI's, plus task switches")
    spi_transaction_s: float = _cited(
        26e-6,
        DATASHEET,
        "ESP-IDF Programming Guide, SPI Master Driver, Transaction Duration (interrupt, DMA, S3)",
    )

    def active_a(self, mhz: int) -> float:
        """Current while a core runs at `mhz` (40, 80, 160, 240), A. Raise ValueError for others."""
        return self._at("active", mhz)

    def idle_a(self, mhz: int) -> float:
        """Current while both cores wait for an interrupt, A."""
        return self._at("idle", mhz)

    def cpu_s(self, seconds: float, mhz: int) -> float:
        """What `seconds` of code at 240 MHz take at `mhz`."""
        return seconds * REFERENCE_MHZ / mhz

    def wake_s(self) -> float:
        """From a deep-sleep wake to the first line of boot.py, s."""
        return self.boot_s + self.nvs_init_s + self.vm_start_s + self.mount_s

    def cold_boot_s(self) -> float:
        """From power-on, hard or watchdog reset to the first line of boot.py, s."""
        return self.wake_s() + self.validate_s

    def i2c_s(self, bytes_on_bus: int, hz: int) -> float:
        """One I2C transaction, address bytes counted: 9 bits a byte, START and STOP (UM10204 3.1)."""
        return self.i2c_transaction_s + (9 * bytes_on_bus + 2) / hz

    def spi_s(self, size: int, hz: int) -> float:
        """One SPI transfer of `size` bytes."""
        return self.spi_transaction_s + 8 * size / hz

    def _at(self, mode: str, mhz: int) -> float:
        current = getattr(self, f"{mode}_{mhz}_a", None)
        if current is None:
            raise ValueError(f"{mhz} MHz: the datasheet's table 5-9 has 40, 80, 160 and 240 MHz")
        return current
