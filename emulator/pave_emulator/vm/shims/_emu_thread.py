"""`_thread`: locks, and no second thread. The port has threads; a call to the host belongs to one at a time."""

import _thread as vm_thread

LockType = vm_thread.LockType
allocate_lock = vm_thread.allocate_lock
get_ident = vm_thread.get_ident


def start_new_thread(function, arguments, keywords=None):
    raise RuntimeError("the emulator runs one thread of the firmware")


def stack_size(size=0):
    return 0
