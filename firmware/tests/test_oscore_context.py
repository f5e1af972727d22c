from binascii import hexlify, unhexlify

from checks import raised

from pave_wire import hkdf, limits
from pave_wire.errors import OscoreContextError, OscoreSequenceError
from pave_wire.oscore_context import FRESH_WINDOW, Context, derive

# RFC 8613, appendix C.1 to C.3: salt, client's ID, server's ID, ID context; then the keys of client and server, the
# common IV, and the nonces of client and server for Partial IV 0.
SECRET = unhexlify("0102030405060708090a0b0c0d0e0f10")
SALT = unhexlify("9e7ca92223786340")
ID_CONTEXT = unhexlify("37cbf3210017a2d3")
VECTORS = [
    (
        (SALT, b"", b"\x01", None),
        "f0910ed7295e6ad4b54fc793154302ff",
        "ffb14e093c94c9cac9471648b4f98710",
        "4622d4dd6d944168eefb54987c",
        "4622d4dd6d944168eefb54987c",
        "4722d4dd6d944169eefb54987c",
    ),
    (
        (b"", b"\x00", b"\x01", None),
        "321b26943253c7ffb6003b0b64d74041",
        "e57b5635815177cd679ab4bcec9d7dda",
        "be35ae297d2dace910c52e99f9",
        "bf35ae297d2dace910c52e99f9",
        "bf35ae297d2dace810c52e99f9",
    ),
    (
        (SALT, b"", b"\x01", ID_CONTEXT),
        "af2a1300a5e95788b356336eeecd2b92",
        "e39a0c7c77b43f03b4b39ab9a268699f",
        "2ca58fb85ff1b81c0b7181b85e",
        "2ca58fb85ff1b81c0b7181b85e",
        "2da58fb85ff1b81d0b7181b85e",
    ),
]


def context(sequence=0, window=FRESH_WINDOW):
    return Context(SECRET, SALT, b"", b"\x01", sequence, window)


def test_the_keys_and_the_iv_of_appendix_c_are_derived():
    for (salt, client_id, server_id, id_context), client_key, server_key, common_iv, _, _ in VECTORS:
        key = hkdf.extract(salt, SECRET)
        assert hexlify(derive(key, client_id, id_context, "Key", 16)).decode() == client_key
        assert hexlify(derive(key, server_id, id_context, "Key", 16)).decode() == server_key
        assert hexlify(derive(key, b"", id_context, "IV", 13)).decode() == common_iv


def test_the_nonces_of_appendix_c_are_the_same_at_client_and_server():
    for (salt, client_id, server_id, id_context), _, _, _, client_nonce, server_nonce in VECTORS:
        client = Context(SECRET, salt, client_id, server_id, 0, FRESH_WINDOW, id_context)
        server = Context(SECRET, salt, server_id, client_id, 0, FRESH_WINDOW, id_context)
        assert client.sender_nonce(0) == server.recipient_nonce(0) == unhexlify(client_nonce)
        assert client.recipient_nonce(0) == server.sender_nonce(0) == unhexlify(server_nonce)


def test_nonces_of_different_ids_and_numbers_never_meet():
    seen = set()
    for role_id in (b"", b"\0", b"\1", b"\0\0", b"\1\0", b"\0\1", bytes(7), b"\1" + bytes(6)):
        one = Context(SECRET, SALT, role_id, b"\xff", 0, FRESH_WINDOW)
        for number in (0, 1, 255, 256, 1 << 30, (1 << 40) - 1):
            seen.add(one.sender_nonce(number))
    assert len(seen) == 8 * 6


def test_the_additional_data_is_that_of_the_example_in_5_4():
    one = Context(SECRET, SALT, b"\x00", b"\x01", 0, FRESH_WINDOW)
    other = Context(SECRET, SALT, b"\x01", b"\x00", 0, FRESH_WINDOW)
    expected = unhexlify("8368456e63727970743040498501810a4100412540")
    assert one.own_request_aad(b"\x25") == other.peer_request_aad(b"\x25") == expected


def test_ids_that_are_too_long_or_equal_are_refused():
    raised(OscoreContextError, Context, SECRET, SALT, bytes(8), b"", 0, FRESH_WINDOW)
    raised(OscoreContextError, Context, SECRET, SALT, b"", bytes(8), 0, FRESH_WINDOW)
    raised(OscoreContextError, Context, SECRET, SALT, b"same", b"same", 0, FRESH_WINDOW)
    raised(OscoreContextError, Context, SECRET, SALT, b"", b"\1", 0, FRESH_WINDOW, bytes(33))


def test_no_sequence_number_is_used_before_it_is_reserved():
    one = context()
    raised(OscoreSequenceError, one.take_number)
    one.reserve(2)
    assert [one.take_number(), one.take_number()] == [0, 1]
    raised(OscoreSequenceError, one.take_number)
    one.reserve(1)  # a late word about an older limit takes nothing back and gives nothing
    raised(OscoreSequenceError, one.take_number)


def test_a_context_cut_off_anywhere_never_uses_a_number_twice():
    stored = 0
    used = -1
    lives = 0
    for steps in range(0, 3 * limits.OSCORE_RESERVE, 5):
        one = context(sequence=stored)  # a boot starts where the stored limit is
        while steps > 0:
            due = one.reservation_due()
            if due is not None:
                stored = due  # durable; the power may fail before `reserve` is called
                steps -= 1
                if steps == 0:
                    break
                one.reserve(due)
            number = one.take_number()
            assert used < number < stored
            used = number
            steps -= 1
        lives += 1
    assert lives > 100 and used > 10000


def test_a_reservation_is_due_when_half_a_block_is_left():
    one = context(sequence=1000)
    assert one.reservation_due() == 1000 + limits.OSCORE_RESERVE
    one.reserve(1000 + limits.OSCORE_RESERVE)
    assert one.reservation_due() is None
    for _ in range(limits.OSCORE_RESERVE // 2):
        assert one.reservation_due() is None
        one.take_number()
    assert one.reservation_due() == one.sequence + limits.OSCORE_RESERVE


def test_the_last_sequence_number_is_below_2_to_the_40():
    one = context(sequence=(1 << 40) - 2)
    assert one.reservation_due() == 1 << 40
    one.reserve(1 << 50)
    assert one.reservation_due() is None
    assert [one.take_number(), one.take_number()] == [(1 << 40) - 2, (1 << 40) - 1]
    raised(OscoreSequenceError, one.take_number)


def test_the_window_agrees_with_a_set_of_everything_seen():
    state = 1

    def random_below(limit):
        nonlocal state
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        return (state >> 8) % limit

    for step in (3, 12, 40, 100):
        one = context()
        seen = set()
        middle = 0
        for _ in range(1500):
            middle += random_below(step) if random_below(3) == 0 else 0
            number = max(0, middle + random_below(80) - 40)
            highest = max(seen) if seen else -1
            allowed = number not in seen and number > highest - limits.OSCORE_WINDOW
            assert one.is_new(number) == allowed, (step, number, one.window)
            if allowed:
                one.accept(number)
                seen.add(number)
                one = context(window=one.window)  # the state is the whole of it
    assert len(seen) > 100


def test_a_leap_of_any_size_keeps_the_window_in_its_bits():
    for leap in (31, 32, 33, 1 << 20, (1 << 40) - 1):
        one = context()
        one.accept(0)
        one.accept(leap)
        assert one.window[0] == leap and one.window[1] < 1 << limits.OSCORE_WINDOW
        assert not one.is_new(leap) and not one.is_new(0)
        assert one.is_new(leap - 1) and not one.is_new(leap - 32)


def test_a_lost_window_starts_again_at_a_fresh_request_only():
    one = context(window=None)
    assert one.window is None and not one.is_new(1 << 39)
    assert not one.accept_fresh(5, b"") and not one.accept_fresh(5, None)
    raised(OscoreContextError, one.lose_window, bytes(7))
    raised(OscoreContextError, one.lose_window, bytes(41))
    one.lose_window(b"challenge")
    for echo in (None, b"", b"challeng", b"challenge2"):
        assert one.is_new(6) and not one.accept_fresh(5, echo) and one.window is None
        assert not one.is_new(5) and one.is_new(6)
    assert one.accept_fresh(5, b"challenge")
    assert not one.is_new(5) and not one.is_new(0) and one.is_new(6)
    assert not one.accept_fresh(6, b"challenge")  # it has done its work


def test_find_knows_the_peer():
    one = context()
    assert one.find(b"\x01", None) is one
    assert one.find(b"", None) is None
