"""The output of `weights`: a table of the shipped models, and one model's card in full."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nuclick_wsi.choices import ModelTerms
from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.card import ModelCard, default_model, find_model, read_card, shipped_models
from nuclick_wsi.prompts import ObjectKind


def print_models(console: Console) -> None:
    """Print a table of the shipped models."""
    cards = {path: read_card(path) for path in shipped_models().values()}
    table = Table(caption="--terms open takes only models that may be used for anything.", caption_justify="left")
    for heading in ("name", "may be used for", "terms", "object", "crop", "MB", "best score"):
        table.add_column(heading, overflow="fold")
    for path, card in cards.items():
        table.add_row(
            f"{path.stem}{_default_for(path, card.kind)}",
            _use(card),
            card.terms,
            card.kind.value,
            f"{card.crop_size} px of {card.mpp} um",
            f"{path.stat().st_size / 1e6:.1f}",
            "\n".join(f"{score.metric} {score.value:.4f}" for score in card.scores[:3]),
        )
    console.print(table)


def _use(card: ModelCard) -> str:
    return "anything" if card.open_terms else "limited use"


def _default_for(path: Path, kind: ObjectKind) -> str:
    """Return in brackets whether a kind is served by this model unless the user names one."""
    if path == default_model(kind):
        return " (default)"
    try:
        return " (default for --terms open)" if path == default_model(kind, ModelTerms.OPEN) else ""
    except ModelError:
        return ""


def plain_models() -> list[dict[str, object]]:
    """Return the cards of the shipped models, as JSON has them."""
    cards = {path: read_card(path) for path in shipped_models().values()}
    return [{**_plain(card, path), "is_default": path == default_model(card.kind)} for path, card in cards.items()]


def plain_card(model: str) -> dict[str, object]:
    """Return a model's card as JSON has it; errors as `print_card`."""
    path = find_model(model)
    return _plain(read_card(path), path)


def print_card(console: Console, model: str) -> None:
    """Print everything that a model's card says.

    Raises
    ------
    ModelError
        If there is no such model, or it has no card.
    """
    path = find_model(model)
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _entries(read_card(path)):
        table.add_row(name, value)
    table.add_row("file", str(path))
    console.print(table)


def _plain(card: ModelCard, path: Path) -> dict[str, object]:
    return {**json.loads(card.to_json()), "file": str(path)}


def _entries(card: ModelCard) -> list[tuple[str, str]]:
    return [
        ("name", card.name),
        ("may be used for", _use(card)),
        ("terms", card.terms),
        ("object", card.kind.value),
        ("network", f"{card.architecture} {dict(card.config)}"),
        ("crop", f"{card.crop_size} px of {card.mpp} um"),
        ("threshold", f"{card.threshold:.2f}"),
        ("smallest object", f"{card.smallest_um2:g} um2"),
        ("holes filled up to", f"{card.fill_holes_um2:g} um2"),
        ("trained on", "\n".join(f"{source.name} ({source.licence})" for source in card.data)),
        ("split", card.split),
        ("settings", ", ".join(_setting(name, value) for name, value in card.settings.items())),
        ("scores", "\n".join(f"{s.metric} {s.value:.4f} on {s.data}: {s.command}" for s in card.scores)),
        ("bad at", card.limits),
        ("why this network", card.choice or "not compared with another"),
        ("made", card.created.isoformat()),
    ]


def _setting(name: str, value: object) -> str:
    """Return a setting in words; of a model's parent only which file it is."""
    if name == "parent" and isinstance(value, dict) and {"name", "created", "sha256"} <= value.keys():
        return f"parent {value['name']} of {value['created']} (SHA-256 {value['sha256']!s:.12})"
    return f"{name} {value}"
