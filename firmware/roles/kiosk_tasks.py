"""The tasks of a kiosk, supervised: the watchdog is fed only while every one of them goes on.

    a task                           then
    -------------------------------  ----------------------------------------------------------------------
    beats within its `stuck_s`       the watchdog is fed
    does not                         it is fed no more: the device starts anew, as the watchdog bites
    raises, or returns               it is a fault, and started again after a pause that doubles each time
    fails KIOSK_TASK_FAILURES times  what it raised ends the device's life, which starts anew

A task that ran for KIOSK_HEALTHY_AFTER_S begins to count its failures anew. What it held it makes again when it starts.
"""

import asyncio
import sys

from app import limits
from net.clock import now_ms


class _Task:
    def __init__(self, name, work, stuck_s):
        self.name = name
        self.work = work  # function of a function to call whenever it goes on; returns a coroutine
        self.stuck_ms = stuck_s * 1000
        self.began_ms = self.beat_ms = now_ms()
        self.failures = 0
        self.runs = None
        self.error = None
        self.again_ms = 0

    def beat(self):
        self.beat_ms = now_ms()


class Tasks:
    """See above.

    Args:
        feed: the watchdog's.
        fault: function of a task's name and whether it is failing.
    """

    def __init__(self, feed, fault):
        self._feed = feed
        self._fault = fault
        self._tasks = []
        self._ended = asyncio.Event()

    def add(self, name, work, stuck_s):
        """Have `work(beat)` run; it calls `beat()` at least every `stuck_s` seconds."""
        self._tasks.append(_Task(name, work, stuck_s))

    async def run(self, healthy):
        """Run all of them until one has failed too often, which raises; `healthy` is called once, when all is well.

        When this ends so do they.
        """
        healthy_ms = now_ms() + limits.KIOSK_HEALTHY_AFTER_S * 1000
        try:
            while True:
                self._ended.clear()
                at_ms = now_ms()
                for task in self._tasks:
                    self._look(task, at_ms)
                if all(at_ms - task.beat_ms < task.stuck_ms or task.runs is None for task in self._tasks):
                    self._feed()
                if healthy_ms is not None and at_ms >= healthy_ms:
                    healthy_ms = None
                    healthy()
                await self._wait(at_ms)
        finally:
            for task in self._tasks:
                if task.runs is not None:
                    task.runs.cancel()

    def _look(self, task, at_ms):
        if task.runs is None:
            if at_ms >= task.again_ms:
                task.began_ms = task.beat_ms = at_ms
                task.runs = asyncio.create_task(self._guarded(task))
            return
        if task.failures and at_ms - task.began_ms >= limits.KIOSK_HEALTHY_AFTER_S * 1000:
            task.failures = 0
            self._fault(task.name, False)
        if not task.runs.done():
            return
        task.runs = None
        task.failures += 1
        if task.failures >= limits.KIOSK_TASK_FAILURES:
            raise task.error or RuntimeError("task %s has ended" % task.name)
        pause_s = min(limits.KIOSK_TASK_PAUSE_MAX_S, limits.KIOSK_TASK_PAUSE_S << task.failures - 1)
        task.again_ms = at_ms + pause_s * 1000
        self._fault(task.name, True)

    async def _guarded(self, task):
        task.error = None
        try:
            await task.work(task.beat)
        except Exception as error:  # whatever it is, it must not take the others with it
            print("task", task.name, "failed:")
            sys.print_exception(error)  # pyright: ignore[reportAttributeAccessIssue]  MicroPython's
            task.error = error
        self._ended.set()

    async def _wait(self, at_ms):
        """Wait until a task has ended or is to start again, or it is time to feed the watchdog."""
        until_ms = at_ms + limits.KIOSK_LOOK_S * 1000
        for task in self._tasks:
            if task.runs is None:
                until_ms = min(until_ms, task.again_ms)
        try:
            await asyncio.wait_for_ms(self._ended.wait(), max(0, until_ms - now_ms()))
        except asyncio.TimeoutError:
            return
        await asyncio.sleep_ms(0)  # what has ended is done then
