"""All kinds of input that are fuzzed."""

from fuzz import connections, marks, models, pictures, projects
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    **marks.TARGETS,
    **projects.TARGETS,
    **connections.TARGETS,
    **pictures.TARGETS,
    **models.TARGETS,
}
SHARES = {**dict.fromkeys(TARGETS, 10), "slide": 3, "model": 3, "packed geojson": 2, "checkpoint": 5, "http": 1}
"""Of all inputs; some kinds take long."""
