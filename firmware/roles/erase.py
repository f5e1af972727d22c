"""Forgetting for good: a factory reset, and an erasing of everything secret.

A factory reset takes the settings back to those as flashed, and forgets baseline, crash and log. Keys stay, with their
counters, and the epoch: the device goes on speaking to its gateway, under no nonce and no identity that it has used.

Erasing is for a device that leaves the site. NVS only marks what is replaced or erased, the bytes stay in flash; so
the partition is erased, page by page, beneath it: keys with their counters, sessions, Wi-Fi of the shadow, settings.
Without keys the device says nothing until it is provisioned anew, under keys that nobody has used. Whatever touched NVS
after that would write what it remembers; so the device starts anew at once, and Wi-Fi, which has values there, is off.

    a cut of power            leaves                               the next start
    ------------------------  -----------------------------------  -----------------------------------------
    before the mark           everything, and the request, in NVS  erases everything
    after it                  the mark, in `data`, and any part    erases everything
    after the mark is erased  nothing                              has no keys

What it cannot erase: the Wi-Fi passphrase as flashed. It is in /config.json, and `vfs` is written only by updates;
rotate it at the access point when a device is lost.
"""

import machine
from esp32 import Partition

MARK = b"pave: erase all\n"
_ERASE_BLOCK = 6  # of ioctl (MicroPython, reference/filesystem: block device interface)
_BLOCKS = 4
_BLOCK_BYTES = 5


def factory_reset(persistent, settings):
    """Forget settings, baseline and crash; the caller starts the device anew."""
    settings.forget()
    persistent.forget("baseline", "crash")
    machine.RTC().memory(b"")


def is_asked_for(persistent):
    """Return whether an erasing was asked for, or begun, and has not ended."""
    if persistent.number("erase") is not None:
        return True
    data = _partition("data")
    if data is None:
        return False
    head = bytearray(len(MARK))
    data.readblocks(0, head, 0)
    return head == MARK


def erase_all(feed):
    """Erase NVS, `data` and RTC memory, and start anew; never returns. `feed` is called between blocks."""
    data = _partition("data")
    if data is not None:
        block = bytearray(data.ioctl(_BLOCK_BYTES, 0))
        block[: len(MARK)] = MARK
        data.writeblocks(0, block)
    _erase(_partition("nvs"), 0, feed)
    machine.RTC().memory(b"")
    if data is not None:
        _erase(data, 1, feed)
        data.ioctl(_ERASE_BLOCK, 0)
    machine.reset()


def _erase(partition, first, feed):
    """Erase the blocks from `first` on that are not erased."""
    block = bytearray(partition.ioctl(_BLOCK_BYTES, 0))
    blank = b"\xff" * len(block)
    for number in range(first, partition.ioctl(_BLOCKS, 0)):
        partition.readblocks(number, block)
        if block != blank:
            partition.ioctl(_ERASE_BLOCK, number)
        feed()


def _partition(label):
    found = Partition.find(Partition.TYPE_DATA, label=label)
    return found[0] if found else None
