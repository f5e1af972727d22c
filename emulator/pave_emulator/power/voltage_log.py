"""The battery's voltage over a run, in a bounded number of buckets, each with the lowest and the highest seen."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BUCKETS = 512


@dataclass(frozen=True)
class Bucket:
    """What was seen from `start_s` on, for the log's present bucket length, V."""

    start_s: float
    lowest_v: float
    highest_v: float


class VoltageLog:
    """Takes samples in order of time; when it is full, neighbours are merged and buckets last twice as long."""

    def __init__(self, bucket_s: float = 60.0) -> None:
        self.bucket_s = bucket_s
        self._buckets: list[Bucket] = []

    def add(self, now_s: float, volts: float) -> None:
        """A sample."""
        start_s = now_s // self.bucket_s * self.bucket_s
        last = self._buckets[-1] if self._buckets else None
        if last and last.start_s == start_s:
            self._buckets[-1] = Bucket(start_s, min(last.lowest_v, volts), max(last.highest_v, volts))
            return
        self._buckets.append(Bucket(start_s, volts, volts))
        if len(self._buckets) > MAX_BUCKETS:
            self._halve()

    def buckets(self) -> tuple[Bucket, ...]:
        """In order of time; times without a sample have none."""
        return tuple(self._buckets)

    def _halve(self) -> None:
        self.bucket_s *= 2
        old, self._buckets = self._buckets, []
        for bucket in old:
            self.add(bucket.start_s, bucket.lowest_v)
            self.add(bucket.start_s, bucket.highest_v)
