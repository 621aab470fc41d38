"""Tests fresh environments, and what makes an installation count as broken."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from edgekit.errors import BadInputError, BoundError, UsageError
from release.environments import check, extras_of, fresh, install_line, pythons
from release.matrix import Installation, main, table
from release.sizes import LIMITS, check_sizes, rows

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with fresh(sys.executable, tmp_path_factory.mktemp("fresh") / "environment") as found:
        yield found


def test_a_fresh_environment_is_empty_and_of_the_same_python(place):
    assert place.version == sys.version.split()[0].rstrip("+")
    assert place.size() == 0


def test_an_environment_without_edgekit_does_not_pass(place):
    with pytest.raises(BoundError, match="program edgekit; it is not installed"):
        check(place, "0.1.0", "", kernels=False)


def test_a_program_that_fails_says_why(place):
    with pytest.raises(BoundError, match=r"(?s)python -c .* ended with 1: .*ZeroDivisionError"):
        place.run("python", "-c", "1 / 0")


def test_a_python_that_makes_no_environments_is_named(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no ensurepip here\nexit 1\n")
    python.chmod(0o755)
    with (
        pytest.raises(UsageError, match=r"Expected a Python with venv and pip.*no ensurepip here"),
        fresh(str(python), tmp_path / "place"),
    ):
        pass
    assert not (tmp_path / "place").exists()


def test_a_python_that_is_not_there_is_named(tmp_path):
    with (
        pytest.raises(UsageError, match=r"nowhere/python: No such file"),
        fresh("/nowhere/python", tmp_path / "place"),
    ):
        pass


def test_a_folder_without_a_release_and_an_unknown_extra_are_refused(tmp_path, capsys):
    assert main([str(tmp_path)]) == 3
    assert "found 0" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "edgekit_vision-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("edgekit_vision-1.dist-info/METADATA", "Provides-Extra: video\n")
    assert main([str(tmp_path), "--extras", "video,radio"]) == 2
    assert "Expected an extra: video; found 'radio'." in capsys.readouterr().err


def test_an_installation_that_fails_is_an_outcome(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "edgekit_vision-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("edgekit_vision-1.dist-info/METADATA", "Name: edgekit-vision\n")
    assert main([str(tmp_path), "--python", "/nowhere/python", "--extras", ""]) == 5
    assert "| device side | fails |" in capsys.readouterr().out


def test_only_supported_pythons_that_start_are_taken(tmp_path, monkeypatch):
    for name, content in {
        "python3.9": "#!/bin/sh\n",
        "python3.10": "#!/bin/sh\nexit 127\n",  # as pyenv does for a Python that is not chosen
        "python3.11": "#!/nowhere/python\n",
        "python3.12": "#!/bin/sh\n",
        "python3.99": "#!/bin/sh\n",
    }.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pythons() == [str(tmp_path / "python3.12")]


def test_the_line_of_the_readme_is_used(tmp_path):
    readme = (ROOT / "README.md").read_text()
    words = ["install", "--find-links", str(tmp_path)]
    assert install_line(readme, tmp_path) == [*words, "edgekit-vision"]
    assert install_line(readme, tmp_path, "video") == [*words, "edgekit-vision[video]"]
    with pytest.raises(BadInputError, match="README"):
        install_line("pip install edgekit-vision", tmp_path)


def test_extras_for_developers_are_left_out(tmp_path):
    path = tmp_path / "edgekit.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        names = ("video", "dev", "mutation", "release", "all")
        extras = "".join(f"Provides-Extra: {name}\n" for name in names)
        wheel.writestr("edgekit_vision-1.dist-info/METADATA", f"Name: edgekit-vision\n{extras}")
    assert extras_of(path) == ["video", "all"]


def test_the_table_of_installations_names_failures():
    text = table(
        [
            Installation("3.11.7", "", ""),
            Installation("3.11.7", "video", ""),
            Installation("3.14.0", "", "no wheel for numpy"),
        ]
    )
    assert text.splitlines() == [
        "| installed | 3.11.7 | 3.14.0 |",
        "| --- | --- | --- |",
        "| device side | works | fails |",
        "| video | works | not tried |",
        "",
        "3.14.0, device side: no wheel for numpy",
    ]


def test_sizes_are_listed_and_limited(tmp_path):
    (tmp_path / "edgekit_vision-1-py3-none-any.whl").write_bytes(bytes(1 << 20))
    sizes = {opencv: limit << 20 for opencv, limit in LIMITS.items()}
    assert rows(tmp_path, sizes)[2] == "| `edgekit_vision-1-py3-none-any.whl` | 1.0 |"
    assert len(rows(tmp_path, sizes)) == 3 + len(LIMITS)
    check_sizes(sizes)
    for opencv, limit in LIMITS.items():
        with pytest.raises(BoundError, match=f"at most {limit} MiB installed with {opencv}"):
            check_sizes(sizes | {opencv: (limit << 20) + 1})
