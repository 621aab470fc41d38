"""Makes a release in ``dist``, and checks it: ``make release``.

    python -m release --key ~/.ssh/id_ed25519
    python -m release --rehearsal --python python3.12 --extras video,serve

The release is built from the last commit. docs/releasing.md describes each step. The exit status is
5 if a check fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import BoundError, ConversionError, EdgeKitError, UsageError
from edgekit.files.checksums import sha256_of
from release.artifacts import build_from_clone, differences, pack, tool
from release.environments import Environment, pythons
from release.inventory import licences, write_sbom
from release.matrix import install_everywhere, table
from release.preflight import check_release
from release.signing import HASHES, sign, write_hashes
from release.sizes import check_sizes, installed_sizes, rows
from release.sources import commit_of, commit_time

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Makes the release, prints its files, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("dist"), help="default: dist")
    parser.add_argument("--key", type=Path, help="SSH key that signs the hashes")
    parser.add_argument("--rehearsal", action="store_true", help="changes may be unreleased")
    parser.add_argument("--python", action="append", help="default: each supported one on PATH")
    parser.add_argument("--extras", help="extras to install, with commas; default: each")
    parser.add_argument("--docs", type=Path, help="folder of the built documentation")
    given = parser.parse_args(arguments)
    try:
        version = check_release(Path(), rehearsal=given.rehearsal)
        commit, time = commit_of(Path()), commit_time(Path())
        _say(f"EdgeKit {version}, commit {commit[:12]}")
        _build(given.out, commit)
        extras = [*filter(None, given.extras.split(","))] if given.extras is not None else None
        _install(given.out, version, time, given.python or pythons(), extras)
        if given.docs:
            archive = given.out / f"edgekit-docs-{version}.tar.gz"
            pack([given.docs], archive, time)
        hashes = write_hashes(list(given.out.iterdir()), given.out)
        if given.key:
            sign(hashes, given.key)
        else:
            _say("Not signed: name a key, for example --key ~/.ssh/id_ed25519")
    except EdgeKitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    for path in sorted(given.out.iterdir()):
        print(f"{path.stat().st_size:>12,}  {sha256_of(path)}  {path.name}")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _build(out: Path, commit: str) -> None:
    """Builds all files in two clones, compares them, and keeps those of the first."""
    out.mkdir(parents=True, exist_ok=True)
    earlier = list(out.iterdir())
    ours = ("edgekit", HASHES)
    foreign = [path.name for path in earlier if path.is_dir() or not path.name.startswith(ours)]
    if foreign:
        raise UsageError(
            f"Expected a folder with nothing but an earlier release; found {foreign[0]} in {out}.",
            hint="Choose another folder: --out DIR",
        )
    for path in earlier:
        path.unlink()
    build_from_clone(Path(), commit, out)
    with tempfile.TemporaryDirectory() as name:
        build_from_clone(Path(), commit, Path(name))
        found = differences(out, Path(name))
    if found:
        raise BoundError(f"Expected two builds of the same bytes; {' '.join(found)}")
    files = sorted(map(str, out.iterdir()))
    done = subprocess.run(
        [tool("twine"), "check", "--strict", *files], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConversionError(f"twine does not accept the files: {done.stdout[-1500:]}")
    _say(f"Built twice with the same bytes, and accepted by twine: {len(files)} files")


def _install(
    out: Path,
    version: str,
    time: int,
    interpreters: Sequence[str],
    extras: Sequence[str] | None,
) -> None:
    """Installs the release on each Python with each extra, and checks the results.

    Raises:
        BoundError: An installation does not work, or the device side is too large.
    """
    sboms: dict[str, Path] = {}
    sizes: dict[str, int] = {}

    def describe(place: Environment, extra: str) -> None:
        name = {"": "the device side", "all": "the extra all"}.get(extra)
        if name and name not in sboms:
            path = out / f"edgekit-{version}-{extra or 'device'}.cdx.json"
            write_sbom(place.folder, Path("pyproject.toml"), path, time)
            sboms[name] = path
            if not extra:
                sizes.update(installed_sizes(place))

    outcomes = install_everywhere(Path(), out, interpreters, extras, describe)
    (out / f"edgekit-{version}-licences.md").write_text(licences(sboms, Path()))
    (out / f"edgekit-{version}-installed.md").write_text(
        "\n".join([table(outcomes), "", *rows(out, sizes), ""])
    )
    failed = [one for one in outcomes if one.problem]
    if failed:
        raise BoundError(f"{len(failed)} of {len(outcomes)} installations do not work.")
    check_sizes(sizes)


if __name__ == "__main__":
    raise SystemExit(main())
