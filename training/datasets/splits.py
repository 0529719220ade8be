"""The fixed splits of the data sets that the shipped weights come from: by patient, never by patch.

Test images are held out: they are used neither for training nor for model selection. Validation images choose
thresholds and settings; all others are for training.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """Which images are for validation and which for testing; every other image of the folder is for training.

    Attributes
    ----------
    validation, test
        Prefixes of file names; an image belongs to the part that has a prefix of its name.
    train
        Prefixes likewise, or None for all that is left.
    """

    validation: tuple[str, ...]
    test: tuple[str, ...] | None
    train: tuple[str, ...] | None

    @property
    def has_test(self) -> bool:
        """Whether any image is held out for testing."""
        return self.test != ()

    def part_of(self, name: str) -> str:
        """Return `train`, `validation` or `test` for an image's name."""
        parts = (("validation", self.validation), ("train", self.train), ("test", self.test))
        named = [part for part, prefixes in parts if prefixes and _begins(name, prefixes)]
        return named[0] if named else "test" if self.test is None else "train"


def _begins(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a name is one of the prefixes, or goes on with something other than a digit or letter."""
    return any(name.startswith(p) and not name[len(p) : len(p) + 1].isalnum() for p in prefixes)


def _tcga(*codes: str) -> tuple[str, ...]:
    return tuple(f"TCGA-{code}" for code in codes)


# MoNuSeg: 4 x 4 images of breast, kidney, liver and prostate train, as in Kumar et al. (2017) and the NuClick paper;
# the other 14 (two of each of these organs, and bladder, colon, stomach) test. Five of the 16 choose settings.
MONUSEG = Split(
    validation=_tcga("18-5592", "A7-A13F", "AR-A1AS", "HE-7128", "G9-6363"),
    train=_tcga(
        "A7-A13E", "AR-A1AK", "B0-5711", "HE-7129", "HE-7130", "38-6178", "49-4488", "50-5931",
        "G9-6336", "G9-6348", "G9-6356",
    ),
    test=None,
)  # fmt: skip

# GlaS training part: patients by Grade.csv. Test: 3, 4, 11, 13 (17 images, 9 benign); validation: 8, 14, 15, 16.
GLAS = Split(
    validation=("train_41", "train_7", "train_84", "train_36", "train_50"),
    test=(
        "train_4", "train_52", "train_55", "train_6", "train_17", "train_19", "train_58", "train_75",
        "train_15", "train_56", "train_67", "train_80",
        "train_5", "train_57", "train_81", "train_83",
        "train_12",
    ),
    train=None,
)  # fmt: skip


def _numbers(*runs: tuple[int, int], digits: int = 3) -> tuple[str, ...]:
    return tuple(f"{number:0{digits}d}" for first, last in runs for number in range(first, last + 1))


# White blood cells of Jiangxi Tecom, one per picture, by cell. Nothing says which patient a cell is from; pictures that
# follow each other are alike, so a part is made of runs of them, from each of the three stains (1-93 violet on yellow,
# 94-200 magenta on yellow, 201-284 on white). The fourth one (285-300, blurred, on white) is in test alone.
# The single numbers are copies of cells of that part.
WBC = Split(
    validation=(*_numbers((13, 20), (95, 99), (120, 124), (148, 154), (185, 188), (256, 265)), "075"),
    test=(
        *_numbers((41, 52), (78, 81), (108, 114), (131, 137), (160, 166), (197, 198), (231, 242), (285, 300)),
        *("073", "139", "171"),
    ),
    train=None,
)

WBC_COPIES: Mapping[str, str] = {
    "072": "070", "073": "051", "075": "019", "082": "021", "084": "071", "086": "030", "089": "026", "090": "060",
    "091": "054", "092": "056", "139": "112", "158": "157", "169": "167", "171": "166",
}  # fmt: skip
"""Pictures that show a cell once more, and the first picture of it; composing takes the first alone."""

# NuInsSeg: its files follow each other by organ, and those of one slide lie together: runs of twelve.
NUINSSEG = Split(
    validation=_numbers((41, 52), (173, 184), (305, 316), (437, 448), (569, 580)),
    test=_numbers((107, 118), (239, 250), (371, 382), (503, 514), (635, 646)),
    train=None,
)

# The same, where another set's images choose the threshold.
NUINSSEG_BESIDE = Split(validation=(), test=NUINSSEG.test, train=None)

# Three sets of brain. Nothing says which patient an image of the first and the last is from: runs of files.
GBM40 = Split(validation=(), test=tuple(f"{number:02d}" for number in range(31, 41)), train=None)
TCGA_LGG = Split(validation=(), test=_tcga("DU-8165"), train=None)
CPM15 = Split(validation=(), test=tuple(f"image{number}" for number in range(11, 16)), train=None)

# BCCD: nothing says which smear a picture is from, and pictures that follow each other are alike (crowded red cells up
# to 160, pale separate ones after it): runs of each, in both.
BCCD = Split(
    validation=_numbers((24, 33), (74, 83), (124, 133), (206, 215), (262, 271), (318, 327), (374, 383), digits=5),
    test=_numbers((48, 57), (98, 109), (148, 157), (232, 241), (290, 299), (346, 355), (398, 410), digits=5),
    train=None,
)

# ALL-IDB2: blasts up to 130, healthy cells after them. Nothing says which patient a cell is from, and pictures that
# follow each other are often of one smear: runs of each.
ALLIDB2 = Split(
    validation=tuple(f"Im{number}" for number in _numbers((38, 45), (116, 123), (168, 175), (246, 253))),
    test=tuple(f"Im{number}" for number in _numbers((11, 20), (51, 60), (91, 100), (141, 150), (181, 190), (221, 230))),
    train=None,
)

EVERYTHING_TRAINS = Split(validation=(), test=(), train=None)

# Purple-stained tissue of BBBC038, every tenth picture, for models that it alone trains.
DSB_ALONE = Split(
    validation=(
        "0c2550a23b8a0f29", "1ec74a26e772966d", "3934a094e8537841", "4ca5081854df7bbc", "5c6eb9a47852754d",
        "708eb41a3fc8f2b6", "87ea72894f6534b2", "a31deaf0ac279d5f", "af576e8ec3a8d0b5", "c1afe66cd139f996",
        "f4b7c24baf69b875",
    ),
    test=(),
    train=None,
)  # fmt: skip

SPLITS: Mapping[str, Split] = {
    "monuseg": MONUSEG,
    "glas_train": GLAS,
    "nuinsseg": NUINSSEG,
    "gbm40": GBM40,
    "tcga_lgg": TCGA_LGG,
    "cpm15": CPM15,
    "dsb2018_histology": EVERYTHING_TRAINS,
    "wbc_jtsc": WBC,
    "bccd_wbc": BCCD,
    "allidb2": ALLIDB2,
}
