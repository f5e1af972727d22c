"""`errno` with the ESP32 port's numbers (newlib); some differ from Linux's.

Known gap: in source that the VM itself compiles, `errno.ETIMEDOUT` is folded to the number of the VM's own build. In
.mpy files from mpy-cross, and with `from errno import ETIMEDOUT`, the number is the board's.
"""

EPERM = 1
ENOENT = 2
EIO = 5
EBADF = 9
EAGAIN = 11
ENOMEM = 12
EACCES = 13
EEXIST = 17
ENODEV = 19
EISDIR = 21
EINVAL = 22
EOPNOTSUPP = 95
ECONNRESET = 104
ENOBUFS = 105
ECONNREFUSED = 111
EADDRINUSE = 112
ECONNABORTED = 113
ETIMEDOUT = 116
EHOSTUNREACH = 118
EINPROGRESS = 119
EALREADY = 120
ENOTCONN = 128

errorcode = {value: name for name, value in globals().items() if name[0] == "E"}
