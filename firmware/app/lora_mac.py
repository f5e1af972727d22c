"""The device's side of LoRaWAN 1.0.4 class A in EU863-870: counters, channels, receive windows, ADR.

What is agreed with the network (`agreed`) is kept in non-volatile memory with the session's keys, and changes by MAC
commands; what moves with every frame (`state`) in RTC memory. Nothing here waits, stores or draws a number but by its
arguments.

    agreed  [JoinNonce, DevAddr, NwkSKey, AppSKey, RX1DROffset, RX2 data rate, RX2 Hz, RxDelay s, MaxDutyCycle,
             channels]
    channel [Hz, lowest data rate, highest, Hz of RX1]; 0 Hz: not there; 0 Hz of RX1: that of the uplink
    state   [JoinNonce, FCntUp next, FCntDown last, data rate, TXPower, NbTrans, channel mask, ADR_ACK_CNT, SNR,
             answers said until a downlink comes, answers to be said once, whether an ACK is owed]

ADR back-off (TS001-1.0.4, 4.3.1.1): after ADR_ACK_LIMIT frames without a downlink each asks for one; after
ADR_ACK_DELAY more, and after every so many again, first full power, then the next slower data rate, at last all default
channels and no repetitions. `step_down` does one such step at once, for a device whose readings want an answer sooner.
"""

from pave_wire import limits, lorawan, region

JOIN_NONCE, DEV_ADDR, NWK_SKEY, APP_SKEY, RX1_OFFSET, RX2_RATE, RX2_HZ, RX_DELAY_S, MAX_DUTY_CYCLE, CHANNELS = range(10)
DEFAULT_CHANNELS = len(region.DEFAULT_CHANNELS_HZ)
HIGHEST_RATE = 5  # of 125 kHz; DR6 is never asked for by a gateway that has one such channel
_LINK_CHECK = b"\x02"  # mac_commands.LINK_CHECK, without loading the module


class Uplink:
    """A frame to send.

    Attributes:
        phy: PHYPayload, bytes.
        frequency_hz, data_rate, eirp_dbm, airtime_us: how it is sent.
        windows: of reception, (ms after its end, Hz, data rate) in order.
    """

    __slots__ = ("airtime_us", "data_rate", "eirp_dbm", "frequency_hz", "phy", "windows")

    def __init__(self, phy, frequency_hz, data_rate, eirp_dbm, windows):
        self.phy = phy
        self.frequency_hz = frequency_hz
        self.data_rate = data_rate
        self.eirp_dbm = eirp_dbm
        self.airtime_us = region.frame_time_us(data_rate, len(phy))
        self.windows = windows


def agreed_of(accept, session):
    """Return what a Join-Accept and the `lorawan.Session` it gives agree on."""
    channels = [[hz, 0, HIGHEST_RATE, 0] for hz in region.DEFAULT_CHANNELS_HZ + accept.frequencies_hz]
    for channel in channels:
        if channel[0] and not is_legal(channel[0]):
            channel[0] = 0
    return [
        accept.join_nonce,
        session.dev_addr,
        session.nwk_skey,
        session.app_skey,
        min(5, accept.rx1_dr_offset),
        min(6, accept.rx2_data_rate),
        region.RX2_FREQUENCY_HZ,
        accept.rx_delay_s,
        0,
        channels,
    ]


def is_legal(frequency_hz):
    """Return whether a device may send at 125 kHz around `frequency_hz` at all."""
    try:
        region.sub_band(frequency_hz, region.occupied_hz(0))
    except ValueError:
        return False
    return True


class Mac:
    """One session.

    Args:
        agreed: as above.
        fcnt_up: the next counter that was never used.
        fcnt_down: the last one accepted, -1 for none.
        state: as above, its first three are not looked at; None for a session's first frame, or after a cut of power.

    Attributes:
        agreed, fcnt_up, fcnt_down, data_rate, tx_power, nb_trans, mask, snr_db, sticky, answers, owes_ack: as above.
        check_link: the next frame asks for LinkCheckAns.
    """

    def __init__(self, agreed, fcnt_up, fcnt_down, data_rate, state=None):
        self.agreed = agreed
        self.fcnt_up = fcnt_up
        self.fcnt_down = fcnt_down
        self.data_rate = data_rate
        self.tx_power = self.adr_ack_count = self.snr_db = 0
        self.nb_trans = 1
        self.mask = self.all_channels()
        self.sticky = self.answers = b""
        self.check_link = False
        self.owes_ack = False  # of a confirmed downlink
        if state is not None:
            self.data_rate, self.tx_power, self.nb_trans, self.mask, self.adr_ack_count, self.snr_db = state[3:9]
            self.sticky, self.answers, self.owes_ack = state[9:]
        self._session = lorawan.Session(agreed[DEV_ADDR], agreed[NWK_SKEY], agreed[APP_SKEY])

    def state(self):
        """Return the value for RTC memory."""
        return [
            self.agreed[JOIN_NONCE],
            self.fcnt_up,
            self.fcnt_down,
            self.data_rate,
            self.tx_power,
            self.nb_trans,
            self.mask,
            self.adr_ack_count,
            self.snr_db,
            self.sticky,
            self.answers,
            self.owes_ack,
        ]

    def room_bytes(self, data_rate=None):
        """Return how much payload the next frame holds beside its MAC commands."""
        rate = self.data_rate if data_rate is None else data_rate
        return region.max_payload_bytes(rate, self.fopts_bytes())

    def fopts_bytes(self):
        """Return the length of the next frame's MAC commands."""
        return len(self._fopts())

    def channels(self, data_rate):
        """Return the numbers of the channels that may be used at a data rate, one at least."""
        known = self.agreed[CHANNELS]
        usable = [
            number
            for number in range(len(known))
            if self.mask >> number & 1 and known[number][0] and known[number][1] <= data_rate <= known[number][2]
        ]
        return usable or list(range(DEFAULT_CHANNELS))

    def uplink(self, port, payload, data_rate, channel):
        """Return the next `Uplink`, under a counter of its own: store that `fcnt_up` is higher before it is sent.

        Raises:
            LorawanError: the counter is used up; join again.
        """
        asks = self.adr_ack_count >= region.ADR_ACK_LIMIT
        flags = lorawan.ADR | (lorawan.ADR_ACK_REQ if asks else 0) | (lorawan.ACK if self.owes_ack else 0)
        phy = lorawan.encode_uplink(self._session, self.fcnt_up, port, payload, self._fopts(), flags)
        self.fcnt_up += 1
        self.answers = b""
        self.check_link = self.owes_ack = False
        self._count()
        return self.on_channel(phy, data_rate, channel)

    def on_channel(self, phy, data_rate, channel):
        """Return an `Uplink` of `phy`, new or a repetition (NbTrans), on a channel by its number."""
        hz, _, _, downlink_hz = self.agreed[CHANNELS][channel]
        delay_ms = self.agreed[RX_DELAY_S] * 1000
        windows = (
            (delay_ms, downlink_hz or hz, region.rx1_data_rate(data_rate, self.agreed[RX1_OFFSET])),
            (delay_ms + 1000, self.agreed[RX2_HZ], self.agreed[RX2_RATE]),
        )
        return Uplink(phy, hz, data_rate, region.eirp_dbm(self.tx_power), windows)

    def decode(self, phy):
        """Return the authentic, new `lorawan.Frame` in `phy` for this device; nothing changes yet.

        Raises:
            LorawanError: it is none.
        """
        return lorawan.decode_downlink(self._session, phy, self.fcnt_down)

    def receive(self, frame, snr_db, battery):
        """Take a frame that `decode` gave, and do what its MAC commands say.

        Args:
            frame: what `decode` gave.
            snr_db: with which it came.
            battery: as DevStatusAns has it: 1 to 254, 0 or 255.

        Returns:
            (whether `agreed` has changed, None or (margin dB, gateways) of a LinkCheckAns).
        """
        self.fcnt_down = frame.fcnt
        self.adr_ack_count = 0
        self.snr_db = snr_db
        self.sticky = b""
        self.owes_ack = frame.confirmed
        data = frame.payload if frame.port == 0 else frame.fopts
        if not data:
            return False, None
        from app import lora_commands  # most frames have none

        return lora_commands.obey(self, data, battery)

    def step_down(self):
        """Make the next frames easier to hear: full power, else slower, else on every channel there is."""
        if self.tx_power:
            self.tx_power = 0
        elif self.data_rate:
            self.data_rate -= 1
        else:
            self.nb_trans = 1
            self.mask |= (1 << DEFAULT_CHANNELS) - 1

    def all_channels(self):
        """Return the mask of all channels there are."""
        mask = 0
        for number, channel in enumerate(self.agreed[CHANNELS]):
            if channel[0]:
                mask |= 1 << number
        return mask

    def _fopts(self):
        """Return the MAC commands of the next frame: what does not fit is asked for again by the network."""
        fopts = self.sticky + self.answers + (_LINK_CHECK if self.check_link else b"")
        return fopts if len(fopts) <= limits.LORAWAN_FOPTS_BYTES else self.sticky[: limits.LORAWAN_FOPTS_BYTES]

    def _count(self):
        self.adr_ack_count += 1
        over = self.adr_ack_count - region.ADR_ACK_LIMIT
        if over > 0 and over % region.ADR_ACK_DELAY == 0:
            self.step_down()
