"""Serves the pictures of /opt/clip again and again, as a network camera does: MJPEG over HTTP.

``mjpeg_stream.py PORT FPS``
"""

from __future__ import annotations

import itertools
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PICTURES = [path.read_bytes() for path in sorted(Path("/opt/clip").glob("*.jpg"))]


class Stream(BaseHTTPRequestHandler):
    """Answers each request by an endless stream."""

    def do_GET(self):
        """Sends pictures until the client has gone."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        try:
            for picture in itertools.cycle(PICTURES):
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
                self.wfile.write(f"{head}\r\n\r\n".encode() + picture + b"\r\n")
                time.sleep(1 / float(sys.argv[2]))
        except OSError:
            pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stream).serve_forever()
