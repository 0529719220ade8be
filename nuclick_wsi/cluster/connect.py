"""From what `--cluster` says to workers: an address, so many processes here, or a .toml that describes a cluster."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nuclick_wsi.cluster.dask_pool import DaskPool
from nuclick_wsi.cluster.path_map import PathMap
from nuclick_wsi.errors import ClusterError, SettingsError

_LOCAL = "local:"
_SECONDS = 20
"""To wait for a scheduler that is said to be there."""
_QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
}
"""Tables of a .toml, and the classes of dask-jobqueue that take what is in them."""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Which cluster to use: one of an address, a number of processes here, or jobs of a batch system."""

    address: str | None = None
    local: int = 0
    queue: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the batch system's jobs, as dask-jobqueue has them."""
    jobs: int = 1
    paths: PathMap = PathMap()

    @classmethod
    def of(cls, text: str) -> "ClusterPlan":
        """Return what the value of `--cluster` means.

        Raises
        ------
        SettingsError
            If it is none of the three.
        """
        if text.startswith(_LOCAL):
            count = text.removeprefix(_LOCAL)
            if not count.isdecimal() or int(count) < 1:
                raise SettingsError(f"--cluster {text}: after local: comes a number of processes, as in local:2.")
            return cls(local=int(count))
        if text.lower().endswith(".toml"):
            return _of_file(Path(text))
        if ":" not in text:
            raise SettingsError(
                f"--cluster {text}: accepted are the address of a dask scheduler (tcp://host:8786), local:N, or a "
                ".toml that describes a cluster (docs/cluster.md)."
            )
        return cls(address=text)


@contextmanager
def connected(plan: ClusterPlan) -> Iterator[DaskPool]:
    """Lend the workers of a cluster; those that were started for it end with it.

    Raises
    ------
    ClusterError
        If dask is not installed, or the cluster cannot be reached or started.
    """
    try:
        import distributed  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise ClusterError(f'{error}. A cluster needs an extra: pip install "nuclick-wsi[cluster]"') from error
    with ExitStack() as stack:
        try:
            at = plan.address or stack.enter_context(_started(plan))
            client = stack.enter_context(distributed.Client(at, timeout=_SECONDS))
        except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
            raise ClusterError(f"The cluster {plan.address or plan.queue or 'here'} cannot be used: {error}") from error
        yield DaskPool(client)


@contextmanager
def _started(plan: ClusterPlan) -> Iterator[Any]:
    if plan.queue is None:
        from distributed import LocalCluster  # noqa: PLC0415  (an extra)

        with LocalCluster(n_workers=plan.local, threads_per_worker=1, dashboard_address=None) as cluster:
            yield cluster
        return
    import dask_jobqueue  # noqa: PLC0415  (an extra)

    with getattr(dask_jobqueue, _QUEUES[plan.queue])(**plan.options) as cluster:
        cluster.scale(jobs=plan.jobs)
        yield cluster


def _of_file(path: Path) -> ClusterPlan:
    content = _content(path)
    queues = sorted(content.keys() & _QUEUES.keys())
    others = content.keys() - {*_QUEUES, "address", "jobs", "paths"}
    if others or len(queues) + ("address" in content) != 1:
        seen = f"has {', '.join(sorted(others))}" if others else "does not say which cluster, or says several"
        raise SettingsError(
            f"{path}: {seen}. Accepted are either address, or one table of {', '.join(_QUEUES)} with jobs; and paths."
        )
    jobs, paths, address = content.get("jobs", 1), content.get("paths", {}), content.get("address")
    options = content[queues[0]] if queues else {}
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise SettingsError(f"{path}: jobs is a number of 1 or more, not {jobs!r}.")
    if not isinstance(paths, dict) or not all(isinstance(value, str) for value in paths.values()):
        raise SettingsError(f'{path}: paths is a table of folders here and on the workers, as "/mnt/a" = "/data/a".')
    if not isinstance(options, dict) or not isinstance(address, str | None):
        raise SettingsError(f"{path}: address is a text in quotes, and {', '.join(_QUEUES)} are tables.")
    queue = queues[0] if queues else None
    return ClusterPlan(address=address, queue=queue, options=options, jobs=jobs, paths=PathMap(tuple(paths.items())))


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"--cluster {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise SettingsError(f"--cluster {path} is no TOML: {error}.") from error
