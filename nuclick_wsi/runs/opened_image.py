"""An image of a run with its slide open, checked and ready to be segmented."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nuclick_wsi.errors import SlideError
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import ImageInput
from nuclick_wsi.runs.report import ImageReport
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.context_keys import context_keys
from nuclick_wsi.segmentation.engine import Reading
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.slides.fingerprint import fingerprint, last_changed
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize, ResolvedPixelSize, resolve_pixel_size
from nuclick_wsi.slides.slide import Slide, require_size

_OTHER_SLIDE = "Point --slides at the right file, or choose another --reader."


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image with its slide, and how the slide is read for each kind of object."""

    image: ImageInput
    slide: Slide
    fingerprint: str
    """Of the slide's content."""
    changed: str
    """When it was changed last: with the fingerprint, what earlier results are of."""
    resolved: ResolvedPixelSize
    """Its pixel size, and why it is that."""
    readings: Sequence[Reading]

    @classmethod
    def of(
        cls, image: ImageInput, slide: Slide, given: GivenPixelSize | None, registry: ModelRegistry
    ) -> "OpenedImage":
        """Check a slide against its image.

        Parameters
        ----------
        given
            The user's pixel size.

        Raises
        ------
        SlideError
            If it is not the slide that was drawn on.
        PixelSizeError
            If its pixel size is not known.
        ModelError
            If there is no model for a kind of object.
        """
        require_size(slide.info, image.size, "the project drew on a slide of", _OTHER_SLIDE)
        resolved = resolve_pixel_size(slide.info, image.pixel_size, given)
        readings = [Reading.of(slide.info, resolved.size, registry.card(kind)) for kind in sorted(image.wanted)]
        path = slide.info.path
        return cls(image, slide, fingerprint(path), last_changed(path), resolved, readings)

    @property
    def pixel_size(self) -> PixelSize:
        """Of level 0."""
        return self.resolved.size

    def context_keys(self, registry: ModelRegistry) -> dict[ObjectKind, bytes]:
        """Return the keys of a result cache: they change with the slide, its reader, a model or the program."""
        identity = f"{self.fingerprint} {self.changed}"
        return context_keys(registry, self.image.wanted, identity, self.slide.info.reader, self.image.frame)

    def require_unchanged(self) -> None:
        """Refuse what was read of a slide that has been changed meanwhile; one that is gone was read before it went.

        Raises
        ------
        SlideError
            If it was changed since it was opened.
        """
        path = self.slide.info.path
        if path.exists() and last_changed(path) != self.changed:
            raise SlideError(f"{path} was changed while it was read, so nothing is written: run again.")

    def described_in(self, report: ImageReport) -> ImageReport:
        """Return a report that also says which slide it is and how it is read."""
        return replace(
            report,
            slide=self.slide.info.path,
            fingerprint=self.fingerprint,
            reader=self.slide.info.reader,
            pixel_size=self.pixel_size,
            pixel_size_source=self.resolved.source,
            readings=self.readings,
            remarks=[*report.remarks, *self.slide.info.remarks, *self.resolved.remarks],
        )
