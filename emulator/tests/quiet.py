"""What a world promises about the field at a bay, put as a sensor that has just sampled would ask."""

from pave_emulator.scenario.world import World


def quiet_until_s(world: World, place: str, now_s: float, within_ut: float = 0.3) -> float:
    """Until when the field without noise surely stays within `within_ut`, on each axis, of what it is now."""
    reach_ut = within_ut + world._noises[place].bound_ut
    field_ut = world.field_ut(place, now_s)
    low_ut, high_ut = (tuple(axis + sign * reach_ut for axis in field_ut) for sign in (-1, 1))
    return world.field_stays_until_s(place, now_s, low_ut, high_ut)
