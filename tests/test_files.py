import pytest

from helpers._files import whole


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    with whole(path) as part:
        part.write_text("old")
    with pytest.raises(RuntimeError), whole(path) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file"]
