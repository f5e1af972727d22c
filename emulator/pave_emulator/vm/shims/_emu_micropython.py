"""`micropython` as on the port: an exception buffer for interrupts, and no statistics of memory."""

import _emu_rpc as rpc
import micropython as vm

RingIO = vm.RingIO
const = vm.const
heap_lock = vm.heap_lock
heap_unlock = vm.heap_unlock
kbd_intr = vm.kbd_intr
mem_info = vm.mem_info
opt_level = vm.opt_level
qstr_info = vm.qstr_info
stack_use = vm.stack_use


def alloc_emergency_exception_buf(size):
    """The VM here always has memory for an exception."""


def schedule(function, argument):
    """As the port's: what is scheduled while something scheduled runs waits until that has ended."""
    if not rpc.serving():
        vm.schedule(function, argument)
    elif not rpc.schedule(function, argument):
        raise RuntimeError("schedule queue full")
