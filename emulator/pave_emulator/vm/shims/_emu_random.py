"""`random`: the VM's generator; seeding it with nothing takes this device's noise, not the host's.

Its names are put here when one of them is looked for: only then is the seed of this boot needed.
"""

import random as vm_random

import _emu_os
import _emu_rpc as rpc

_NAMES = ("choice", "getrandbits", "randint", "random", "randrange", "uniform", "seed")


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"'module' object has no attribute '{name}'")
    owed = rpc.unsettled()
    vm_random.seed(rpc.waking()[2])  # clones of one warm process would all draw the same
    for each in _NAMES:
        globals()[each] = _seed if each == "seed" else getattr(vm_random, each)
    rpc.settle(owed)
    return globals()[name]


def _seed(value=None):
    vm_random.seed(int.from_bytes(_emu_os.urandom(4), "little") if value is None else value)
