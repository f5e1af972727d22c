"""Modules for the MicroPython VM. On the host only `_emu_ops` is imported from here."""
