"""All kinds of input that are fuzzed."""

from fuzz import connections, foreign, marks, models, pictures, projects
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    **marks.TARGETS,
    **projects.TARGETS,
    **connections.TARGETS,
    **pictures.TARGETS,
    **foreign.TARGETS,
    **models.TARGETS,
}
SHARES = {
    **dict.fromkeys(TARGETS, 10),
    **{"checkpoint": 5, "slide": 3, "model": 3, "packed geojson": 2, "http": 1, "foreign": 1},
}
"""Of all inputs; some kinds take long."""
