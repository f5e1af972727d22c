"""Every bound of the wire in one place. Both sides refuse what exceeds them, so neither can be made to allocate."""

DATAGRAM_BYTES = 1152  # RFC 7252, 4.6: fits an IPv6 packet of 1,280 bytes with its headers
CBOR_DEPTH = 6  # a SenML pack needs 2, a sensor's own state in RTC memory 5
CBOR_ITEMS = 1464  # values in one message, keys included: SENML_RECORDS of up to three fields each
SENML_RECORDS = 209  # READINGS_PER_PACK with VALUES_PER_READING each, a seq for each, one epoch
SENML_NAME_CHARS = 64
READINGS_PER_PACK = 16
PACK_BYTES = 1024  # of one POST /r: with OSCORE and all options around it still a datagram
VALUES_PER_READING = 12
TEXT_CHARS = 64  # of one text value
COAP_OPTIONS = 16
COAP_TOKEN_BYTES = 8  # RFC 7252, 3
COAP_EXCHANGES = 4  # requests a client may have open at once, observations included
# What an endpoint holds unless its owner, who knows its memory, says otherwise:
COAP_TRANSMISSIONS = 8  # confirmable messages on their way or waiting for their turn
COAP_REMEMBERED = 16  # messages received whose duplicates are known
COAP_OBSERVERS = 8
COAP_TRANSFERS = 2  # bodies in blocks, going each way
COAP_BODY_BYTES = 8192  # of a body put together from blocks
COAP_ECHO_BYTES = 40  # RFC 9175, 2.2.1
OSCORE_ID_BYTES = 7  # RFC 8613, 3.3: the nonce's 13 bytes less 6
OSCORE_ID_CONTEXT_BYTES = 32  # RFC 8613, 6.1, has room for 255
OSCORE_WINDOW = 32  # Partial IVs, RFC 8613, 3.2.2
OSCORE_RESERVE = 256  # sender sequence numbers reserved by one write to durable memory
OSCORE_SEQUENCE_END = 1 << 40  # RFC 8613, 7.2.1
LINK_BYTES = 8192  # of one link-format document
LINKS = 64  # in it
LINK_ATTRIBUTES = 16  # of one link
BOARD_CHARS = 16  # in a hello, which so has 51 bytes at most: EU868's smallest payload, without FOpts
VERSION_CHARS = 15
EVENT_BYTES = 11  # a frame of at most 24 bytes, 13 of them LoRaWAN's
SCHC_BYTES = 242  # the largest application payload of EU868 (RP002-1.0.4, data rate 4 and up)
EPOCH_MAX = 0xFFFFFFFF  # begins at the date of flashing, in seconds: see docs/DECISIONS.md, 11
NUMBER_MAX = 9007199254740991  # 2**53 - 1: what JSON carries exactly (RFC 8259, 6)
SEQ_MAX = 0xFFFFFFFF
DISTANCE_MAX_M = 20_040_000  # half the way round the Earth
AGE_MAX_S = 0x0FFFFFFF  # RFC 8428, 4.5.3: from 2**28 on, a time is absolute
COSE_BYTES = 8192  # a manifest of BUNDLE_FILES files with the longest paths, signed
BUNDLE_FILES = 64
BUNDLE_PATH_CHARS = 64
FLASH_BLOCK_BYTES = 4096  # what LittleFS gives to a file or a directory, and what a bundle's slot is counted in
# `vfs` is 2 MiB, 512 blocks. Two slots of 216 are 432. The other 80: 2 of the root; 2 * 16 for directories that outgrow
# their two blocks (64 files, 4,096 characters of paths); 46 for what lies beside the slots, and for copies on write.
BUNDLE_SLOT_BYTES = 216 * FLASH_BLOCK_BYTES
BUNDLE_OTA_BYTES = 0x200000  # the partitions `ota_0` and `ota_1`
LORAWAN_PHY_BYTES = 255  # of the longest frame of EU868: MHDR, 250 of MACPayload, MIC
LORAWAN_FOPTS_BYTES = 15  # TS001-1.0.4, 4.3.1.6
MAC_COMMANDS = 48  # in one frame: 242 bytes of LinkADRReq
SHADOW_BYTES = 1000  # of one document of settings: with CoAP's options it fits one block of 1,024
SETTINGS_PER_SHADOW = 32
COMMAND_DETAIL_CHARS = 32  # of the word on a command that failed
