"""Outlines of an earlier run that stay in a file of results, because their prompts could not be computed this time.

They are marked as outlines of an earlier run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from nuclick_wsi.errors import ResultError
from nuclick_wsi.json_values import Json

GENERATOR = "nuclick-wsi"
"""The generator that a collection of results names."""
NUCLEI = "nuclei"
"""The entry of a collection that says which nucleus, by its prompt's id, is in which cell."""
FROM_EARLIER = "NuClick: From an earlier run"
"""The measurement that marks an outline which could not be computed anew; 1 where it is there."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Features of an earlier run.

    Attributes
    ----------
    nuclei
        Which nucleus, by its prompt's id, is in which cell among them.
    """

    features: Sequence[Json] = ()
    nuclei: Mapping[str, str] = field(default_factory=dict)

    @property
    def prompts(self) -> frozenset[str]:
        """The ids of the prompts that they answer."""
        return frozenset([*(feature["id"] for feature in self.features), *self.nuclei.values()])


NOTHING = Earlier()


def earlier_results(path: Path, prompts: Collection[str]) -> Earlier:
    """Return the features of some prompts in a file of results; none where there is no such file.

    A cell with a nucleus inside is one object, which stays whole where either of its two prompts is among them.

    Raises
    ------
    ResultError
        If the file cannot be read.
    """
    if not prompts or not path.is_file():
        return NOTHING
    try:
        collection = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ResultError(
            f"{path}: cannot be read ({error}), and outlines of earlier runs are to be kept from it, because the slide "
            "could not be read there. Put the file right or take it away, and run again; what was computed is "
            "remembered."
        ) from error
    if not isinstance(collection, dict) or collection.get("generator") != GENERATOR:
        return NOTHING
    nuclei = collection.get(NUCLEI, {})
    kept = [one for one in collection["features"] if one.get("id") in prompts or nuclei.get(one.get("id")) in prompts]
    inside = {one["id"]: nuclei[one["id"]] for one in kept if one["id"] in nuclei}
    return Earlier([_marked(one) for one in kept], inside)


def _marked(feature: Json) -> Json:
    properties = feature.get("properties") or {}
    measurements = {**(properties.get("measurements") or {}), FROM_EARLIER: 1}
    return {**feature, "properties": {**properties, "measurements": measurements}}
