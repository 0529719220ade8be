"""A seal says the same of a content that is read in parts as of one in memory."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nuclick_wsi.seals as seals_module
from nuclick_wsi.seals import SealedContent, blank_seal, hash_of, sealed, write_sealed
from nuclick_wsi.shared_files import Stamp


@given(st.binary(max_size=400), st.binary(max_size=400), st.integers(1, 500), st.booleans())
def test_a_content_read_in_parts_is_known_as_it_was_sealed_as_a_whole(
    before: bytes, after: bytes, part: int, is_edited: bool
) -> None:
    content = sealed(before + blank_seal("source").encode() + after)
    if is_edited:
        content += b" "
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seals_module, "_PART", part)
        found = SealedContent.of(io.BytesIO(content))
    assert found == SealedContent(Stamp.of(content), content[:300], hash_of("source"), not is_edited)


def test_a_file_written_in_parts_is_sealed_as_one_written_at_once(tmp_path: Path) -> None:
    parts = [b"head " + blank_seal("source").encode(), b" middle ", b"end"]
    write_sealed(tmp_path / "file", parts)
    assert (tmp_path / "file").read_bytes() == sealed(b"".join(parts))


def test_a_content_without_a_seal_is_made_from_nothing_known() -> None:
    found = SealedContent.of(io.BytesIO(b"nuclick-wsi/" + b"0" * 70))
    assert found.source is None
    assert not found.is_whole
