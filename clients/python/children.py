"""Runs functions in forked children, for tests."""

from __future__ import annotations

import os
import pickle
import select
import signal
from collections.abc import Callable
from typing import Any


class Child:
    """A fork that runs `function`; `result` waits for what it returned, or raises what it raised, as text. A
    child that takes more than `seconds` is killed."""

    def __init__(self, function: Callable[[], Any], seconds: float = 20) -> None:
        self._seconds = seconds
        self._reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(writer)
            return
        os.close(self._reader)
        try:
            said = (True, function())
        except BaseException as error:
            said = (False, f"{type(error).__name__}: {error}")
        with os.fdopen(writer, "wb") as out:
            pickle.dump(said, out)
        os._exit(0)

    def result(self) -> Any:
        # An alarm would not do: forks don't inherit it, and a child may hang before its first line.
        if not select.select([self._reader], [], [], self._seconds)[0]:
            os.kill(self._pid, signal.SIGKILL)
        with os.fdopen(self._reader, "rb") as reader:
            said = reader.read()
        _, status = os.waitpid(self._pid, 0)
        if not said:
            raise RuntimeError(f"the child ended with {os.waitstatus_to_exitcode(status)} and said nothing")
        is_done, value = pickle.loads(said)
        if not is_done:
            raise RuntimeError(f"in the child: {value}")
        return value
