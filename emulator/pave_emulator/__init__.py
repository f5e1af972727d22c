"""The emulator: unmodified firmware in a real MicroPython VM, on chips, flash and air that live in this process."""
