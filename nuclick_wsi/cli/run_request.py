"""What `nuclick-wsi run` was asked to do, as the command line or a program says it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nuclick_wsi.choices import LOOK_AT_BELOW, GlandMode, ModelTerms, ObjectType, Precision, ProjectAccess, ReaderChoice
from nuclick_wsi.exports.export import ExportChoice
from nuclick_wsi.paths import existing
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.segmentation.settings import MaskSettings, OutlineSettings


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `nuclick-wsi run` was asked to do."""

    target: Path
    slide: Path | None = None
    slides: Path | None = None
    clicks_groups: Sequence[str] = ()
    squiggles_groups: Sequence[str] = ()
    objects: ObjectChoice = ObjectChoice.AUTO
    models: Sequence[str] = ()
    terms: ModelTerms = ModelTerms.ANY
    images: Sequence[str] = ()
    mpp: float | None = None
    force_mpp: float | None = None
    reader: ReaderChoice = ReaderChoice.AUTO
    device: str = "auto"
    precision: Precision = Precision.SINGLE
    tta: bool = False
    batch_size: int | None = None
    threads: int | None = None
    as_type: ObjectType = ObjectType.DETECTION
    masks: MaskSettings = MaskSettings()
    gland_mode: GlandMode = GlandMode.CROP
    outlines: OutlineSettings = OutlineSettings()
    out: Path | None = None
    look_at_below: float = LOOK_AT_BELOW
    preview: bool = False
    exports: ExportChoice = ExportChoice()
    cluster: str | None = None
    dry_run: bool = False
    fresh: bool = False
    retry_failed: bool = False
    project_access: ProjectAccess = ProjectAccess.AUTO

    def found(self) -> "RunRequest":
        """Return it with the paths that it means, which may be written in another case or Unicode form."""
        return replace(
            self,
            target=existing(self.target),
            slide=self.slide and existing(self.slide),
            slides=self.slides and existing(self.slides),
        )
