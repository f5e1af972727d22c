"""The contract between Pavé's devices and its gateway: bytes in, values out, and back.

No sockets, no clock, no `machine`: the same files run under MicroPython on the device and under CPython on the gateway.
Each module can be imported alone, so a device loads only what it speaks.
"""
