"""Error answers of the local server: a status, and JSON that says what is wrong and what to do."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from starlette.responses import Response

from nuclick_wsi.errors import (
    ModelError,
    NotAllowedError,
    NuclickError,
    PixelSizeError,
    PromptError,
    RequestError,
    SettingsError,
    SlideError,
)

_HINTS: Mapping[type[NuclickError], tuple[int, str]] = {
    RequestError: (400, "docs/server.md shows a whole request."),
    PromptError: (400, "Send the objects as QuPath's exportObjectsToGeoJson writes them."),
    SettingsError: (400, "docs/server.md lists the options and what each accepts."),
    SlideError: (422, "Check that the slide is there and opens in QuPath."),
    PixelSizeError: (422, "Set the pixel size in QuPath: Image tab, double-click on the pixel width."),
    ModelError: (422, "Start the server with --model FILE for this kind of object, or ask for another."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what to do about it."""

    status: int
    error: str
    hint: str

    @classmethod
    def of(cls, error: Exception) -> "Problem":
        """Return the answer to an error; one that is not a `NuclickError` is a defect and goes to the server's log."""
        if isinstance(error, NotAllowedError):
            return cls(403, str(error), f'Start the server with --allow "{error.folder}".')
        for kind, (status, hint) in _HINTS.items():
            if isinstance(error, kind):
                return cls(status, str(error), hint)
        if isinstance(error, NuclickError):
            return cls(422, str(error), "")
        logging.getLogger(__name__).error("A request failed", exc_info=error)
        what = f"A fault of nuclick-wsi ({type(error).__name__}: {error})."
        return cls(500, what, "Please report it with the server's log.")

    def body(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps({"error": self.error, "hint": self.hint})

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """Return it as an HTTP response."""
        return Response(self.body(), self.status, headers, media_type="application/json")
