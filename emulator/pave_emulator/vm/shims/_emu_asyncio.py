"""`_asyncio`: the task and its queue, in Python.

The VM's own `_asyncio` is C and reads the operating system's clock, whose ticks do not wrap as the ESP32's do and
know no virtual time. `asyncio` itself is the one frozen in the VM; what it needs of a task are the attributes coro,
data, state and ph_key, of a queue push, pop, peek and remove.
"""

import time


class TaskQueue:
    """Tasks in the order of their time; equal times keep the order of arrival."""

    def __init__(self):
        self._tasks = []

    def peek(self):
        return self._tasks[0] if self._tasks else None

    def push(self, task, key=None):
        task.data = None
        task.ph_key = key = time.ticks_ms() if key is None else key
        at = len(self._tasks)
        while at and time.ticks_diff(self._tasks[at - 1].ph_key, key) > 0:
            at -= 1
        self._tasks.insert(at, task)

    def pop(self):
        return self._tasks.pop(0)

    def remove(self, task):
        self._tasks.remove(task)


class Task:
    """A coroutine on its way. state: True running, a TaskQueue of waiters, None or False once it has ended."""

    def __init__(self, coro, globals=None):
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0
        self._globals = globals

    def __iter__(self):
        if not self.state:
            self.state = False  # someone asked for the result: the exception counts as retrieved
        elif self.state is True:
            self.state = TaskQueue()
        elif type(self.state) is not TaskQueue:
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            raise StopIteration if self.data is None else self.data
        self.state.push(_core().cur_task)
        _core().cur_task.data = self  # so that cancelling the waiter finds the queue it waits in

    def done(self):
        return not self.state

    def cancel(self):
        """Throw CancelledError into the coroutine at its next turn. False when it has ended already."""
        core = _core()
        if not self.state:
            return False
        if self is core.cur_task:
            raise RuntimeError("can't cancel self")
        task = self
        while isinstance(task.data, Task):
            task = task.data
        _withdraw(task, core)
        core._task_queue.push(task)
        task.data = core.CancelledError
        return True


def _withdraw(task, core):
    """Take a task out of whatever it waits for."""
    if hasattr(task.data, "remove"):
        task.data.remove(task)
    elif task in core._task_queue._tasks:
        core._task_queue.remove(task)


def _core():
    import asyncio.core

    return asyncio.core
