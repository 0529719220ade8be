"""The option `--cluster` of `run`: the jobs of a run with their work done ahead by workers elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nuclick_wsi.cli.run_request import RunRequest
from nuclick_wsi.cluster.ahead import Ahead, Watcher
from nuclick_wsi.cluster.connect import ClusterPlan, connected
from nuclick_wsi.cluster.work import Setup
from nuclick_wsi.runs.jobs import Job
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.run import Options
from nuclick_wsi.segmentation.model_registry import ModelRegistry

Jobs = Callable[[Iterable[Job]], Iterable[Job]]


@contextmanager
def ahead_of(
    request: RunRequest, options: Options, registry: ModelRegistry, journal: Journal, watcher: Watcher
) -> Iterator[Jobs]:
    """Lend what takes the jobs of a run and gives them back, with their work done if a cluster is asked for.

    Raises
    ------
    SettingsError
        If `--cluster` says no cluster.
    ClusterError
        If it cannot be reached or started.
    """
    if request.cluster is None or options.dry:
        yield lambda jobs: jobs
        return
    plan = ClusterPlan.of(request.cluster)
    with connected(plan) as pool:
        yield Ahead(
            pool=pool,
            setup=_setup(request, options, plan),
            registry=registry,
            pixel_size=options.pixel_size,
            journal=journal,
            watcher=watcher,
            path_of=plan.paths.on_workers,
        ).of


def _setup(request: RunRequest, options: Options, plan: ClusterPlan) -> Setup:
    """Return how the workers work; a model that is a file here is one there, and a shipped one has its name."""
    models = (plan.paths.on_workers(Path(model)) if Path(model).is_file() else model for model in request.models)
    return Setup(
        models=tuple(models),
        device=request.device,
        batch_size=request.batch_size,
        terms=request.terms,
        precision=request.precision,
        tta=request.tta,
        reader=request.reader,
        settings=options.settings,
    )
