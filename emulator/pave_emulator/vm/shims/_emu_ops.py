"""The calls a VM makes to its host: one table, imported by both sides.

Theory of operation. The VM sends `<BBHQQ` (operation, sequence, length, microseconds spent since the last answer, and
how many of them asleep) and a body; the host answers `<iBBHQQQ` (status, sequence, flags, length, now, quiet until,
alone until) and a body. Times are microseconds since this boot. Until it is no more quiet nothing will happen to the
device that it does not do itself: in virtual time a wait that ends before needs no call, nor does the clock. Until it
is no more alone nothing will interrupt it: before WAKING that is how far the clock is read without asking, as an answer
must not differ by what others do (`vm.checkpoint`). A VM has at most one call open; the sequence tells an answer that
Ctrl-C has made late. Bodies are the fixed fields of TABLE followed by a tail of bytes. Status 0 is success, INTERRUPTED
a wait that ends early so that interrupts are served, above 0 an errno of the ESP32 port, below 0 an `esp_err_t`: both
become OSError in the VM. Some calls (SLEEP, POLL, SOCK_RECV) are answered late, some (IDLE, DEEPSLEEP, RESET) never.
"""

REQUEST_HEADER = "<BBHQQ"
REPLY_HEADER = "<iBBHQQQ"
REQUEST_HEADER_BYTES = 20
REPLY_HEADER_BYTES = 32
MAX_BODY_BYTES = 65535
INTERRUPTED = 0x7FFFFFFF

FLAG_EVENTS = 1  # interrupts wait to be fetched
FLAG_READABLE = 2  # a socket or a UART has something
FLAG_ARMED = 4  # interrupts may come: look at least every millisecond

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
SYNC = 40
EVENTS = 41
REPL = 42
WAKING = 45
ECHO = 90
SPI_INIT = 43
SPI = 44
WLAN_SCAN = 100
WLAN_RECONNECTS = 101
WLAN_CHANNEL = 102
AP_ACTIVE = 103
AP_STATIONS = 104
SOCK_STREAM = 110
SOCK_LISTEN = 111
SOCK_ACCEPT = 112
SOCK_ERROR = 113
LAN_OPEN = 120
LAN_ACTIVE = 121
LAN_STATUS = 122
LAN_IFCONFIG = 123

PIN_IRQ = 60
PIN_TOGGLE = 61
DEEP_SLEEP_HOLD = 62
TIMER = 63
PWM = 64
ADC = 65
UART_OPEN = 66
UART_CLOSE = 67
UART_WRITE = 68
UART_READ = 69
UART_ANY = 70
UART_IRQ = 71
PCNT_CHANNEL = 72
PCNT_LIMITS = 73
PCNT_VALUE = 74
PCNT_RUN = 75
PCNT_IRQ = 76
WAKE_GPIO = 77
TEMPERATURE = 78
OTA_SET_BOOT = 79
OTA_NEXT_UPDATE = 80
OTA_BOOT_PARTITION = 81
OTA_MARK_VALID = 82

EVENT_PIN = 1  # GPIO, level
EVENT_TIMER = 2  # number, 0
EVENT_UART = 3  # port, IRQ_* of machine.UART
EVENT_PCNT = 4  # unit, IRQ_* of esp32.PCNT

# operation: (name, fields of the request, fields of the reply); both bodies may go on with a tail.
TABLE = {
    HELLO: ("hello", "<", "<"),  # reply tail: JSON, see device.Device.hello
    WAKING: ("waking", "<", "<BQI"),  # wake reason, RTC us at the hello, seed of random numbers; tail: wake pins
    IDLE: ("idle", "<", "<"),
    SLEEP: ("sleep", "<Q", "<"),  # microseconds
    POLL: ("poll", "<q", "<"),  # timeout us, -1 for ever; tail and reply tail: pairs (socket, mask)
    RESET: ("reset", "<B", "<"),  # reset cause to report after it
    DEEPSLEEP: ("deepsleep", "<q", "<"),  # ms, -1 without a timer
    LIGHTSLEEP: ("lightsleep", "<q", "<B"),  # reply: wake reason; tail: wake pins, then the clock, `<Q` us since 2000
    WDT: ("wdt", "<I", "<"),  # timeout ms; 0 feeds
    SET_CLOCK: ("set_clock", "<q", "<"),  # microseconds since 2000-01-01
    RTC_READ: ("rtc_read", "<", "<"),
    RTC_WRITE: ("rtc_write", "<", "<"),
    WAKE_EXT0: ("wake_ext0", "<bBB", "<"),  # pin or -1, level, machine.SLEEP | machine.DEEPSLEEP
    WAKE_EXT1: ("wake_ext1", "<QB", "<"),  # mask of pins, level
    PIN_MODE: ("pin_mode", "<BBbb", "<"),  # pin, mode (0 as it is), pull (-1 as it is, 0 none), hold (-1 as it is)
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
    WLAN_CONNECT: ("wlan_connect", "<BB", "<"),  # bytes of the SSID, of the BSSID; tail: SSID, BSSID, key
    WLAN_DISCONNECT: ("wlan_disconnect", "<", "<"),
    WLAN_STATUS: ("wlan_status", "<B", "<Hb"),  # 1 insists on an RSSI; STAT_*, RSSI dBm
    WLAN_IFCONFIG: ("wlan_ifconfig", "<", "<"),  # reply tail: address, mask, gateway, DNS, separated by spaces
    SOCK_OPEN: ("sock_open", "<", "<B"),
    SOCK_BIND: ("sock_bind", "<BIH", "<"),  # socket, IPv4 address, port
    SOCK_CONNECT: ("sock_connect", "<BIH", "<"),
    SOCK_SEND: ("sock_send", "<BIH", "<"),  # port 0: the connected peer; tail: data; a stream's reply tail: `<H` count
    SOCK_RECV: ("sock_recv", "<BHq", "<IH"),  # socket, room, timeout us (-1 for ever, 0 at once); reply tail: datagram
    SOCK_CLOSE: ("sock_close", "<B", "<"),
    RESOLVE: ("resolve", "<", "<I"),  # tail: host name
    SYNC: ("sync", "<", "<"),  # what is the time, and until when is it quiet?
    EVENTS: ("events", "<", "<"),  # reply tail: `<BBi` each: kind EVENT_*, number, value
    SPI_INIT: ("spi_init", "<BbbbIB", "<"),  # bus, SCK, MOSI, MISO (-1 not used), Hz, mode
    SPI: ("spi", "<B", "<"),  # bus; tail: MOSI; reply tail: MISO
    PIN_IRQ: ("pin_irq", "<BB", "<"),  # pin, edges: 1 rising | 2 falling, 0 none
    PIN_TOGGLE: ("pin_toggle", "<B", "<"),
    DEEP_SLEEP_HOLD: ("deep_sleep_hold", "<B", "<"),
    TIMER: ("timer", "<BQB", "<"),  # number (below 4: hardware), period us (0 stops), repeats
    PWM: ("pwm", "<BIIB", "<"),  # pin, Hz (0 ends), duty of 65536, inverted
    ADC: ("adc", "<BB", "<HI"),  # pin, attenuation; steps, uV
    UART_OPEN: ("uart_open", "<BbbIBHH", "<"),  # port, TX, RX, baud, bits of a frame, buffers RX, TX
    UART_CLOSE: ("uart_close", "<B", "<"),
    UART_WRITE: ("uart_write", "<B", "<"),  # port; tail: bytes
    UART_READ: ("uart_read", "<BHII", "<"),  # port, room, us for the first byte and for a next one; reply tail: bytes
    UART_ANY: ("uart_any", "<B", "<HB"),  # bytes to read, everything has been sent
    UART_IRQ: ("uart_irq", "<BH", "<"),  # port, IRQ_* | 0x8000 for whatever comes
    PCNT_CHANNEL: ("pcnt_channel", "<BBbbBBBB", "<"),  # unit, channel, pin, mode pin, rising, falling, low, high
    PCNT_LIMITS: ("pcnt_limits", "<Bhhhh", "<"),  # unit, minimum, maximum, thresholds; clears
    PCNT_VALUE: ("pcnt_value", "<BB", "<h"),  # unit, clear
    PCNT_RUN: ("pcnt_run", "<BB", "<"),
    PCNT_IRQ: ("pcnt_irq", "<BB", "<"),  # unit, IRQ_*
    WAKE_GPIO: ("wake_gpio", "<QB", "<"),  # mask of pins, level
    TEMPERATURE: ("temperature", "<", "<h"),  # C
    OTA_SET_BOOT: ("ota_set_boot", "<", "<"),  # tail: label
    OTA_NEXT_UPDATE: ("ota_next_update", "<", "<"),  # tail, reply tail: label
    OTA_BOOT_PARTITION: ("ota_boot_partition", "<", "<"),  # reply tail: label
    OTA_MARK_VALID: ("ota_mark_valid", "<", "<"),
    WLAN_SCAN: ("wlan_scan", "<", "<"),  # reply tail: `<B6sBbB` (bytes of SSID, BSSID, channel, dBm, security), SSID
    WLAN_RECONNECTS: ("wlan_reconnects", "<h", "<"),  # -1 for ever
    WLAN_CHANNEL: ("wlan_channel", "<", "<B"),  # 0: on none
    AP_ACTIVE: ("ap_active", "<bBBB", "<B"),  # -1 asks; bytes of the SSID, channel, hidden; tail: SSID, key
    AP_STATIONS: ("ap_stations", "<", "<"),  # reply tail: names, each after its length
    SOCK_STREAM: ("sock_stream", "<", "<B"),  # open a TCP socket
    SOCK_LISTEN: ("sock_listen", "<BB", "<"),  # socket, backlog
    SOCK_ACCEPT: ("sock_accept", "<Bq", "<BIH"),  # socket, timeout us; new socket, address, port
    SOCK_ERROR: ("sock_error", "<B", "<H"),  # SO_ERROR
    LAN_OPEN: ("lan_open", "<bbbbb", "<"),  # SCK, MOSI, MISO, chip select, interrupt
    LAN_ACTIVE: ("lan_active", "<b", "<B"),  # -1 asks
    LAN_STATUS: ("lan_status", "<", "<B"),  # ETH_*
    LAN_IFCONFIG: ("lan_ifconfig", "<", "<"),  # as wlan_ifconfig
    ECHO: ("echo", "<", "<"),  # tail: any; reply tail: the same
    REPL: ("repl", "<", "<"),  # the firmware has ended: the console is a person's now
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
ENFILE = 23
EOPNOTSUPP = 95
ECONNRESET = 104
EINPROGRESS = 119
EALREADY = 120
EISCONN = 127
EPROTONOSUPPORT = 123
EAI_FAIL = -202
ESP_FAIL = -0x1

ESP_ERRORS = {
    -0x1: "ESP_FAIL",
    -0x102: "ESP_ERR_INVALID_ARG",
    -0x104: "ESP_ERR_INVALID_SIZE",
    -0x105: "ESP_ERR_NOT_FOUND",
    -0x1101: "ESP_ERR_NVS_NOT_INITIALIZED",
    -0x1102: "ESP_ERR_NVS_NOT_FOUND",
    -0x1103: "ESP_ERR_NVS_TYPE_MISMATCH",
    -0x1105: "ESP_ERR_NVS_NOT_ENOUGH_SPACE",
    -0x1106: "ESP_ERR_NVS_INVALID_NAME",
    -0x1109: "ESP_ERR_NVS_KEY_TOO_LONG",
    -0x110B: "ESP_ERR_NVS_INVALID_STATE",
    -0x110C: "ESP_ERR_NVS_INVALID_LENGTH",
    -0x110D: "ESP_ERR_NVS_NO_FREE_PAGES",
    -0x110E: "ESP_ERR_NVS_VALUE_TOO_LONG",
    -0x1110: "ESP_ERR_NVS_NEW_VERSION_FOUND",
    -0x1503: "ESP_ERR_OTA_VALIDATE_FAILED",
}
