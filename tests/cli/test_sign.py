"""Tests ``edgekit sign``, and the commands that require a signature."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("cryptography")

from edgekit.assets import default_bundle
from edgekit.cli import main
from tests.ssh_keys import make_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; its public key is beside it."""
    return make_key(tmp_path / "key", "ann@desk")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((64, 64, 3), np.uint8))
    return tmp_path / "1.png"


def fingerprint(key: Path) -> str:
    said = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True)
    return said.stdout.split()[1]


def test_what_sign_prints_and_inspect_shows(
    key: Path, bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "4102444800")
    assert main(["sign", str(bundle), "--key", str(key)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == str(bundle / "signature.json")
    assert said.splitlines()[1] == f"signed by {fingerprint(key)}. It does not expire."
    assert main(["sign", str(bundle), "--key", str(key), "--valid-days", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "bundle": str(bundle),
        "signature": str(bundle / "signature.json"),
        "fingerprint": fingerprint(key),
        "signed": "2100-01-01",
        "expires": "2100-01-03",
    }
    assert main(["inspect", str(bundle), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["signature"]
    reason = shown.pop("reason")
    assert reason.startswith("The clock of this machine says")
    assert shown == {
        "fingerprint": fingerprint(key),
        "signed": "2100-01-01",
        "expires": "2100-01-03",
        "valid": False,
    }
    assert main(["inspect", str(bundle)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"signature {fingerprint(key)}, of 2100-01-01, expires after 2100-01-03; not val" in text
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert main(["sign", str(bundle), "--key", str(key)]) == 0
    capsys.readouterr()
    assert main(["inspect", str(bundle)]) == 0
    assert "does not expire; valid" in " ".join(capsys.readouterr().out.split())
    (bundle / "signature.json").write_text("{}")
    assert main(["inspect", str(bundle)]) == 0
    assert "signature not valid: " in " ".join(capsys.readouterr().out.split())
    (bundle / "signature.json").unlink()
    assert main(["inspect", str(bundle)]) == 0
    assert "signature none" in " ".join(capsys.readouterr().out.split())


def test_a_run_requires_it(
    key: Path, bundle: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(picture), "--bundle", str(bundle), "--threads", "1"]
    required = [*words, "--require-signature", f"{key}.pub"]
    assert main([*required, "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "signature"
    assert "is not signed" in error["message"]
    assert error["hint"].endswith(f"edgekit sign {bundle} --key FILE")
    assert main(["sign", str(bundle), "--key", str(key)]) == 0
    assert main(required) == 0
    options = tmp_path / "run.toml"
    options.write_text(f'require-signature = "{key}.pub"\n')
    assert main([*words, "--config", str(options), "--check"]) == 0
    (bundle / "signature.json").unlink()
    assert main([*words, "--config", str(options), "--check"]) == 3
    assert main(words) == 0


def test_the_shipped_bundle_is_not_excepted(
    key: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for named in (["--bundle", "shipped"], []):
        words = ["run", str(picture), *named, "--require-signature", f"{key}.pub"]
        assert main(words) == 3
        assert "is not signed" in capsys.readouterr().err


def test_the_newest_signed_bundle_is_taken(
    key: Path,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("signed", "unsigned"):
        shutil.copytree(bundle, tmp_path / "artifacts" / name)
    (tmp_path / "artifacts/unsigned/manifest.json").touch()
    assert main(["sign", "artifacts/signed", "--key", str(key)]) == 0
    capsys.readouterr()
    assert main(["inspect", "--require-signature", f"{key}.pub", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == "artifacts/signed"
    assert "Skipped artifacts/unsigned: it is not signed" in caplog.text


def test_build_refuses_before_it_looks_for_tensorrt(
    key: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert main(["build", str(bundle), "--require-signature", f"{key}.pub"]) == 3
    assert "is not signed" in capsys.readouterr().err


def test_deploy_refuses_before_it_connects(
    key: Path,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "without-ssh"))
    words = ["deploy", "device", str(bundle), "--require-signature", f"{key}.pub", "--json"]
    assert main(words) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "signature"


def test_deploy_installs_what_verifies_signatures(tmp_path: Path) -> None:
    from edgekit.cli.deploy import _service_options

    options = tmp_path / "run.toml"
    options.write_text('require-signature = "/etc/edgekit/allowed_keys"\n')
    assert _service_options(options).extras == ("sign",)


def test_more_and_fewer_words(
    key: Path, bundle: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for option in ("-q", "-v"):
        caplog.clear()
        assert main(["sign", str(bundle), "--key", str(key), option]) == 0
        shown = capsys.readouterr()
        assert "signed by" in shown.out
        assert shown.err == ""
        assert ("checksums of its" in caplog.text) == (option == "-v")
    assert main(["inspect", str(bundle), "--require-signature", f"{key}.pub", "-v"]) == 0
    assert f"was signed by {fingerprint(key)} (ann@desk) on" in caplog.text


def test_wrong_usage(
    key: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, status, why in (
        ([str(bundle)], 2, "Missing option '--key'"),
        ([str(bundle), "--key", str(key), "--valid-days", "0"], 2, "--valid-days"),
        ([str(bundle), "--key", str(tmp_path / "none")], 3, "Cannot read the key"),
        ([str(tmp_path), "--key", str(key)], 3, "is not a bundle"),
        (["shipped", "--key", str(key)], 3, "is not a bundle"),
    ):
        assert main(["sign", *words]) == status
        assert why in capsys.readouterr().err
