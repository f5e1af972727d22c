from simulation.accounts import Books, Receipt, Settlement, Truth, settle

DEVICE = "24a160fffe000101"


def receipt(seq: int, occupied: bool, read_s: float, bay: str = "b1", reason: str = "field") -> Receipt:
    return Receipt(f"{DEVICE}:1:{seq}", bay, read_s, {"occupied": occupied, "reason": reason})


def books(truths: list[Truth], receipts: list[Receipt]) -> Books:
    values = {r.identity: r.values for r in receipts}
    return Books(truths, dict(values), set(values), dict(values), set(values), receipts)


def good() -> Books:
    truths = [Truth("b1", True, 100), Truth("b1", False, 110), Truth("b2", True, 105)]
    receipts = [receipt(0, False, 90, reason="boot"), receipt(1, True, 101), receipt(2, False, 112)]
    other = Receipt("24a160fffe000102:1:1", "b2", 106, {"occupied": True, "reason": "field"})
    return books(truths, [*receipts, other])


def counts(settled: Settlement) -> tuple[int, int, int, int, int, int, int]:
    s = settled
    return s.truth, s.sent, s.stored, s.forwarded, s.received, s.lost, s.duplicates


def test_a_run_without_loss_balances_and_boot_reports_are_no_changes() -> None:
    settled = settle(good())
    assert counts(settled) == (3, 3, 3, 3, 3, 0, 0)
    assert settled.unreported == [] and settled.phantom == []


def test_a_change_that_never_arrived_is_lost_even_if_another_bay_reported_twice() -> None:
    wrong = good()
    wrong.received[2] = receipt(2, False, 112, bay="b3")  # the count is right, the bay is not
    settled = settle(wrong)
    assert settled.received == settled.truth == 3
    assert settled.lost == 1 and settled.unreported == [Truth("b1", False, 110)]
    assert [r.place for r in settled.phantom] == ["b3"]


def test_reports_are_matched_in_order_so_a_flap_does_not_stand_for_a_missed_change() -> None:
    truths = [Truth("b1", True, 100), Truth("b1", False, 110), Truth("b1", True, 120)]
    flap = [receipt(1, True, 101), receipt(2, False, 125), receipt(3, True, 127)]
    settled = settle(books(truths, flap))
    assert len(settled.unreported) == 2 and len(settled.phantom) == 2


def test_a_report_of_another_time_does_not_stand_for_the_truth() -> None:
    wrong = good()
    wrong.received[1] = receipt(1, True, 160)
    assert settle(wrong).unreported == [Truth("b1", True, 100)]


def test_one_report_does_not_stand_for_two_truths() -> None:
    twice = good()
    twice.truths += [Truth("b1", True, 102)]
    assert settle(twice).lost == 1


def test_an_acknowledged_reading_missing_from_the_journal_or_the_city_is_lost() -> None:
    wrong = good()
    del wrong.stored[f"{DEVICE}:1:0"]
    assert settle(wrong).missing_stored == {f"{DEVICE}:1:0"} and settle(wrong).lost == 1
    wrong = good()
    del wrong.received[0]  # the boot report: no truth misses it, but the device was told it is safe
    assert settle(wrong).missing_received == {f"{DEVICE}:1:0"} and settle(wrong).lost == 1


def test_a_reading_received_twice_is_a_duplicate_and_not_a_second_change() -> None:
    twice = good()
    twice.received.append(twice.received[1])
    assert counts(settle(twice)) == (3, 3, 3, 3, 3, 0, 1)


def test_a_reading_that_was_never_acknowledged_is_left_half_way() -> None:
    wrong = good()
    wrong.sent["24a160fffe000201:1:0"] = {"screen-free": 3}
    settled = settle(wrong)
    assert settled.lost == 0 and settled.pending == {"24a160fffe000201:1:0"} and not settled.balanced


def test_a_stored_reading_the_city_never_saw_is_lost_though_no_device_was_told() -> None:
    wrong = good()
    wrong.stored["24a160fffe000201:1:0"] = {"screen-free": 3}
    assert settle(wrong).missing_received == {"24a160fffe000201:1:0"} and not settle(wrong).balanced


def test_a_value_that_changes_on_the_way_is_seen() -> None:
    wrong = good()
    wrong.received[0] = receipt(0, True, 90, reason="boot")
    assert settle(wrong).altered == {f"{DEVICE}:1:0"} and not settle(wrong).balanced


def test_a_run_in_which_nothing_happened_proves_nothing() -> None:
    assert settle(good()).balanced and not settle(Books()).balanced


def test_what_a_device_said_and_nobody_could_read_spoils_the_books() -> None:
    wrong = good()
    wrong.unreadable = 1
    assert settle(wrong).lost == 0 and not settle(wrong).balanced
