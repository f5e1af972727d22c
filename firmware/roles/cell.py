"""The cell of a board: its voltage, measured through the divider that is connected for that only."""

import machine

from drivers import battery


def read_mv(board):
    """Return the voltage in mV; measure it before the radio draws, or it is the loaded one."""
    adc = machine.ADC(machine.Pin(board.BATTERY), atten=machine.ADC.ATTN_11DB)
    cell = battery.Battery(adc, machine.Pin(board.BATTERY_SWITCH, machine.Pin.OUT, value=0))
    cell.connect()
    machine.lightsleep(battery.SETTLE_MS)
    mv = cell.read_mv()
    cell.disconnect()
    return mv
