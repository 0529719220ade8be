"""What the README shows can be run as it stands, and what README and docs name is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_architecture import FLOORS

import nuclick_wsi as nw
from nuclick_wsi.models.card import find_model, read_card, shipped_models

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_python_examples_run_and_account_for_both_clicks(tmp_path: Path) -> None:
    on_a_picture, on_a_slide = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(on_a_picture.split("\n\n")[1].splitlines()) <= 3
    counted = f"{on_a_picture}\nprint(len(objects) + len(rejections))\n"
    done = subprocess.run(
        [sys.executable, "-c", counted + on_a_slide], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "2"
    assert len(done.stdout.splitlines()) == 3


def blocks(name: str, language: str) -> list[str]:
    """Return the fenced blocks of a page of docs."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_blocks_of_the_page_on_python_run_one_after_the_other(tmp_path: Path) -> None:
    code = "\n".join(blocks("python.md", "python"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "missing.svs" in done.stdout  # the last block


@pytest.mark.parametrize(("language", "ending", "clicks"), [("csv", "csv", [2, 1]), ("json", "geojson", [3])])
def test_the_files_that_the_page_on_tables_shows_are_read(
    tmp_path: Path, language: str, ending: str, clicks: list[int]
) -> None:
    found = []
    for block in blocks("tables.md", language):
        path = tmp_path / f"shown.{ending}"
        path.write_text(block, encoding="utf-8")
        prompts = nw.read_prompts(path, slide="a.svs", pixel_size=0.5)
        assert not prompts.rejections
        found.append(len(prompts.prompts))
    assert found == clicks


def test_the_api_reference_has_every_public_name() -> None:
    named = re.findall(
        r"^::: nuclick_wsi\.(\w+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(named) - {"errors"} == set(nw.__all__) - {"Shelf"}  # a module; the old name of ModelRegistry


def test_every_page_is_in_the_menu_of_the_site() -> None:
    listed = re.findall(r"[\w/-]+\.md\b", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(pages)


METRICS = ("AJI", "Dice", "PQ", "Dice per object")


def test_scores_in_the_table_of_models_are_those_of_their_cards() -> None:
    """Both were rounded from what was printed, the cards to four decimals: they may differ by both roundings."""
    text = README.read_text(encoding="utf-8")
    (head,) = re.findall(r"^\| model \|.*$", text, flags=re.MULTILINE)
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", text, flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(shipped_models())
    for name, rest in rows:
        told = dict(zip(columns[1:], (cell.strip() for cell in rest.split("|")), strict=True))
        scores = read_card(find_model(name)).scores
        by_data = [
            {one.metric: one.value for one in scores if one.data == data} for data in {one.data for one in scores}
        ]
        wanted = {metric: pytest.approx(float(told[metric]), abs=0.00055) for metric in METRICS}
        assert wanted in [{metric: card.get(metric) for metric in METRICS} for card in by_data], name


def page(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=page)
def test_every_file_that_a_page_links_to_is_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


@pytest.mark.parametrize("path", PAGES, ids=page)
def test_every_module_that_a_page_names_is_there(path: Path) -> None:
    names = set(re.findall(r"`([\w/]+\.py)`", path.read_text(encoding="utf-8")))
    folders = ("nuclick_wsi", "qupath_extension", "asap_bridge", "training", "tests", "benchmarks", "examples")
    modules = ["/" + page(module) for folder in folders for module in (ROOT / folder).rglob("*.py")]
    assert not {name for name in names if not any(module.endswith(f"/{name}") for module in modules)}


def test_the_table_of_folders_has_the_rooms_and_floors_of_the_architecture_test() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = {}
    for floor, rooms in re.findall(r"^\| (\d+) \| (.*?) \|", text, flags=re.MULTILINE):
        paths = re.findall(r"`(\w[\w/]*)(?:/|\.py)`", rooms)
        told[int(floor)] = {path.replace("training", "nuclick_training").replace("/", ".") for path in paths}
    assert told == dict(enumerate(FLOORS, 1))


def test_every_make_target_that_pages_and_workflow_call_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    callers = [README, ROOT / "CONTRIBUTING.md", *(ROOT / ".github").rglob("*.*ml"), *(ROOT / ".github").rglob("*.md")]
    called = {
        name
        for path in callers
        for name in re.findall(r"(?:`|run: |^    )make ([a-z-]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert {"test", "demo", "lint", "types"} <= called <= targets
