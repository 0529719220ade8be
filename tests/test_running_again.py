"""Running again: only what changed goes through the network, and the result is that of a fresh run."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dark_segmenter import card
from numpy.typing import NDArray
from projects import Image, write_project
from scipy import ndimage
from scipy.ndimage import distance_transform_edt
from test_engine import click, discs, squiggle
from test_run import FILES, NUCLEI, clicks, record, results

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.instances import PromptSet, Reason, Rejection
from nuclick_wsi.prompts import ObjectKind, Prompt, Role
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.patch_codec import decode, encode
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, View, plan_views
from nuclick_wsi.segmentation.engine import Outcome, segment
from nuclick_wsi.segmentation.masks import MaskRule
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.result_cache import input_digests
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, TileImage
from nuclick_wsi.slides.readers import open_slide

MakeSlide = Callable[..., Path]
ABOUT = {kind: f"the {kind} model".encode() for kind in ObjectKind}
SIDE = 300
CROP = 64


class ShySegmenter:
    """Dark pixels are the object's, the less so the nearer they are to another prompt: exclusion maps decide."""

    def __init__(self, kind: ObjectKind) -> None:
        self.card = card(kind, CROP, 0.25)
        self.seen: set[str] = set()

    def around(self, view: View) -> Window:
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        for tile in tiles:
            for view in tile.tile.views:
                self.seen.add(field.prompts[view.prompt].id)
                pixels = tile.image[view.window.slices_in(tile.tile.window)]
                yield view, self._probabilities(pixels.mean(axis=2), field.signals(view))

    def _probabilities(self, brightness: NDArray[np.floating], maps: NDArray[np.float32]) -> NDArray[np.float32]:
        to_own, to_others = (
            distance_transform_edt(one == 0) if one.any() else np.full(one.shape, 99.0) for one in maps
        )
        closer = np.clip(0.5 + (to_others - to_own) / 40, 0, 1)
        return ((255 - brightness) / 255 * closer).astype(np.float32)


def run(path: Path, prompts: Iterable[Prompt], journal: Journal) -> tuple[Outcome, set[str], int]:
    """Return the outcome, the prompts that went through the network, and how many were recalled."""
    segmenters = {kind: ShySegmenter(kind) for kind in (ObjectKind.NUCLEUS, ObjectKind.GLAND)}
    cache = journal.image("slide", ABOUT)
    with open_slide(path) as slide:
        outcome = segment(
            slide, PromptSet(tuple(prompts)), FixedSegmenters(segmenters), PixelSize(0.25, 0.25), cache=cache
        )
    cache.forget_others({prompt.id for prompt in prompts})
    journal.save()
    return outcome, set.union(*(one.seen for one in segmenters.values())), cache.recalled


def edited(prompts: list[Prompt], rng: random.Random) -> list[Prompt]:
    """Return prompts of which one is moved, one is gone, or one more is there."""
    place = rng.uniform(0, SIDE), rng.uniform(0, SIDE)
    kept = prompts.copy()
    match rng.choice(("move", "remove", "add", "draw")):
        case "move":
            kept[rng.randrange(len(kept))] = click(*place)
        case "remove":
            kept.pop(rng.randrange(len(kept)))
        case "add":
            kept.append(click(*place))
        case "draw":
            kept.append(squiggle([place, (place[0] + rng.uniform(5, 90), place[1])]))
    rng.shuffle(kept)
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_running_again_after_edits_gives_what_a_fresh_run_gives(
    seed: int, make_slide: MakeSlide, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    centres = [(rng.randrange(SIDE), rng.randrange(SIDE)) for _ in range(40)]
    path = make_slide(discs(SIDE, centres, radius=12))
    prompts = [click(x + rng.uniform(-3, 3), y + rng.uniform(-3, 3)) for x, y in centres]
    recalled = 0
    with Journal(tmp_path / "journal.sqlite") as journal:
        for round_ in range(5):
            again, seen, known = run(path, prompts, journal)
            fresh, every_one, none = run(path, prompts, Journal(tmp_path / f"{round_}.sqlite"))
            assert again == fresh
            assert none == 0
            assert known == len(every_one) - len(seen)
            recalled += known
            prompts = edited(prompts, rng)
    assert recalled > 80


def test_only_the_prompts_that_see_a_change_go_through_the_network_again(make_slide: MakeSlide, tmp_path: Path) -> None:
    path = make_slide(discs(SIDE, [(40, 40), (60, 40), (200, 200), (230, 200)]))
    near, far = [click(40, 40), click(60, 40)], [click(200, 200), click(230, 200)]
    with Journal(tmp_path / "journal.sqlite") as journal:
        run(path, near + far, journal)
        assert run(path, far + near, journal)[1:] == (set(), 4)
        moved = click(61, 41)
        # The one that moved, and the one that has it in its exclusion map.
        assert run(path, [near[0], moved, *far], journal)[1] == {near[0].id, moved.id}
        assert run(path, [near[0], *far], journal)[1] == {near[0].id}


def test_another_model_or_slide_recalls_nothing(make_slide: MakeSlide, tmp_path: Path) -> None:
    prompt, decoded = click(40, 40), Rejection("", Reason.NO_OBJECT, "nothing")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.image("slide", ABOUT).remember(prompt, b"digest", decoded)
        journal.save()
        assert journal.image("slide", ABOUT).recall(prompt, b"digest") is not None
        assert journal.image("slide", ABOUT).recall(prompt, b"other") is None
        assert journal.image("slide", {**ABOUT, ObjectKind.NUCLEUS: b"other"}).recall(prompt, b"digest") is None
        assert journal.image("other", ABOUT).recall(prompt, b"digest") is None
    with Journal(tmp_path / "journal.sqlite", fresh=True) as journal:
        assert journal.image("slide", ABOUT).recall(prompt, b"digest") is None


@pytest.mark.parametrize("seed", range(5))
def test_what_came_of_a_prompt_is_kept_without_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2).tolist()
    probabilities = rng.random((height, width), np.float32)
    mask = probabilities > 0.4
    mask[0, 0] = True
    signal = rng.integers(-500, 70_000, (seed, 2))
    patch = Patch(click(1, 1), Window(-3, 70_000, width, height), mask, probabilities, signal)
    back = decode(patch.prompt, encode(patch))
    assert isinstance(back, Patch)
    assert (back.prompt, back.window) == (patch.prompt, patch.window)
    assert np.array_equal(back.mask, mask)
    assert np.array_equal(back.signal, signal)
    # Nobody asks for a probability further off the mask than its neighbours.
    kept = ndimage.binary_dilation(mask, np.ones((3, 3)))
    assert np.array_equal(back.probabilities, np.where(kept, probabilities, 0))
    rejection = Rejection.of(patch.prompt, Reason.TOO_SMALL, "fewer than 9 px of the network's grid – µ")
    assert decode(patch.prompt, encode(rejection)) == rejection


@pytest.mark.parametrize("content", [b"", b"X", b"P", b"C", b"C" + b"\0" * 30, b"R[]", b"R{", b'R["TAKEN",'])
def test_bytes_that_are_no_result_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        decode(click(1, 1), content)


def test_digests_are_those_of_hashing_the_maps_of_each_prompt_by_itself() -> None:
    rng, grid, rule = np.random.default_rng(5), Grid(1.07, 0.25), MaskRule(0.5, 30, 20, 3)
    places = rng.uniform(0, 400, (70, 2)).tolist()
    prompts = [
        replace(click(*place), role=Role.EXCLUDE_ONLY if n % 9 == 8 else Role.SEGMENT) for n, place in enumerate(places)
    ]
    field = SignalField([*prompts, squiggle([(50, 50), (300, 90)]), squiggle([(20, 200), (60, 210)])])
    views = plan_views(field, grid, CropSpec(64, 0.25), GlandMode.TILED)
    by_prompt: dict[int, list[View]] = {}
    for view in views:
        by_prompt.setdefault(view.prompt, []).append(view)
    for own, found in zip(by_prompt.values(), input_digests(field, list(by_prompt.values()), grid, rule), strict=True):
        digest = hashlib.sha256(repr((grid, rule)).encode())
        digest.update(field.pixels(own[0].prompt, grid).tobytes())
        for view in own:
            digest.update(repr((view.grid, view.window)).encode())
            digest.update(np.packbits(field.signals(view) > 0).tobytes())
            digest.update(field.excluded(view, grid).tobytes())
        assert found == digest.digest()


def test_nothing_is_made_before_the_journal_is_asked(tmp_path: Path) -> None:
    with Journal(tmp_path / "folder" / "journal.sqlite"):
        pass
    assert not (tmp_path / "folder").exists()


def test_a_project_run_again_with_the_real_network_gives_the_same_results(tmp_path: Path) -> None:
    """Probabilities may differ in their last digits between batches; outlines and what is written do not here."""
    moved = [*NUCLEI[:-1], (60.0, 60.0)]
    project = write_project(tmp_path / "again", Image("a.svs", [clicks(*NUCLEI)]))
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    assert record(project)["images"][0]["recalled"] == 0
    fresh = write_project(tmp_path / "fresh", Image("a.svs", [clicks(*moved)]))
    data = Path("data", "1", "data.qpdata")
    shutil.copyfile(fresh.parent / data, project.parent / data)
    for path in (project.parent / "nuclick" / "runs").glob("*.json"):
        path.unlink()
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    assert record(project)["images"][0]["recalled"] == 3
    run_target(RunRequest(fresh, device="cpu", project_access=FILES, fresh=True))
    assert results(project) == results(fresh)


KILLED = """
import sys
from pathlib import Path
import test_running_again as here
from nuclick_wsi.runs.journal import Journal

class Slow(here.ShySegmenter):
    def predict(self, tiles, field):
        for count, item in enumerate(super().predict(tiles, field)):
            print(count, flush=True)
            if count > 600:
                sys.stdin.read()  # until it is killed
            yield item

here.ShySegmenter = Slow
here.run(Path(sys.argv[1]), here.many(), Journal(Path(sys.argv[2])))
"""


def many() -> list[Prompt]:
    rng = random.Random(0)
    return [click(rng.uniform(0, SIDE), rng.uniform(0, SIDE)) for _ in range(900)]


def test_a_killed_run_goes_on_where_it_was(make_slide: MakeSlide, tmp_path: Path) -> None:
    path = make_slide(discs(SIDE, [(40, 40), (60, 40), (200, 200), (230, 200)]))
    journal = tmp_path / "journal.sqlite"
    command = [sys.executable, "-c", KILLED, str(path), str(journal)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line == "601\n":
                break
        child.kill()
    prompts = many()
    again, seen, known = run(path, prompts, Journal(journal))
    assert known > 300
    assert known + len(seen) + sum(r.reason is Reason.DUPLICATE for r in again.rejections) == len(prompts)
    assert again == run(path, prompts, Journal(tmp_path / "fresh.sqlite"))[0]
