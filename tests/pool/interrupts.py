"""KeyboardInterrupt wherever Python heeds a signal while a pool starts, as Ctrl-C raises it in the main thread."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import worq.pool

POOL = str(Path(worq.pool.__file__).parent)
NOT_WATCHED = ("__enter__", "__exit__", "__del__")


def interrupted_at(number: int, act: Callable[[], object]) -> bool:
    """Do it with an interrupt at the end of the call of that number; False if it makes fewer.

    Of the calls that `worq.pool` makes, and those of `Thread.start`; but not those of `with`: an interrupt
    there would leave what it opens as it is, also in Python's own modules; nor of `__del__`, where Python drops it.
    """
    left = number

    def trace(frame: FrameType, event: str, called: Any) -> None:
        nonlocal left
        if event == "return":
            caller, name = frame.f_back, frame.f_code.co_name
        elif event == "c_return":
            caller, name = frame, called.__name__
        else:
            return
        if caller is None or not _is_watched(caller) or name in NOT_WATCHED:
            return
        left -= 1
        if left < 0:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(trace)
    try:
        act()
    except KeyboardInterrupt:
        assert left < 0
        return True
    finally:
        sys.setprofile(None)
    return False


def _is_watched(frame: FrameType) -> bool:
    code = frame.f_code
    return code is threading.Thread.start.__code__ or code.co_filename.startswith(POOL)
