"""A number that an outline carries in QuPath as a measurement, and that tells whether it is still as it was written.

The other half, which compares, is Exchange.groovy of the menu.
"""

import zlib

MARK = "NuClick: Mark"

_END = 1 << 24


def mark_of(prompt_id: str, object_type: str, class_name: str) -> int:
    """Return a digest of what a user can change of an outline, and of its id, which a copy does not share.

    The outline itself need not be part of it: QuPath takes an object's measurements away where that changes. A
    measurement it must be, because QuPath 0.4 and 0.5 refuse other data on detections; and because it keeps those of
    detections in single precision, the digest has 24 bits.
    """
    return zlib.crc32(f"{prompt_id}|{object_type}|{class_name}".encode()) % _END
