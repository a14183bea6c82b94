"""The GIL's switch interval while hubs are open: a busy program must not starve their commit threads."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

from durio.entities.limits import SWITCH_INTERVAL_S


class ShortSwitchInterval:
    """Within it `sys.getswitchinterval()` is short; after the last one ends it is what it was before the first.

    The interval belongs to the process, so its keeper does too: hubs may overlap, in several threads.
    """

    _lock = threading.Lock()
    _open = 0
    _before_s = 0.0

    def __enter__(self) -> None:
        cls = ShortSwitchInterval
        with cls._lock:
            if cls._open == 0:
                cls._before_s = sys.getswitchinterval()
                sys.setswitchinterval(min(cls._before_s, SWITCH_INTERVAL_S))
            cls._open += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cls = ShortSwitchInterval
        with cls._lock:
            cls._open -= 1
            if cls._open == 0:
                sys.setswitchinterval(cls._before_s)
