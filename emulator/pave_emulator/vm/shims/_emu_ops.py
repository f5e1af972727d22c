"""The calls a VM makes to its host: one table, imported by both sides.

Theory of operation. The VM sends `<BH` (operation, length) and a body; the host answers `<iH` (status, length) and a
body. A VM has at most one call outstanding, so nothing is numbered. Bodies are the fixed fields of TABLE followed by
a tail of bytes. Status 0 is success, above 0 an errno of the ESP32 port, below 0 an `esp_err_t`: both become OSError
in the VM. Some calls (SLEEP, POLL, SOCK_RECV) are answered late, some (IDLE, DEEPSLEEP, RESET) never.
"""

REQUEST_HEADER = "<BH"
REPLY_HEADER = "<iH"
REQUEST_HEADER_BYTES = 3
REPLY_HEADER_BYTES = 6
MAX_BODY_BYTES = 65535

HELLO = 1
IDLE = 2
SLEEP = 3
POLL = 4
RESET = 5
DEEPSLEEP = 6
LIGHTSLEEP = 7
WDT = 8
SET_CLOCK = 9
RTC_READ = 10
RTC_WRITE = 11
WAKE_EXT0 = 12
WAKE_EXT1 = 13
PIN_MODE = 14
PIN_GET = 15
PIN_SET = 16
I2C_INIT = 17
I2C = 18
FLASH_ERASE = 19
FLASH_PROGRAM = 20
NVS_OPEN = 21
NVS_GET_I32 = 22
NVS_SET_I32 = 23
NVS_GET_BLOB = 24
NVS_SET_BLOB = 25
NVS_ERASE = 26
NVS_COMMIT = 27
WLAN_ACTIVE = 28
WLAN_CONNECT = 29
WLAN_DISCONNECT = 30
WLAN_STATUS = 31
WLAN_IFCONFIG = 32
SOCK_OPEN = 33
SOCK_BIND = 34
SOCK_CONNECT = 35
SOCK_SEND = 36
SOCK_RECV = 37
SOCK_CLOSE = 38
RESOLVE = 39

# operation: (name, fields of the request, fields of the reply); both bodies may go on with a tail.
TABLE = {
    HELLO: ("hello", "<", "<"),  # reply tail: JSON, see device.Device.hello
    IDLE: ("idle", "<", "<"),
    SLEEP: ("sleep", "<Q", "<"),  # microseconds
    POLL: ("poll", "<i", "<"),  # timeout ms, -1 for ever; tail and reply tail: pairs (socket, mask)
    RESET: ("reset", "<B", "<"),  # reset cause to report after it
    DEEPSLEEP: ("deepsleep", "<q", "<"),  # ms, -1 without a timer
    LIGHTSLEEP: ("lightsleep", "<q", "<"),
    WDT: ("wdt", "<I", "<"),  # timeout ms; 0 feeds
    SET_CLOCK: ("set_clock", "<q", "<"),  # microseconds since 2000-01-01
    RTC_READ: ("rtc_read", "<", "<"),
    RTC_WRITE: ("rtc_write", "<", "<"),
    WAKE_EXT0: ("wake_ext0", "<bB", "<"),  # pin or -1, level
    WAKE_EXT1: ("wake_ext1", "<QB", "<"),  # mask of pins, level
    PIN_MODE: ("pin_mode", "<BBb", "<"),  # pin, mode, pull (-1 none)
    PIN_GET: ("pin_get", "<B", "<B"),
    PIN_SET: ("pin_set", "<BB", "<"),
    I2C_INIT: ("i2c_init", "<BBBI", "<"),  # bus, scl, sda, Hz
    I2C: ("i2c", "<BBBH", "<"),  # bus, address, 1 write | 2 read, bytes to read; tail: bytes to write
    FLASH_ERASE: ("flash_erase", "<II", "<"),  # address, bytes
    FLASH_PROGRAM: ("flash_program", "<I", "<"),  # address; tail: bytes
    NVS_OPEN: ("nvs_open", "<", "<B"),  # tail: namespace
    NVS_GET_I32: ("nvs_get_i32", "<B", "<i"),  # handle; tail: key
    NVS_SET_I32: ("nvs_set_i32", "<Bi", "<"),
    NVS_GET_BLOB: ("nvs_get_blob", "<BI", "<"),  # handle, room in bytes; tail: key
    NVS_SET_BLOB: ("nvs_set_blob", "<BB", "<"),  # handle, bytes of the key; tail: key, value
    NVS_ERASE: ("nvs_erase", "<B", "<"),
    NVS_COMMIT: ("nvs_commit", "<B", "<"),
    WLAN_ACTIVE: ("wlan_active", "<b", "<B"),  # -1 asks
    WLAN_CONNECT: ("wlan_connect", "<B", "<"),  # bytes of the SSID; tail: SSID, key
    WLAN_DISCONNECT: ("wlan_disconnect", "<", "<"),
    WLAN_STATUS: ("wlan_status", "<", "<Hb"),  # STAT_*, RSSI dBm
    WLAN_IFCONFIG: ("wlan_ifconfig", "<", "<"),  # reply tail: address, mask, gateway, DNS, separated by spaces
    SOCK_OPEN: ("sock_open", "<", "<B"),
    SOCK_BIND: ("sock_bind", "<BIH", "<"),  # socket, IPv4 address, port
    SOCK_CONNECT: ("sock_connect", "<BIH", "<"),
    SOCK_SEND: ("sock_send", "<BIH", "<"),  # address 0 and port 0: the connected peer; tail: datagram
    SOCK_RECV: ("sock_recv", "<BHi", "<IH"),  # socket, room, timeout ms (-1 for ever, 0 at once); reply tail: datagram
    SOCK_CLOSE: ("sock_close", "<B", "<"),
    RESOLVE: ("resolve", "<", "<I"),  # tail: host name
}

# errno of the ESP32 port (newlib), where it differs from Linux's or is used by the host.
EIO = 5
EBADF = 9
EAGAIN = 11
ENODEV = 19
EINVAL = 22
ENOTCONN = 128
EHOSTUNREACH = 118
ETIMEDOUT = 116
EADDRINUSE = 112
EMFILE = 24
EPROTONOSUPPORT = 123
EAI_FAIL = -202

ESP_ERRORS = {
    -0x102: "ESP_ERR_INVALID_ARG",
    -0x104: "ESP_ERR_INVALID_SIZE",
    -0x1102: "ESP_ERR_NVS_NOT_FOUND",
    -0x1103: "ESP_ERR_NVS_TYPE_MISMATCH",
    -0x1105: "ESP_ERR_NVS_NOT_ENOUGH_SPACE",
    -0x1106: "ESP_ERR_NVS_INVALID_NAME",
    -0x1109: "ESP_ERR_NVS_KEY_TOO_LONG",
    -0x110C: "ESP_ERR_NVS_INVALID_LENGTH",
    -0x110D: "ESP_ERR_NVS_NO_FREE_PAGES",
    -0x110E: "ESP_ERR_NVS_VALUE_TOO_LONG",
}
