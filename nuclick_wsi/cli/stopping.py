"""Signals that end a command: each is raised where the command is, so that whatever is open is put in order first."""

import signal
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""As far as the system has them."""


class Stopped(BaseException):
    """The command was told to end.

    It is no `Exception`, so that nothing which deals with faults of one image takes it for one.

    Attributes
    ----------
    exit_code
        That of a shell for a program that the signal ends.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def raise_on_signals() -> None:
    """Have each signal that ends a command raise `Stopped` in the main thread; the second one ends it at once."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        # A signal that is ignored already, as nohup does with SIGHUP, stays so.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def take_back_signals() -> None:
    """Have the signals once more that `raise_on_signals` took: a Java machine, which paquo starts, takes them away."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _stop:
            signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> None:
    for name in _SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    raise Stopped(number)
