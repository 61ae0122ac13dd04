"""End with the process that started this one, however that one ended."""

import ctypes
import os
import signal
import sys
import threading
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_PAUSE: Final = 0.5


def follow(parent: int) -> None:
    """Have this process get SIGTERM when ``parent``, which has started it, is gone; at once if it is gone already."""
    if sys.platform == "linux":
        # The kernel does it: no thread is needed, and none is in the way of a fork.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _watch(parent: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(_PAUSE)
    os.kill(os.getpid(), signal.SIGTERM)
