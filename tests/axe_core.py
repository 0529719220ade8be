"""axe-core (MPL-2.0), which finds faults of web pages for users of keyboards and screen readers: for tests alone.

npm fetches it once into the user's cache; where there is no npm or no network, tests with it are skipped.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

VERSION = "4.14.1"
SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"


def axe_script() -> str:
    """Return the script, which defines `axe`."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nuclick-wsi-tests"
    package = folder / f"axe-core-{VERSION}.tgz"
    if not package.exists():
        _fetch(folder)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    assert digest == SHA256, f"{package} is not the axe-core that was looked at: delete it"
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core is fetched by npm, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", f"axe-core@{VERSION}", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("axe-core cannot be fetched: npm has not ended after two minutes")
    if done.returncode != 0:
        pytest.skip(f"axe-core cannot be fetched: {done.stderr.strip()[-200:]}")
