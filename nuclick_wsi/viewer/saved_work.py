"""What a user has marked on a slide, kept in the state folder while the page is open and after it is closed.

Each change has a number. A page that writes says which one it has seen: where another page has written since, nothing
is overwritten, and the user is asked.
"""

import hashlib
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from nuclick_wsi.errors import FileChangedError, ResultError
from nuclick_wsi.files import back_up
from nuclick_wsi.json_values import Json
from nuclick_wsi.shared_files import Stamp, replace_if_unchanged


@dataclass(frozen=True, slots=True)
class Work:
    """A document of the page, how often it has been saved, and when it last was; nothing yet where that is never."""

    document: Json
    revision: int = 0
    saved_at: str | None = None


class SavedWork:
    """The saved work on one slide.

    Parameters
    ----------
    folder
        Of the viewer's state; it need not exist.
    slide, fingerprint
        The slide's real path, and a name for its content.
    opened_with
        The file of prompts that the page was opened with: each has work of its own.
    """

    def __init__(self, folder: Path, slide: Path, fingerprint: str, opened_with: Path | None = None) -> None:
        key = "\n".join([str(slide), fingerprint, "" if opened_with is None else str(opened_with)])
        self.path = folder / f"{slide.name[:60]} {hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
        self._slide = slide
        self._guard = threading.Lock()

    def read(self) -> Work | None:
        """Return the work that was saved; None where there is none.

        Raises
        ------
        ResultError
            If the file cannot be read, or is none of ours.
        """
        content = self._content()
        return None if content is None else self._parsed(content)

    def write(self, document: Json, seen: int, *, force: bool = False) -> Work:
        """Save a document in the place of the one with the number that the page has seen.

        Parameters
        ----------
        force
            Save it also where another page has saved since; what that has saved is kept as a copy beside it.

        Raises
        ------
        FileChangedError
            If another page has saved since.
        ResultError
            If it cannot be written.
        """
        with self._guard:
            content = self._content()
            last = Work({}) if content is None else self._parsed(content)
            if last.revision != seen:
                if not force:
                    raise FileChangedError(
                        f"The marks on {self._slide.name} were changed in another tab or window, at {last.saved_at}."
                    )
                back_up(self.path)
            work = Work(document, last.revision + 1, datetime.now(UTC).isoformat(timespec="seconds"))
            written = {"slide": str(self._slide), "revision": work.revision, "saved_at": work.saved_at}
            stamp = None if content is None else Stamp.of(content)
            replace_if_unchanged(self.path, orjson.dumps({**written, "document": document}), stamp)
        return work

    def _content(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ResultError(f"{self.path}: cannot be read ({error.strerror or error}).") from error

    def _parsed(self, content: bytes) -> Work:
        try:
            found: Any = orjson.loads(content)
            return Work(dict(found["document"]), int(found["revision"]), found["saved_at"])
        except (ValueError, TypeError, KeyError) as error:
            raise ResultError(
                f"{self.path}: is damaged, so the marks in it cannot be shown. Move the file away to begin anew."
            ) from error
