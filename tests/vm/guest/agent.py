"""Runs commands in the guest that the host sends through a virtio port, each in its own thread.

A request is a line ``{"id": n, "command": text, "seconds": limit}``, a reply is a line
``{"id": n, "status": n, "output": text}``. A command that takes longer than its limit is killed,
and its status is 124.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/edgekit.agent"


def answer(request, port, lock):
    """Runs one command, with its errors in its output, and sends the reply."""
    process = subprocess.Popen(
        ["bash", "-c", request["command"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/root",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=request["seconds"])
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        status = 124
    reply = {"id": request["id"], "status": status, "output": output.decode(errors="replace")}
    with lock:
        rest = json.dumps(reply).encode() + b"\n"
        while rest:
            rest = rest[os.write(port, rest) :]


def main():
    """Reads requests for as long as the guest runs."""
    port, lock, pending = os.open(PORT, os.O_RDWR), threading.Lock(), b""
    while True:
        part = os.read(port, 1 << 16)
        if not part:  # nobody is connected on the host
            time.sleep(0.1)
            continue
        *lines, pending = (pending + part).split(b"\n")
        for line in filter(None, lines):
            threading.Thread(
                target=answer, args=(json.loads(line), port, lock), daemon=True
            ).start()


if __name__ == "__main__":
    main()
