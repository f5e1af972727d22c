"""Wi-Fi credentials rotate, and no kiosk is ever stranded: through every power cut, every loss and every restart."""

import random
from collections.abc import Callable

import pytest
from gateway_support import KIOSK
from shadow_support import Gateway, at
from simulated_kiosk import Kiosk, LostError, World

from pave_gateway.core import shadow_wifi
from pave_gateway.core.committer import Committed
from pave_gateway.core.shadow_wifi import Rotation
from pave_wire.errors import ModelError

NEW = {"ssid": "new", "key": "new secret"}


def state_of(gateway: Gateway) -> Rotation:
    return gateway.shadows.view(KIOSK).wifi


class Rotating:
    """A kiosk on its first profile, and somebody who rotates its credentials, patiently."""

    def __init__(self, disturb: Callable[[World], None], rounds: int) -> None:
        self.world = World(Gateway())
        self.kiosk = Kiosk(self.world)
        self.rounds = rounds
        self.kiosk.live(1)
        self.world.steps = 0
        disturb(self.world)

    def edit(self, wifi: dict | None) -> None:
        self.world.gateway.store.failing = False
        assert isinstance(self.world.gateway.edit(KIOSK, wifi=wifi), Committed)

    def live_until(self, *states: Rotation) -> None:
        self.kiosk.live(self.rounds, lambda: state_of(self.world.gateway) in states)
        assert state_of(self.world.gateway) in states


def both_at_once(disturb: Callable[[World], None], rounds: int = 10) -> Rotating:
    """The new network comes up beside the old one, which goes down once the gateway withdraws it."""
    site = Rotating(disturb, rounds)
    site.world.access_points["new"] = "new secret"
    site.edit(NEW)
    site.live_until(Rotation.WITHDRAWING, Rotation.SETTLED)
    del site.world.access_points["old"]
    site.live_until(Rotation.SETTLED)
    return site


def key_changes_tonight(disturb: Callable[[World], None], rounds: int = 10) -> Rotating:
    """One network whose passphrase changes days after the kiosks have heard of the new one."""
    site = Rotating(disturb, rounds)
    site.edit({"ssid": "old", "key": "new secret"})
    site.live_until(Rotation.FELL_BACK)
    site.world.access_points["old"] = "new secret"
    site.live_until(Rotation.SETTLED)
    return site


def wrong_key(disturb: Callable[[World], None], rounds: int = 10) -> Rotating:
    """Somebody mistyped the passphrase, sees that it failed, and cancels."""
    site = Rotating(disturb, rounds)
    site.world.access_points["new"] = "new secret"
    site.edit({"ssid": "new", "key": "new secrte"})
    site.live_until(Rotation.FELL_BACK)
    site.edit(None)
    site.live_until(Rotation.SETTLED)
    return site


def nothing(world: World) -> None:
    pass


SCENARIOS = {both_at_once: 1, key_changes_tonight: 1, wrong_key: 0}  # to the profile in use at the end


@pytest.mark.parametrize(("scenario", "profile"), SCENARIOS.items())
def test_a_rotation_ends_with_one_profile_the_right_one(scenario, profile):
    site = scenario(nothing)
    assert list(site.kiosk.flash["profiles"]) == [profile] and site.kiosk.connected == profile


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("scenario", "profile"), SCENARIOS.items())
def test_the_power_may_fail_at_every_step_of_a_rotation(scenario, profile, after):
    steps = scenario(nothing).world.steps
    assert steps > 10
    for cut_at in range(1, steps + 1):

        def disturb(world: World, cut_at: int = cut_at) -> None:
            world.cut_at, world.after = cut_at, after

        assert list(scenario(disturb).kiosk.flash["profiles"]) == [profile], cut_at


@pytest.mark.parametrize(("scenario", "profile"), SCENARIOS.items())
def test_the_gateway_may_be_killed_at_every_step_of_a_rotation(scenario, profile):
    for killed_at in range(1, scenario(nothing).world.steps + 1):

        def disturb(world: World, killed_at: int = killed_at) -> None:
            world.on_step = lambda step: world.gateway.restart(at(0)) if step == killed_at else None

        assert list(scenario(disturb).kiosk.flash["profiles"]) == [profile], killed_at


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(("scenario", "profile"), SCENARIOS.items())
def test_losses_power_cuts_and_full_disks_in_any_mixture_strand_nobody(scenario, profile, seed):
    dice = random.Random(seed)

    def disturb(world: World) -> None:
        def trouble(step: int) -> None:
            world.gateway.store.failing = dice.random() < 0.2
            world.cut_at, world.after = (step if dice.random() < 0.15 else None), dice.random() < 0.5
            if dice.random() < 0.1:
                raise LostError

        world.on_step = trouble

    assert list(scenario(disturb, rounds=500).kiosk.flash["profiles"]) == [profile]


def mistyped(disturb: Callable[[World], None]) -> Rotating:
    """New credentials for a network that is not there."""
    site = Rotating(disturb, 10)
    site.edit(NEW)
    site.kiosk.live(10)
    return site


@pytest.fixture
def obedient(monkeypatch) -> None:
    """A kiosk without the rule of its own: it forgets what it is told to forget."""
    made = Kiosk.__init__

    def make(self, world: World) -> None:
        made(self, world)
        self.has_interlock = False

    monkeypatch.setattr(Kiosk, "__init__", make)


@pytest.fixture
def hasty(monkeypatch) -> None:
    """A gateway that withdraws the old credentials as it offers the new ones."""
    begin = shadow_wifi.begin
    monkeypatch.setattr(shadow_wifi, "begin", lambda *given: {**begin(*given), shadow_wifi.KEEP: False})


@pytest.mark.usefixtures("hasty", "obedient")
def test_these_scenarios_see_a_kiosk_stranded():
    with pytest.raises(AssertionError, match="stranded"):
        mistyped(nothing)


@pytest.mark.usefixtures("hasty")
def test_the_kiosks_own_rule_alone_keeps_it():
    mistyped(nothing)


@pytest.mark.usefixtures("obedient")
@pytest.mark.parametrize("scenario", [mistyped, *SCENARIOS])
def test_the_gateways_order_alone_keeps_it(scenario):
    scenario(nothing)


def test_the_old_profile_is_withdrawn_in_the_transaction_that_stores_the_proof():
    gateway = Gateway()
    gateway.edit(KIOSK, wifi=NEW)
    gateway.report(KIOSK, 1, {15: {0: 0, 1: [0, 1]}})
    groups = gateway.store.groups
    gateway.report(KIOSK, 1, {15: {0: 1, 1: [0, 1]}})
    assert gateway.store.groups == groups + 1 and state_of(gateway) is Rotation.WITHDRAWING
    gateway.restart(at(0))
    assert state_of(gateway) is Rotation.WITHDRAWING and gateway.shadows.version(KIOSK) == 2


DESIRED, ALONE = {0: 3, 1: "s", 2: b"", 3: True}, {0: 3, 3: False}


@pytest.mark.parametrize(
    ("desired", "reported", "state"),
    [
        (None, None, Rotation.UNTOUCHED),
        (None, {0: 0, 1: [0]}, Rotation.UNTOUCHED),
        (DESIRED, None, Rotation.OFFERED),
        (DESIRED, {0: 2, 1: [2]}, Rotation.OFFERED),
        (DESIRED, {0: 2, 1: [2], 2: 1}, Rotation.OFFERED),
        (DESIRED, {0: 2, 1: [2, 3]}, Rotation.KNOWN),
        (DESIRED, {0: 2, 1: [2, 3], 2: 3, 3: 1}, Rotation.FELL_BACK),
        (DESIRED, {0: 3, 1: [2, 3]}, Rotation.PROVED),
        (ALONE, None, Rotation.OFFERED),
        (ALONE, {0: 3, 1: [2, 3]}, Rotation.WITHDRAWING),
        (ALONE, {0: 3, 1: [3]}, Rotation.SETTLED),
        (ALONE, {0: 2, 1: [2, 3]}, Rotation.ASTRAY),
    ],
)
def test_the_state_follows_from_the_two_documents(desired, reported, state):
    assert shadow_wifi.state_of(desired, reported) is state


@pytest.mark.parametrize(
    ("desired", "reported", "word"),
    [
        (None, {0: 0, 1: [0]}, "nothing to cancel"),
        (ALONE, {0: 3, 1: [3]}, "nothing to cancel"),
        (DESIRED, None, "wait for its report"),
        (DESIRED, {0: 3, 1: [2, 3]}, "set the old ones"),
    ],
)
def test_what_cannot_be_cancelled_without_danger_is_refused_with_the_next_step(desired, reported, word):
    with pytest.raises(ModelError, match=word):
        shadow_wifi.cancel(desired, reported)


def test_a_profiles_number_is_never_used_twice_even_by_a_gateway_that_was_restored():
    assert shadow_wifi.begin(None, {0: 7, 1: [3, 7], 2: 9}, "s", "k")[0] == 10
    assert shadow_wifi.begin({0: 4, 3: False}, None, "s", "k")[0] == 5
    with pytest.raises(ModelError, match="provision"):
        shadow_wifi.begin({0: 2**32 - 1, 3: False}, None, "s", "k")


def test_why_credentials_failed_is_told():
    gateway = Gateway()
    gateway.edit(KIOSK, wifi=NEW)
    for why, word in ((1, "wrong key"), (99, "no reason")):
        gateway.report(KIOSK, 1, {15: {0: 0, 1: [0, 1], 2: 1, 3: why}})
        view = gateway.shadows.view(KIOSK)
        assert view.wifi is Rotation.FELL_BACK and word in view.wifi_failure and "profile 1" in view.wifi_failure
