from pathlib import Path

import pytest

from edgekit.errors import ConversionError
from edgekit.targets.converting.process import run_converter


@pytest.mark.parametrize(
    ("mode", "reason"), [(0o644, "Permission denied"), (0o755, "Exec format error")]
)
def test_a_program_that_cannot_be_started_is_no_folder_that_cannot_be_written(
    tmp_path: Path, mode: int, reason: str
) -> None:
    program = tmp_path / "pnnx"
    program.write_bytes(b"\x7fELF for another processor")
    program.chmod(mode)
    with pytest.raises(ConversionError, match=f"cannot start pnnx: {program}: {reason}") as caught:
        run_converter([str(program)], name="pnnx", folder=tmp_path, hint="")
    assert "noexec" in caught.value.hint
