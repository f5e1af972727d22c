"""Every bound of the gateway in one place (the wire's are in `pave_wire.limits`)."""

# Ingest
PACK_BYTES = 1024  # of one POST /r: one block of RFC 7959, so a report never needs reassembly
READINGS_IN_FLIGHT = 4096  # admitted, not yet committed; beyond it 5.03
RETRY_AFTER_S = 2  # Max-Age of a 5.03: a commit takes milliseconds, so the queue is gone by then
PROBLEM_CHARS = 160  # of an error's detail on the air

# Observe
OBSERVERS = 256  # of one resource; a site has some hundred kiosks
NOTIFY_SPACING_S = 1.0  # between notifications to one observer, of which the last has the newest state
NOTIFY_APART_S = 0.05  # between observers; a late one waits no longer than NOTIFY_SPACING_S
NOTIFY_BY_S = 20.0  # when nothing changes: two retransmissions still come before FRESH_S
FRESH_S = 30  # Max-Age of what is observed

# Journal
SUBMISSIONS_QUEUED = 4096  # in front of the writer thread; all of them go into its next transaction
BUSY_TIMEOUT_MS = 2000  # somebody holds the file in an SQLite shell
REBUILD_BATCH_ROWS = 2000
COMMIT_WAIT_AT_STOP_S = 5.0
START_AGAIN_S = 2.0  # after a start that found no room on the disk
NO_ROOM_SAID_S = 60.0  # between two lines of the log that say the same of it

# Sinks
SINK_BATCH_ROWS = 256
MQTT_IN_FLIGHT = 64  # PUBLISH without PUBACK; a broker's Receive Maximum lowers it
MQTT_TIMEOUT_S = 10.0
MQTT_KEEPALIVE_S = 30
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
CANCEL_AGAIN_S = 0.5  # a task that did not end when it was told to is told again
DRAIN_AT_STOP_S = 3.0

# HTTP
EVENT_CLIENTS = 64
EVENTS_QUEUED_PER_CLIENT = 256  # a client this far behind is cut off; it reconnects and gets a snapshot
EVENT_KEEPALIVE_S = 15.0

# Logs
LOG_INTERVAL_S = 10.0  # one line per cause in this time, for causes that the network can repeat
LOG_CAUSES = 1024

# LoRaWAN
LORAWAN_CONCENTRATORS = 64
LORAWAN_CONCENTRATOR_SILENT_MS = 60_000  # without PULL_DATA (usually every 10 s) a forwarder cannot be reached
LORAWAN_COPIES = 16  # of one frame, from as many concentrators
LORAWAN_RECEPTIONS = 4096  # authentic frames whose copies are still known
LORAWAN_SESSIONS_PER_ADDRESS = 16  # each costs a MIC for a frame with that DevAddr
LORAWAN_FCNT_DOWN_BLOCK = 64  # downlink counters reserved by one write
LORAWAN_FCNT_DOWN_LOW = 16  # so few left, and the next uplink's transaction reserves more
LORAWAN_DOWNLINKS_QUEUED = 16  # for one device
LORAWAN_DOWNLINK_TRIES = 8  # of a confirmed downlink, of a MAC request that is not answered
LORAWAN_MAC_PAUSE_UPLINKS = 64  # after so many tries without an answer, before the next
LORAWAN_LEAD_MAX_MS = 600  # how early a forwarder that keeps saying TOO_LATE is handed its downlinks
LORAWAN_JOIN_HOLD_MS = 1_000  # Join-Requests that arrive within it are served by age
LORAWAN_JOIN_PATIENCE_MS = 300_000  # for so long room is kept for a device that was refused
LORAWAN_JOINS_WAITING = 4096  # devices known to wait
LORAWAN_FRAMES_WAITING = 8  # of one device, while one of its frames is on its way to the disk
LORAWAN_RESPONSE_MS = 600_000  # for so long a device may wait for the response to a request
LORAWAN_REQUEST_MS = 120_000  # for so long one to a device waits behind an acknowledgement; then it is made anew
LORAWAN_STORED_BEYOND_FLOOR = 64  # readings remembered that arrived before an older one; an outbox holds 20
LORAWAN_EPOCHS = 32  # whose newest seq is remembered
LORAWAN_LINK_SAMPLES = 48  # of each state of a bay; the device's link is judged by their low percentile
LORAWAN_LINK_FLUSH_MS = 300_000  # between writes of what links are like: ADR may lose that much
LORAWAN_AIRTIME_FLUSH_MS = 1_000  # between writes of time on air

# Journal, inside
SEQS_REMEMBERED = 1024  # of a device's two newest epochs; whether an older reading is new is looked up in the log
CHAIN_STEPS = 20_000  # of such a look-up, some 50 ms; a reading older than all these is taken for new
ROWS_PER_INSERT = 64  # one statement, so the writer gives the interpreter away 1 time in 64
SNAPSHOT_READINGS = 200_000  # between snapshots of the devices: what a start reads again, less than a second
SNAPSHOT_DEVICES = 200  # written with one transaction while a snapshot is due
BAYS_LOG_READINGS = 200_000  # the newest ones, that the bays may keep from leaving the log
RETENTION_PIECE = 1000  # readings looked at in one transaction that removes some
VACUUM_PAGES = 64  # given back in one transaction
WAL_PAGES = 1000  # of 1 KiB: then they are brought into the file; some 5 ms in which nothing is committed
WAL_PAGES_TOO_MANY = 65_536  # a reader that never ends keeps the write-ahead log growing
TEND_S = 1.0  # between two looks at what the journal needs, and between two attempts on a failing disk
CHECK_AFTER_S = 20.0  # a start goes first; then the whole file is looked at for damage
COMMIT_SLOW_S = 2.0  # a commit that takes longer is trouble
COMMIT_GROUPS = 8  # this many waiting are committed at once, fewer after COMMIT_INTERVAL_S
COMMIT_INTERVAL_S = 0.2  # the default of journal.commit_interval_ms

# Clock
CLOCK_EARLIEST_MS = 1_767_225_600_000  # 2026-01-01: a clock before it was never set
CLOCK_LATEST_MS = 4_102_444_800_000  # 2100-01-01
CLOCK_STEP_MS = 1_500  # less than this is left alone: a leap second, a busy machine
CLOCK_CONFIRM_MS = 300_000  # for so long another time must have been shown, synchronized, before it is believed
CLOCK_HOLDOVER_MS = 86_400_000  # without synchronization; at 50 ppm 4 s have gathered
UNDATED_HOLD_MS = 600_000  # for so long a sink waits for the clock before it tells a reading with a doubtful time

# State of the site
BAYS_SNAPSHOT_MS = 300_000  # between rounds of writing the bays down
BAYS_SNAPSHOT_READINGS = 50_000  # the same: what a start reads again, at some 30 us each; a round costs some 0.2 s
SNAPSHOT_BAYS = 100  # written down in one step, some 2 ms
SLOW_CLOCK_PERCENT = 5  # how far a sensor's RC oscillator may be off (ESP32-S3 datasheet: RTC slow clock)
AGE_ERROR_MS = 1_000  # the age of a reading is whole seconds in an event
UPKEEP_S = 1.0  # between two looks at what time itself brings
SILENCE_GAP_MS = 120_000  # between two looks at the clock: then it was the gateway that was away
SILENCE_LOOK_MS = 30_000  # at the latest
SILENCE_GRACE_MS = 60_000  # for retransmissions and a busy link
SILENCE_LATE_PERCENT = 115  # of the expected interval: slow clocks, and a little
SILENCE_SILENT_PERCENT = 315  # three in a row are missing

# Shadow and commands
COMMANDS_WAITING = 8  # for one device
COMMANDS_KEPT = 16  # of one device, those that ended included
COMMAND_RESEND_MS = 15_000  # to a device that can be reached and does not answer; doubles each time
SHADOW_RESEND_MS = 60_000  # the same of a part of its settings
RESEND_MAX_MS = 3_600_000  # what both grow to

# Registry, keys, provisioning
SEALING_KEYS = 64  # in a key file, as many that open records, and as many that are remembered by their id
KEY_FILE_BYTES = 32_768
RECORD_BYTES = 16_384  # of one provisioning record; one for two readers has 2,000
RECORD_READERS = 8  # for whom it may be sealed
RECORDS_PER_IMPORT = 65_536
RECORDS_AGAIN_MS = 60_000  # until what the disk did not take is tried again, unless the disk recovers before
RECORDS_WATCHED = 32  # that could not be read: looked at again when they have changed
RETIRED_NOTE_BYTES = 512  # of the note that a device was retired
DIFFERENCES_TOLD = 32  # of devices that a backup has otherwise, in a list for people
NOWHERE_TOLD = 8  # of devices that stand nowhere, in the findings
RECORDS_PER_CHANGE = 256  # in one transaction
RESEALED_AT_ONCE = 32  # rows of the journal that a rotation of the sealing key looks at in one step: some 2 ms of CPU
CLOSED_TOLD = 16  # secrets that do not open, told one by one

# CoAP front
COAP_REMEMBERED = 8_192  # requests whose answer a retransmission gets again: four minutes of 33 a second; some 10 MB
COAP_RESENDS = 4  # of one answer, as often as a client retransmits (RFC 7252, 4.8)
COAP_TRANSMISSIONS = 1024  # confirmable messages on their way or waiting for their turn
COAP_RESPONSES_REMEMBERED = 256  # separate responses of devices whose duplicates are known
COAP_OPEN_REQUESTS = 1024  # that aiocoap works on, observations included
COAP_ASKED = 256  # requests to devices that wait for their response
COAP_ASK_TIMEOUT_S = 93.0  # until a device's response is not waited for (RFC 7252, 4.8.2: MAX_TRANSMIT_WAIT)
OBSERVATIONS_PER_DEVICE = 4
ECHO_BYTES = 8
DROP_LINES = 16  # of the log about what was dropped, in LOG_INTERVAL_S, whoever sent it
INSECURE_REMINDER_S = 3_600.0

# Semtech UDP
SEMTECH_DATAGRAM_BYTES = 65_507  # the most that UDP carries: 255 packets of a busy second
SEMTECH_PACKETS = 256  # in one PUSH_DATA; forwarders fetch 8 (SX1301) or 255 (SX1302) at once
SEMTECH_ANTENNAS = 8  # of one concentrator
SEMTECH_ERROR_CHARS = 32
SEMTECH_PATH_MS = 60_000  # without PULL_DATA a way to a forwarder has closed
SEMTECH_PROVEN_MS = 25_000  # two PULL_DATA and a half: for so long a proven way is kept against another claim
SEMTECH_TX_ACK_MS = 5_000  # a TX_ACK comes within a round trip
SEMTECH_UNANSWERED = 2  # PULL_RESP in a row without a TX_ACK, and a way is proven no longer
SEMTECH_IN_FLIGHT = 1024  # PULL_RESP that wait for their TX_ACK
SEMTECH_STATS = 20  # status reports of one concentrator that are remembered, some ten minutes
SEMTECH_DEAF_MS = 7_200_000  # without a frame: devices send a heartbeat an hour

# Devices behind another's network server
EXTERNAL_WINDOW = 62  # frame counters of a session that are told apart
EXTERNAL_REMEMBERED = 4  # sessions that are over, and joins, of one device
EXTERNAL_ANSWER_MS = 900_000  # for so long an answer may wait at the other server; the device has asked again by then
EXTERNAL_RETRY_FIRST_MS = 250  # after the disk did not take a frame
EXTERNAL_RETRY_MAX_MS = 2_000
EXTERNAL_FRESH_MS = 5_000  # a frame so old is not answered in its own receive windows
EXTERNAL_AGE_MAX_MS = 30 * 86_400_000  # of a frame that a broker or a storage has kept; beyond it the clock is wrong
EXTERNAL_GATEWAYS = 16  # whose copies of a frame are looked at
MQTT_INGRESS_BYTES = 65_536  # of one message
MQTT_STABLE_S = 10.0  # a connection that lasts so long was none that somebody else took away
MQTT_UNSETTLED = 256  # messages taken and not yet on disk; then the broker has to wait

# The Things Stack's storage
REFILL_AFTER_S = (15.0, 120.0, 1_200.0)  # after a gap: uplinks reach the storage in batches
REFILL_MARGIN_MS = 120_000  # asked for beyond what is missing, for the same reason
REFILL_SPACING_MS = 2_000  # between questions: 30 a minute is what its own examples allow
REFILL_SINGLE = 3  # devices with a gap; more are asked for together
REFILL_RETRY_FIRST_MS = 5_000
REFILL_RETRY_MAX_MS = 600_000
REFILL_TIMEOUT_S = 30.0
REFILL_PAGE = 500  # uplinks in one answer
REFILL_PAGES = 200  # of one question
REFILL_LINE_BYTES = 262_144  # of one uplink, with what payload formatters make of it
REFILL_UNDER_WAY = 64  # of its uplinks on their way to the disk

# Control interface
CONTROL_WAIT_S = 10.0  # for an act to be on disk, and as long for its turn
CONTROL_PAGE = 100  # devices or acts in one answer, some 4 ms
CONTROL_PAGE_MAX = 500
CONTROL_ANSWER_S = 30.0  # that the command line waits: the two waits above, and a busy machine
WAITING_START_ANSWER_S = 2.0  # that it waits for HTTP of a start that waits for room
WAITING_START_BYTES = 16_384  # of that answer
