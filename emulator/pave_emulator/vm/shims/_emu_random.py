"""`random`: the VM's generator; seeding it with nothing takes this device's noise, not the host's."""

import random as vm_random

import _emu_os

choice = vm_random.choice
getrandbits = vm_random.getrandbits
randint = vm_random.randint
random = vm_random.random
randrange = vm_random.randrange
uniform = vm_random.uniform


def seed(value=None):
    vm_random.seed(int.from_bytes(_emu_os.urandom(4), "little") if value is None else value)
