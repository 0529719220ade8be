import shutil
from pathlib import Path

import pytest

from nuclick_wsi.cli.doctor import Health, _models
from nuclick_wsi.errors import ModelError
from nuclick_wsi.models import card, manifest
from nuclick_wsi.models.card import shipped_models
from nuclick_wsi.models.manifest import NAME, read_manifest, renew_manifest, require_shipped, sha256_of, write_manifest


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models of which one may be changed."""
    shutil.copy(shipped_models()["nuclei"], tmp_path)
    for module in (card, manifest):
        monkeypatch.setattr(module, "MODELS", tmp_path)
    write_manifest()
    return tmp_path / "nuclei.safetensors"


def test_the_manifest_names_every_shipped_model_as_it_is() -> None:
    found = {name: sha256_of(path) for name, path in shipped_models().items()}
    assert read_manifest() == found, "a shipped model has changed: run `python -m nuclick_training.manifest`"


def test_doctor_finds_a_model_that_is_not_the_one_that_was_shipped(shipped: Path) -> None:
    assert next(_models()).health is Health.GOOD
    data = bytearray(shipped.read_bytes())
    data[-1] ^= 1
    shipped.write_bytes(data)
    finding = next(_models())
    assert (finding.health, finding.advice) == (Health.BAD, "install nuclick-wsi again")
    assert "is not the file that was shipped" in finding.seen
    renew_manifest(shipped)
    require_shipped("nuclei", shipped)


def test_a_model_that_is_not_shipped_renews_nothing(shipped: Path, tmp_path: Path) -> None:
    before = (tmp_path / NAME).stat().st_mtime_ns
    (tmp_path / "other").mkdir()
    renew_manifest(Path(shutil.copy(shipped, tmp_path / "other")))
    assert (tmp_path / NAME).stat().st_mtime_ns == before


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"abc  nuclei.safetensors\n"])
def test_without_a_whole_manifest_no_model_is_taken_for_the_shipped_one(content: bytes | None, shipped: Path) -> None:
    path = shipped.with_name(NAME)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError):
        require_shipped("nuclei", shipped)
