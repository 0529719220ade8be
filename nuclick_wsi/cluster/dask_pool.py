"""Workers of dask.distributed, as a pool for `Ahead`."""

import time
from asyncio import CancelledError as AsyncCancelledError
from collections.abc import Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

from nuclick_wsi.cluster.work import Done, Unit, work_on
from nuclick_wsi.errors import ClusterError, NuclickError

_AHEAD = 6
"""Units under way for each thread of the workers: they go on while results are written here."""
_LEAST = 16
_LOST = "the connection to the cluster's scheduler was lost. Run again: what was done is kept."
_SECONDS = 5.0
"""After which the number of workers is looked up again: workers come and go."""


class DaskPool:
    """The workers that a client of dask knows.

    Parameters
    ----------
    client
        A `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._room, self._looked = _LEAST, -_SECONDS

    @property
    def room(self) -> int:
        """How many units are best under way at once."""
        now = time.monotonic()
        if now - self._looked > _SECONDS:
            with suppress(OSError):  # lost: the units that are under way say so
                self._room = max(_LEAST, _AHEAD * sum(self._client.nthreads().values()))
            self._looked = now
        return self._room

    def submit(self, unit: Unit) -> Any:
        """Begin with a unit; return a dask future. ClusterError where the scheduler is gone."""
        try:
            return self._client.submit(work_on, unit, pure=False)
        except Exception as error:
            raise ClusterError(_LOST) from error

    def next_done(self, handles: Iterable[Any]) -> Any:
        """Wait until one of some futures is done; return it."""
        from distributed import wait  # noqa: PLC0415  (an extra)

        waiting = list(handles)
        while True:
            for handle in waiting:
                if handle.done():
                    return handle
            with suppress(CancelledError, AsyncCancelledError):
                wait(waiting, return_when="FIRST_COMPLETED")

    def result(self, handle: Any) -> Done:
        """Return the results of a future that is done; ClusterError where they are lost."""
        from distributed import KilledWorker  # noqa: PLC0415  (an extra)

        try:
            done: Done = handle.result()
        except NuclickError:
            raise
        except KilledWorker as error:
            raise ClusterError(
                f"several workers died of the same prompts, one after the other: {error}. Have they enough memory?"
            ) from error
        except (CancelledError, AsyncCancelledError, OSError) as error:
            raise ClusterError(_LOST) from error
        except Exception as error:
            raise ClusterError(
                f"a worker failed ({type(error).__name__}: {error}). Workers need the same nuclick-wsi as is here."
            ) from error
        return done

    def cancel(self, handles: Iterable[Any]) -> None:
        """Give up work that is under way."""
        waiting = list(handles)
        if waiting:
            with suppress(Exception):  # there may be no scheduler any more
                self._client.cancel(waiting)
