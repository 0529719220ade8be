"""Outlines of a slide on which a program marks one object after the other, and takes marks back."""

from nuclick_wsi.accepted import one_of
from nuclick_wsi.instances import Instance, Rejection
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Role, Squiggle, prompt_id
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import Outcome, segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.result_cache import Decoded
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.slides.pixel_sizes import resolve_pixel_size
from nuclick_wsi.slides.slide import Slide

_IGNORED = "Ignore*"
"""The class of what is marked as something else, as in QuPath."""


class Session:
    """Marks on one slide, and their outlines at any time.

    The outlines are always those that `segment` gives for all marks at once: a mark changes those near it. Only
    what a new mark changes goes through the network, and tissue that it has seen lately is not encoded again.

    Parameters
    ----------
    slide
        Stays open as long as the session is used.
    models
        The models to use; the shipped ones where there are none.
    pixel_size
        Of level 0 in microns, one number or two; None for what the slide says.

    Raises
    ------
    PixelSizeError
        If neither says the pixel size.
    """

    def __init__(
        self,
        slide: Slide,
        models: ModelRegistry | None = None,
        pixel_size: PixelSize | float | None = None,
        settings: Settings = Settings(),
    ) -> None:
        self._slide = slide
        self._models = models or ModelRegistry()
        given = None if pixel_size is None else PixelSize.of(pixel_size)
        self._pixel_size = given or resolve_pixel_size(slide.info).size
        self._settings = settings
        self._marks: list[Prompt] = []
        self._known = _KnownResults()
        self._outcome: Outcome | None = None

    def click(
        self, x: float, y: float, kind: ObjectKind | str = ObjectKind.NUCLEUS, class_name: str | None = None
    ) -> Instance | Rejection:
        """Mark an object by a position inside it, in slide pixels; return its outline, or why it has none."""
        return self._add(Click((x, y)), kind, class_name)  # type: ignore[arg-type]  # any pair

    def squiggle(
        self, strokes: object, kind: ObjectKind | str = ObjectKind.GLAND, class_name: str | None = None
    ) -> Instance | Rejection:
        """Mark an object by a line through it, [(x, y), ...], or by several; return its outline, or why it has none."""
        return self._add(Squiggle(strokes), kind, class_name)  # type: ignore[arg-type]  # it checks them

    def ignore(self, x: float, y: float) -> None:
        """Mark a position as something else: the outlines around it leave it out."""
        # Of whatever kind: `prompts` makes one mark of each kind in use.
        self._append(Click((x, y)), ObjectKind.NUCLEUS, _IGNORED, Role.EXCLUDE_ONLY)  # type: ignore[arg-type]

    def undo(self) -> bool:
        """Take back the last mark; return False where there is none."""
        if not self._marks:
            return False
        self._marks.pop()
        self._outcome = None
        return True

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All marks, as `segment` takes them."""
        wanted = [mark for mark in self._marks if mark.role is Role.SEGMENT]
        ignored = [mark for mark in self._marks if mark.role is Role.EXCLUDE_ONLY]
        kinds = sorted({mark.kind for mark in wanted})
        return (
            *wanted,
            *(
                Prompt(one.id, kind, one.signal, one.class_name, one.plane, one.role)
                for one in ignored
                for kind in kinds
            ),
        )

    @property
    def outcome(self) -> Outcome:
        """The outlines and rejections of all marks."""
        if self._outcome is None:
            self._outcome = segment(
                self._slide, self.prompts, self._models, self._pixel_size, self._settings, cache=self._known
            )
        return self._outcome

    def _add(self, signal: Click | Squiggle, kind: ObjectKind | str, class_name: str | None) -> Instance | Rejection:
        new = self._append(signal, one_of(ObjectKind, kind, "The kind"), class_name, Role.SEGMENT)
        try:
            found: list[Instance | Rejection] = [*self.outcome.instances, *self.outcome.rejections]
        except BaseException:
            self.undo()  # a mark that raises, for want of a model say, is none
            raise
        return next(one for one in found if one.prompt_id == new.id)

    def _append(self, signal: Click | Squiggle, kind: ObjectKind, class_name: str | None, role: Role) -> Prompt:
        source = f"{kind}|{class_name or ''}"
        before = sum(
            mark.signal == signal and (mark.kind, mark.class_name) == (kind, class_name) for mark in self._marks
        )
        mark = Prompt(prompt_id(source, signal, before), kind, signal, class_name, role=role)
        self._marks.append(mark)
        self._outcome = None
        return mark


class _KnownResults:
    """The result of each mark under each surrounding that it has had, so that taking marks back computes nothing."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bytes], Decoded] = {}

    def recall(self, prompt: Prompt, digest: bytes) -> Decoded | None:
        """Return the result of a mark with these inputs; None where it is not known."""
        return self._kept.get((prompt.id, digest))

    def remember(self, prompt: Prompt, digest: bytes, decoded: Decoded) -> None:
        """Keep the result of a mark."""
        self._kept[prompt.id, digest] = decoded
