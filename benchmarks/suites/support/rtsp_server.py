"""An RTSP server on loopback; it runs in the Python that has GStreamer's bindings.

    python3 _rtsp_server.py PORT FPS

It serves ``/video`` and ``/sound`` (sound only). On the next port it serves ``/video`` to ``user``
with the password ``secret``. It prints ``ready`` on standard output once it listens.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

_VIDEO = (
    "( videotestsrc is-live=true pattern=ball"
    " ! video/x-raw,width=320,height=240,framerate={rate}/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10"
    " ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
_SOUND = "( audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 pt=8 )"


def main() -> None:
    """Serves until it is killed."""
    Gst.init(None)
    port = int(sys.argv[1])
    video = _VIDEO.format(rate=int(sys.argv[2]))
    public = _server(port, {"/video": video, "/sound": _SOUND})
    closed = _server(port + 1, {"/video": video})
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("user", "secret"), token)
    closed.set_auth(auth)
    for server in (public, closed):
        if not server.attach(None):
            raise SystemExit("cannot listen")
    print("ready", flush=True)
    GLib.MainLoop().run()


def _server(port: int, pipelines: dict[str, str]) -> GstRtspServer.RTSPServer:
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    for place, pipeline in pipelines.items():
        server.get_mount_points().add_factory(place, _factory(pipeline))
    return server


def _factory(pipeline: str) -> GstRtspServer.RTSPMediaFactory:
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(pipeline)
    factory.set_shared(True)
    rights = GstRtspServer.RTSPPermissions()
    for right in ("media.factory.access", "media.factory.construct"):
        rights.add_permission_for_role("viewer", right, True)
    factory.set_permissions(rights)
    return factory


if __name__ == "__main__":
    main()
