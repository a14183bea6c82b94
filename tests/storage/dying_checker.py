"""A checker that ends as its last argument but one says: a signal, or an error."""

from __future__ import annotations

import os
import signal
import sys

from durio.storage.checker import say

say(["data.mdb", "something"])
if "error" in sys.argv[1]:
    raise RuntimeError("told to fail")
os.kill(os.getpid(), signal.SIGBUS)
