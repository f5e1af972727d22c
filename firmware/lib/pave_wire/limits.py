"""Every bound of the wire in one place. Both sides refuse what exceeds them, so neither can be made to allocate."""

DATAGRAM_BYTES = 1152  # RFC 7252, 4.6: fits an IPv6 packet of 1,280 bytes with its headers
CBOR_DEPTH = 6  # a SenML pack needs 2, a sensor's own state in RTC memory 5
CBOR_ITEMS = 1024  # values in one message, keys included: SENML_RECORDS of up to three fields each
SENML_RECORDS = 128
SENML_NAME_CHARS = 64
READINGS_PER_PACK = 16
VALUES_PER_READING = 12
TEXT_CHARS = 64  # of one text value
COAP_OPTIONS = 16
COAP_TOKEN_BYTES = 8  # RFC 7252, 3
COAP_EXCHANGES = 4  # requests a client may have open at once
EPOCH_MAX = 0xFFFF
SEQ_MAX = 0xFFFFFFFF
AGE_MAX_S = 0x0FFFFFFF  # RFC 8428, 4.5.3: from 2**28 on, a time is absolute
