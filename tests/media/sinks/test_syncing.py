"""Tests that syncing never fails a writer, whatever other threads do."""

from __future__ import annotations

import threading

import pytest

from edgekit.media.sinks import _whole_file
from edgekit.media.sinks._whole_file import WholeFile
from tests.waiting import wait_until


def test_a_file_can_be_closed_while_another_begins_a_sync(tmp_path):
    failures = []

    def write(number):
        try:
            for count in range(200):
                with WholeFile(tmp_path / f"{number}") as file:
                    file.add(b"x")
                    file.sync()
                    file.add(bytes(count))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_bytes_after_a_sync_are_synced_without_another_call(tmp_path):
    with WholeFile(tmp_path / "file") as file:
        file.add(b"x")
        file.sync()
        _whole_file._SYNCER.wait()
        assert file.unsynced == 0
        file.add(b"y")
        wait_until(lambda: file.unsynced == 0)
    assert (tmp_path / "file").read_bytes() == b"xy"


def test_without_a_thread_the_writer_syncs_itself(tmp_path, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with WholeFile(tmp_path / "file") as file:
        file.add(b"x")
        wait_until(lambda: _whole_file._SYNCER._thread is None)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            file.sync()
        assert file.unsynced == 0
    with pytest.raises(AssertionError):
        file.add(b"y")  # it is closed
