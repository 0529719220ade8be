"""`python -m nuclick_training.curves RUN`: draw the learning curves of a run from its log."""

import argparse
import csv
from pathlib import Path

from nuclick_training.datasets.data import DataError
from nuclick_training.evaluation.plots import learning_curves
from nuclick_training.fitting.training_log import LOG
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.ownership import require_free, write_picture

_COLUMNS = ("minutes", "loss")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m nuclick_training.curves", description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of the run: --out of `python -m nuclick_training fit`")
    parser.add_argument("--save", type=Path, default=None, help="the .png to write; else curves.png in the run")
    options = parser.parse_args(arguments)
    try:
        if options.save:
            require_free(options.save)
        picture = learning_curves(read_log(options.run / LOG))
        if options.save:
            write_atomically(options.save, picture)
            print(options.save)
            return
        place = write_picture(options.run / "curves.png", picture, LOG)
    except NuclickError as error:
        parser.error(str(error))
    print("\n".join([str(place.path), *place.remarks]))


def read_log(path: Path) -> dict[str, list[float]]:
    """Return the columns of a run's log that are drawn; no Dice of a run without validation objects.

    Raises
    ------
    DataError
        The log is missing, empty or no log.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [*_COLUMNS, *(["dice"] if rows and "dice" in rows[0] else [])]
        columns = {name: [float(row[name]) for row in rows] for name in names}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the folder of a training run.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not the log of a run: it needs numbers under {', '.join(_COLUMNS)}.") from error
    if not rows:
        raise DataError(f"{path} has no line yet; the first comes with the first check.")
    return columns


if __name__ == "__main__":
    main()
