"""Every bound of the gateway in one place (the wire's are in `pave_wire.limits`)."""

# Ingest
PACK_BYTES = 1024  # of one POST /r: one block of RFC 7959, so a report never needs reassembly
READINGS_IN_FLIGHT = 4096  # admitted, not yet committed; beyond it 5.03
RETRY_AFTER_S = 2  # Max-Age of a 5.03: a commit takes milliseconds, so the queue is gone by then
PROBLEM_CHARS = 160  # of an error's detail on the air

# Journal
SUBMISSIONS_QUEUED = 4096  # in front of the writer thread; all of them go into its next transaction
BUSY_TIMEOUT_MS = 2000  # somebody holds the file in an SQLite shell
REBUILD_BATCH_ROWS = 2000
COMMIT_WAIT_AT_STOP_S = 5.0

# Sinks
SINK_BATCH_ROWS = 256
MQTT_IN_FLIGHT = 64  # PUBLISH without PUBACK; a broker's Receive Maximum lowers it
MQTT_TIMEOUT_S = 10.0
MQTT_KEEPALIVE_S = 30
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
DRAIN_AT_STOP_S = 3.0

# HTTP
EVENT_CLIENTS = 64
EVENTS_QUEUED_PER_CLIENT = 256  # a client this far behind is cut off; it reconnects and gets a snapshot
EVENT_KEEPALIVE_S = 15.0

# Logs
LOG_INTERVAL_S = 10.0  # one line per cause in this time, for causes that the network can repeat
LOG_CAUSES = 1024
