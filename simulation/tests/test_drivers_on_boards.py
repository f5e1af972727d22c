"""Our drivers, compiled as they ship, on the chips of the emulated boards: two readings of the same datasheets."""

from pathlib import Path

from pave_emulator.faults import FleetFaults

from .driver_bench import EARTH_UT, Bench, play

PRESENCE, KIOSK = "pave-presence-v1", "pave-kiosk-v1"
UT_PER_LSB = 0.15


def test_the_magnetometer_measures_watches_tests_itself_and_resets(tmp_path: Path) -> None:
    main = """
    from drivers.lis2mdl_service import *
    interrupt = Pin(board.MAGNETOMETER_INT, Pin.IN)
    chip = LIS2MDLService(i2c, board.MAGNETOMETER_ADDRESS)
    chip.start()
    time.sleep_ms(150)
    field = chip.read_field()
    print("field", field)
    chip.arm(field, 27)
    time.sleep_ms(300)
    print("quiet", interrupt.value(), chip.is_started())
    chip.arm((field[0] + 100, field[1], field[2] - 100), 27)
    time.sleep_ms(150)
    print("woken", interrupt.value())
    source = chip.read_source()
    print("source 0x%02x" % source)
    chip.write_offsets((0, 0, 0))
    chip.configure(SINGLE, low_power=False)
    until(chip.is_ready, SINGLE_MAX_MS)
    print("single", chip.read_nanotesla())
    print("degrees", chip.read_millicelsius() / 1000)
    test = SelfTest(chip)
    differences = until(test.poll, SELF_TEST_MAX_MS)
    print("coil", passed(differences), differences)
    chip.start()
    chip.reboot()
    time.sleep_ms(BOOT_MS)
    chip.start()
    print("rebooted", chip.is_started())
    chip.soft_reset()
    print("reset", chip.is_started())
    """

    async def script(bench: Bench) -> None:
        field = [int(count) * UT_PER_LSB for count in (await bench.line("field"))[1:-1].split(",")]
        length = sum(axis**2 for axis in field) ** 0.5
        assert abs(length - sum(axis**2 for axis in EARTH_UT) ** 0.5) < 3
        assert await bench.line("quiet") == "0 True"
        assert await bench.line("woken") == "1"
        assert await bench.line("source") == "0x31"  # Z above, X below, INT
        single = [int(nt) / 1000 for nt in (await bench.line("single"))[1:-1].split(",")]
        assert all(abs(one - other) < 3 for one, other in zip(single, field, strict=True))
        assert -40 <= float(await bench.line("degrees")) <= 85
        assert (await bench.line("coil")).startswith("True")
        assert await bench.line("rebooted") == "True"
        assert await bench.line("reset") == "False"

    play(tmp_path, PRESENCE, main, script)


def test_the_radar_wakes_calibrates_measures_and_sleeps(tmp_path: Path) -> None:
    main = """
    from drivers.xm125 import *
    supply = Pin(board.RADAR_SUPPLY, Pin.OUT, value=0)
    radar = XM125(i2c, Pin(board.RADAR_WAKE, Pin.OUT, value=0), Pin(board.RADAR_INT, Pin.IN), board.RADAR_ADDRESS)
    print("off", error(radar.check))
    supply.value(1)
    radar.wake()
    until(radar.is_awake, WAKE_MAX_MS)
    print("version", radar.check(), radar.is_configured())
    radar.configure(start_mm=200, end_mm=1500)
    radar.start_calibration()
    print("busy", error(radar.start_measurement))
    until(radar.poll, CALIBRATE_MAX_MS)
    print("ready", radar.is_configured(), radar.read_measure_counter())
    radar.start_measurement()
    until(radar.poll, MEASURE_MAX_MS)
    print("result", radar.read_result(), radar.read_measure_counter(), radar.read_protocol_errors())
    radar.sleep()
    until(lambda: not radar.is_awake(), 100)
    print("asleep", error(radar.poll))
    radar.wake()
    until(radar.is_awake, WAKE_MAX_MS)
    print("kept", radar.is_configured())
    radar.reset()
    time.sleep_ms(5)
    until(radar.is_awake, WAKE_MAX_MS)
    print("forgotten", radar.is_configured())
    """

    async def script(bench: Bench) -> None:
        off = await bench.line("off")
        assert off.startswith("16 ") and "MCU_INT" in off
        version = await bench.line("version")
        assert version.startswith("(1, ") and version.endswith("False")
        assert (await bench.line("busy")).startswith("16 ")
        assert await bench.line("ready") == "True 0"
        near, needed, celsius, *_ = (await bench.line("result"))[1:].split(", ")
        assert (near, needed) == ("False", "False") and -40 <= int(celsius) <= 105
        assert (await bench.line("result")).endswith(") 1 []")
        assert (await bench.line("asleep")).startswith("16 ")
        assert await bench.line("kept") == "True"
        assert await bench.line("forgotten") == "False"

    play(tmp_path, PRESENCE, main, script)


def test_the_cell_is_measured_behind_its_switch(tmp_path: Path) -> None:
    main = """
    from drivers.battery import *
    battery = Battery(ADC(Pin(board.BATTERY), atten=ADC.ATTN_11DB), Pin(board.BATTERY_SWITCH, Pin.OUT, value=0))
    print("off", battery.read_mv())
    battery.connect()
    time.sleep_ms(SETTLE_MS)
    print("cell", battery.read_mv())
    battery.disconnect()
    """

    async def script(bench: Bench) -> None:
        assert int(await bench.line("off")) < 300
        assert 3300 < int(await bench.line("cell")) < 3800

    play(tmp_path, PRESENCE, main, script)


def test_absent_chips_and_a_held_bus_are_told_apart_and_by_name(tmp_path: Path) -> None:
    main = """
    from drivers.lis2mdl import LIS2MDL
    from drivers.sht3x import SHT3x
    from drivers.bh1750 import BH1750
    chip = LIS2MDL(i2c)
    print("wrong", error(LIS2MDL(i2c, 0x1D).start))
    print("climate", error(SHT3x(i2c).start))
    print("light", error(BH1750(i2c).start))
    print("there", error(chip.start))
    print("now")
    time.sleep_ms(500)
    print("held", error(chip.read_field))
    time.sleep_ms(2000)
    print("again", error(chip.read_field))
    """

    async def script(bench: Bench) -> None:
        for start, named in (("wrong", "LIS2MDL at 0x1d"), ("climate", "SHT3x at 0x44"), ("light", "BH1750 at 0x23")):
            told = await bench.line(start)
            assert told.startswith("19 ") and named in told and "check" in told
        assert await bench.line("there") == "none"
        await bench.line("now")
        FleetFaults(bench.fleet).stuck_bus("dut", "i2c0", 2.0)
        held = await bench.line("held")
        assert held.startswith(("116 ", "110 ")) and "LIS2MDL at 0x1e" in held
        assert await bench.line("again") == "none"

    play(tmp_path, PRESENCE, main, script)


def test_climate_and_light_of_a_kiosk(tmp_path: Path) -> None:
    main = """
    from drivers import bh1750, sht3x
    climate = sht3x.SHT3x(i2c, board.CLIMATE_ADDRESS)
    print("born 0x%04x" % climate.read_status())
    time.sleep_ms(1)
    climate.clear_status()
    time.sleep_ms(1)
    climate.start()
    print("early", climate.poll())
    print("climate", until(climate.poll, sht3x.MEASURE_MAX_MS))
    climate.set_heater(True)
    time.sleep_ms(1)
    print("heater 0x%04x" % climate.read_status())
    time.sleep_ms(1)
    climate.set_heater(False)
    time.sleep_ms(1)
    climate.start_periodic(100)
    time.sleep_ms(150)
    climate.fetch()
    print("periodic", climate.poll() is not None)
    climate.stop_periodic()
    time.sleep_ms(1)
    climate.soft_reset()
    time.sleep_ms(sht3x.RESET_MAX_MS)
    print("reset 0x%04x" % climate.read_status())

    light = bh1750.BH1750(i2c, board.LIGHT_ADDRESS)
    for mode in (bh1750.ONE_TIME_HIGH, bh1750.ONE_TIME_HIGH2, bh1750.ONE_TIME_LOW):
        light.start(mode)
        time.sleep_ms(light.measure_max_ms())
        print("light%x" % mode, light.read_millilux())
    light.set_sensitivity(138)
    light.start(bh1750.CONTINUOUS_HIGH)
    time.sleep_ms(light.measure_max_ms())
    print("longer", light.read_millilux())
    light.reset_result()
    print("cleared", light.read_counts())
    """

    async def script(bench: Bench) -> None:
        assert int(await bench.line("born"), 16) & 0x0010
        assert await bench.line("early") == "None"
        celsius, humidity = (int(value) / 1000 for value in (await bench.line("climate"))[1:-1].split(","))
        assert -30 < celsius < 60 and 0 <= humidity <= 100
        assert int(await bench.line("heater"), 16) & 0x2000
        assert await bench.line("periodic") == "True"
        assert int(await bench.line("reset"), 16) & 0x2010 == 0x0010
        lux = [int(await bench.line(start)) / 1000 for start in ("light20", "light21", "light23", "longer")]
        assert max(lux) - min(lux) <= 8 + 0.05 * max(lux)
        assert await bench.line("cleared") == "0"

    play(tmp_path, KIOSK, main, script)


def test_fan_backlight_relay_and_inputs_of_a_kiosk(tmp_path: Path) -> None:
    main = """
    from esp32 import PCNT
    from drivers import backlight, debounced_input, fan, led, line_heartbeat, relay
    counter = PCNT(0, pin=Pin(board.FAN_TACH, Pin.IN), falling=PCNT.INCREMENT)
    blower = fan.Fan(PWM(Pin(board.FAN_PWM), freq=fan.PWM_HZ, duty_u16=65535), counter)
    light = backlight.Backlight(PWM(Pin(board.LCD_BACKLIGHT), freq=backlight.PWM_HZ, duty_u16=0))
    def turns(percent):
        blower.set_percent(percent)
        time.sleep_ms(6000)
        blower.rpm(time.ticks_ms())
        time.sleep_ms(2000)
        return blower.rpm(time.ticks_ms())
    print("full", turns(100))
    print("half", turns(50))
    light.set_percent(50)
    print("lit")
    pc = relay.Relay(Pin(board.PC_RELAY, Pin.OUT, value=0), normally_closed=True)
    print("powered", pc.is_closed())
    pc.open()
    time.sleep_ms(relay.OPERATE_MAX_MS)
    print("cut", pc.is_closed())
    pc.close()
    lid = debounced_input.DebouncedInput(Pin(board.TAMPER, Pin.IN), active=1, settle_ms=50)
    print("lid", lid.update(time.ticks_ms()), lid.is_active)
    until(lambda: lid.update(time.ticks_ms()), 5000)
    print("opened", lid.is_active)
    beat = line_heartbeat.LineHeartbeat(UART(1, 115200, tx=board.PC_TX, rx=board.PC_RX, timeout=0), time.ticks_ms())
    print("listening")
    until(lambda: beat.update(time.ticks_ms()), 5000)
    print("alive", beat.beats)
    lamp = led.Led(Pin(board.LED, Pin.OUT, value=0))
    lamp.show((100, 100), time.ticks_ms())
    print("lamp", Pin(board.LED).value(), 0 < lamp.update(time.ticks_ms()) <= 100)
    """

    async def script(bench: Bench) -> None:
        full, half = int(await bench.line("full")), int(await bench.line("half"))
        assert 1500 < full < 3500 and 0.45 < half / full < 0.55
        await bench.line("lit")
        assert await bench.line("powered") == "True"
        assert await bench.line("cut") == "False"
        assert await bench.line("lid") == "False False"
        bench.device.set_input("tamper", True)
        assert await bench.line("opened") == "True"
        await bench.line("listening")
        bench.device.uart(1).feed(b"boot...\nalive\n")
        assert await bench.line("alive") == "1"
        assert await bench.line("lamp") == "1 True"

    play(tmp_path, KIOSK, main, script)
