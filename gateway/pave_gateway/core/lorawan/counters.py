"""What happened to frames, as numbers."""

from dataclasses import dataclass


@dataclass(slots=True)
class LorawanCounters:
    """Since the start. What nobody sent to this site is counted and changes nothing else."""

    copies: int = 0  # frames as concentrators sent them
    uplinks: int = 0  # authentic and new
    malformed: int = 0  # no LoRaWAN frame, or not heard as it is said
    not_ours: int = 0  # a downlink, a rejoin, a proprietary frame
    foreign: int = 0  # DevAddr or DevEUI of no device of this site
    forged: int = 0  # MIC
    replayed: int = 0  # authentic, and old
    repeated: int = 0  # the last frame again, as NbTrans allows
    late_copies: int = 0
    overflow: int = 0  # more authentic frames at once than are remembered
    sealed: int = 0  # keys on disk that the key file does not open
    frames_missed: int = 0  # gaps in FCnt
    not_stored: int = 0  # the disk did not take a frame
    join_requests: int = 0  # authentic and new
    joins_replayed: int = 0  # DevNonce not above the last
    joins_deferred: int = 0  # no room in the duty cycle's share, or older devices first
    joins_rekeyed: int = 0  # the device's keys became others, or were taken, while it waited
    joins_exhausted: int = 0  # JoinNonce used up: provision the device anew
    join_accepts: int = 0
    sessions: int = 0  # that began with their first uplink
    downlinks: int = 0  # handed to a concentrator
    downlinks_rx2: int = 0  # of these, in the second window
    downlinks_refused: int = 0  # by the concentrator
    no_window: int = 0  # something waited, and no window could carry it
    mac_unknown: int = 0  # parses that ended before the end
    mac_refused: int = 0  # requests that a device answered with no
