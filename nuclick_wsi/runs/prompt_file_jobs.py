"""A file of prompts as the jobs of a run: one slide, or each slide that a table names."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from nuclick_wsi.choices import ObjectType, ReaderChoice
from nuclick_wsi.errors import SettingsError, SlideError
from nuclick_wsi.formats.prompt_files import is_table, read_prompts, read_table_file
from nuclick_wsi.formats.prompt_table import same_slide
from nuclick_wsi.ownership import source_name
from nuclick_wsi.paths import comparable, existing, told_apart
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.runs.jobs import GeoJsonSink, ImageInput, Job, file_stem
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.lookup import NOWHERE, SlideFolders, find_slide_of, images_in
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize, resolve_pixel_size
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.readers.ome_zarr_reader import is_zarr_folder
from nuclick_wsi.slides.slide import Frame

_LINES_ARE_CLICKS = "In a table, each line with an x and a y is a click."


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A file of prompts, and what a run on it needs to know.

    Attributes
    ----------
    slide
        Of all prompts; None where a table says it, or it is beside the file under its name.
    folders
        Where to look for slides that are not in their place.
    pixel_size
        That the user gives, for positions in microns.
    """

    path: Path
    out: Path
    slide: Path | None = None
    folders: SlideFolders = NOWHERE
    objects: ObjectChoice = ObjectChoice.AUTO
    as_type: ObjectType = ObjectType.DETECTION
    reader: ReaderChoice = ReaderChoice.AUTO
    pixel_size: GivenPixelSize | None = None

    def jobs(self) -> list[Job]:
        """Return a job for each slide.

        Raises
        ------
        SettingsError
            If it is not known of which slide the prompts are.
        PromptError
            If the file is a table that cannot be read.
        """
        if self.slide is None and is_table(self.path) and (names := read_table_file(self.path).slides):
            return list(self._jobs_of_table(names))
        slide = self.slide or self._beside()
        return [self._job(slide, file_stem(f"{self.path.name} {slide.name}"), self.path.name)]

    def _beside(self) -> Path:
        try:
            return find_slide_of(self.path, self.folders)
        except SlideError as error:
            raise SettingsError(f"{self.path} does not say which slide it is of: add --slide FILE. {error}") from error

    def _jobs_of_table(self, names: Sequence[str]) -> Iterator[Job]:
        """Yield a job for each slide, under a name of its own; a slide that is not found fails alone."""
        lasts = Counter(comparable(_pure(name).name) for name in names)
        taken: Counter[str] = Counter()
        for name in names:
            pure = _pure(name)
            shown = pure.name if lasts[comparable(pure.name)] == 1 else "_".join(pure.parts)
            stem = file_stem(f"{self.path.name} {shown}")
            taken[comparable(stem)] += 1
            number = taken[comparable(stem)]
            yield self._job(name, stem if number == 1 else f"{stem} ({number})", f"{self.path.name}: {name}")

    def _job(self, slide: Path | str, stem: str, name: str) -> Job:
        source = source_name(self.out, self.path, *([slide] if isinstance(slide, Path) else []))
        identity = source if isinstance(slide, Path) else f"{source}\n{slide}"
        sink = GeoJsonSink(self.out / f"{stem}.geojson", self.as_type, identity)
        return Job(name, stem, partial(self._read, slide), sink, identity)

    def _read(self, slide: Path | str) -> ImageInput:
        """Read the prompts on a slide; their positions are QuPath's, which crops a slide to its bounds."""
        find_slide = partial(self._find, slide)
        prompts = read_prompts(
            self.path, self.objects, slide=slide, pixel_size=lambda: self._pixel_size_of(find_slide())
        )
        found = ImageInput(prompts, find_slide, Frame.BOUNDS, class_colors=prompts.class_colors)
        return replace(found, prompts_are=_LINES_ARE_CLICKS, names_no_unit=True) if is_table(self.path) else found

    def _find(self, slide: Path | str) -> Path:
        """Return a slide's file: as it is named, as seen from the table or from here, else by its name."""
        if isinstance(slide, Path):
            return slide
        wanted, beside = _pure(slide), self.path.parent
        for place in (beside.joinpath(*wanted.parts), Path(*wanted.parts), beside / wanted.name):
            if (found := existing(place)).is_file() or is_zarr_folder(found):
                return found
        candidates = self.folders.candidates(wanted) or self._without_suffix(slide)
        if len(candidates) == 1:
            return candidates[0]
        names = ", ".join(told_apart(list(map(str, candidates))))
        seen = f"{len(candidates)} files have its name: {names}" if candidates else "it was not found"
        raise SlideError(
            f"{self.path} names the slide {slide}, and {seen}. Write its path as seen from the table, or name the "
            "folder that holds it with --slides."
        )

    def _without_suffix(self, slide: str) -> list[Path]:
        found = [*images_in(self.path.parent), *self.folders.images()]
        return [path for path in dict.fromkeys(found) if same_slide(path.name, slide)]

    def _pixel_size_of(self, slide: Path) -> PixelSize:
        with open_slide(slide, reader=self.reader) as opened:
            return resolve_pixel_size(opened.info, None, self.pixel_size).size


def _pure(slide: str) -> PurePath:
    return PureWindowsPath(slide) if "\\" in slide or slide[1:2] == ":" else PurePosixPath(slide)
