"""`python -m nuclick_training fit|finish|fine-tune|average|calibrate|compose`: train a network, make a model of it."""

import argparse
import sys

from nuclick_training.averaging import add_average
from nuclick_training.calibrating import add_calibrate
from nuclick_training.commands import add_fine_tune, add_finish, add_fit
from nuclick_training.synthesis.composing import add_compose
from nuclick_wsi.errors import NuclickError


def main(arguments: list[str] | None = None, program: str = "python -m nuclick_training") -> None:
    """Run the command line; a user's mistake is a `NuclickError`."""
    options = _parser(program).parse_args(arguments)
    options.run(options)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="Train networks, and make models of them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_fit(commands.add_parser("fit", help="train a network by a recipe"))
    add_finish(commands.add_parser("finish", help="make a model file of a run"))
    add_fine_tune(commands.add_parser("fine-tune", help="fine-tune a model on corrected objects of your own"))
    add_average(commands.add_parser("average", help="average the weights of models that come from each other"))
    add_calibrate(commands.add_parser("calibrate", help="fit how sure the outlines of an existing model are"))
    add_compose(commands.add_parser("compose", help="write pictures of touching white blood cells"))
    return parser


if __name__ == "__main__":
    try:
        main()
    except NuclickError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        sys.exit(mistake.exit_code)
