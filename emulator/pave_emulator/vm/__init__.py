"""The MicroPython side: a process per running device, forked from a zygote, and the channel to it."""
