"""What is wrong with concentrators and the way to them, for `doctor` and the console."""

from collections.abc import Iterable

from pave_gateway.core import limits
from pave_gateway.findings import Finding, error, fine, warning
from pave_gateway.ingress.semtech_udp_peers import Peer, Peers

_KEEPALIVE_MS = 10_000  # between PULL_DATA: keepalive_interval in packet_forwarder's global_conf.json
_GRACE_MS = 3 * _KEEPALIVE_MS  # from the start until one that was not heard is missed: two may be lost on the way
_BAD_CRC_SHARE = 0.5  # noise alone makes some; more than half is a neighbour, an antenna or a broken concentrator
_BAD_CRC_FRAMES = 100
_ACKNOWLEDGED_PERCENT = 90.0
_REFUSED_SHARE = 0.2
_REFUSED_FRAMES = 10


def findings(peers: Peers, now_ms: int) -> list[Finding]:
    """Return what is to be said of a site's concentrators, by the clock of the server."""
    heard = {peer.gateway_id for peer in peers}
    found = [_never(gateway_id) for gateway_id in sorted(peers.allowed or ()) if gateway_id not in heard]
    if not heard and peers.allowed is None:
        found.append(error("no packet forwarder was heard", "set its server_address and serv_port_up to this gateway"))
    left_ms = peers.since_ms + _GRACE_MS - now_ms
    if found and left_ms > 0:
        found = [fine(f"packet forwarders are waited for: for {-(-left_ms // 1000)} s none is missed")]
    return [*found, *(finding for peer in peers for finding in of_peer(peer, now_ms))]


def of_peer(peer: Peer, now_ms: int) -> list[Finding]:
    """Return what is to be said of one concentrator."""
    found = [*_way(peer, now_ms), *_radio(peer, now_ms), *_downlinks(peer)]
    return found or [fine(f"concentrator {peer.gateway_id}: {peer.frames} frames")]


def _never(gateway_id: str) -> Finding:
    return error(
        f"concentrator {gateway_id} was never heard",
        "see that its forwarder runs, has this EUI as gateway_ID, and this gateway as server_address",
    )


def _way(peer: Peer, now_ms: int) -> Iterable[Finding]:
    name = f"concentrator {peer.gateway_id}"
    if now_ms - peer.heard_ms >= limits.SEMTECH_PATH_MS:
        silent_s = (now_ms - peer.heard_ms) // 1000
        yield error(f"{name}: its forwarder is silent for {silent_s} s", "see that it runs and that its network works")
    elif peer.open_way(now_ms) is None:
        yield error(f"{name}: its forwarder never asks for frames", "open serv_port_down to this gateway's port")
    if peer.claims:
        yield warning(
            f"{name}: {peer.claims} PULL_DATA came from another address than the one that is served",
            "see that each EUI belongs to one forwarder, and that strangers cannot reach this port",
        )
    rates = [stat.ackr for _, stat in peer.stats if stat.ackr is not None]
    if rates and sum(rates) / len(rates) < _ACKNOWLEDGED_PERCENT:
        yield warning(
            f"{name}: {sum(rates) / len(rates):.0f} % of what it sends is acknowledged in time",
            "look at the network between forwarder and gateway: losses, or more than 100 ms",
        )


def _radio(peer: Peer, now_ms: int) -> Iterable[Finding]:
    name = f"concentrator {peer.gateway_id}"
    since_ms = peer.frame_ms if peer.frame_ms is not None else peer.first_ms
    if now_ms - peer.heard_ms < limits.SEMTECH_PATH_MS and now_ms - since_ms >= limits.SEMTECH_DEAF_MS:
        yield error(
            f"{name}: no frame for {(now_ms - since_ms) // 60_000} min, while its forwarder runs",
            "look at antenna and cable; restart the forwarder, which resets the concentrator",
        )
    share = peer.bad_crc_share
    received = sum(stat.rxnb or 0 for _, stat in peer.stats)
    if share is not None and share > _BAD_CRC_SHARE and received >= _BAD_CRC_FRAMES:
        yield warning(
            f"{name}: {share:.0%} of {received} packets had a bad CRC",
            "look for a strong transmitter nearby, and at antenna and cable",
        )


def _downlinks(peer: Peer) -> Iterable[Finding]:
    name = f"concentrator {peer.gateway_id}"
    refused = sum(peer.refused.values())
    if peer.downlinks >= _REFUSED_FRAMES and refused > _REFUSED_SHARE * peer.downlinks:
        most, _ = peer.refused.most_common(1)[0]
        step = _STEPS.get(most, "look at the forwarder's log")
        yield warning(f"{name}: it refused {refused} of {peer.downlinks} frames, most as {most}", step)
    if peer.downlinks >= _REFUSED_FRAMES and peer.silent > _REFUSED_SHARE * peer.downlinks:
        yield warning(
            f"{name}: {peer.silent} of {peer.downlinks} frames were not confirmed (TX_ACK)",
            "look at the network between gateway and forwarder",
        )


_STEPS = {
    "TOO_LATE": "look at the delay between gateway and forwarder; raise lead_ms in [lorawan]",
    "TOO_EARLY": "restart the forwarder: its concentrator's counter was reset",
    "TX_FREQ": "set tx_freq_min and tx_freq_max of the forwarder to 863 and 870 MHz",
    "TX_POWER": "give the forwarder a table of powers (tx_lut) that has 14 dBm and what RX2 is to use",
    "COLLISION_BEACON": "turn class B beacons off in the forwarder",
}
