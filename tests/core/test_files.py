from __future__ import annotations

import pytest

from ethomorph.core.files import atomic_path, write_text


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_folders_are_made(tmp_path):
    assert write_text(tmp_path / "x" / "y" / "a.txt", "new").read_text() == "new"
