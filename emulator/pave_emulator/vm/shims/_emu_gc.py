"""`gc`: the VM's own. A collection that the firmware asks for takes the chip's time; those the VM starts do not."""

import gc as vm_gc

import _emu_rpc as rpc

disable = vm_gc.disable
enable = vm_gc.enable
isenabled = vm_gc.isenabled
mem_alloc = vm_gc.mem_alloc
mem_free = vm_gc.mem_free
threshold = vm_gc.threshold

_HOST_SCALE = 2  # objects are twice the size here


def collect():
    freed = vm_gc.collect()
    costs = rpc.hello["costs"]
    if rpc.hello["psram"]:
        rpc.spend((vm_gc.mem_alloc() >> 10) * costs["gc_psram_us_per_kib"] // _HOST_SCALE)
    else:
        rpc.spend((vm_gc.mem_alloc() + vm_gc.mem_free() >> 10) * costs["gc_us_per_kib"] // _HOST_SCALE)
    return freed
