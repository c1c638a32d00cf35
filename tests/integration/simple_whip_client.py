"""Debian's simple-whip-client (GStreamer, libnice, trickle by PATCH) publishes VP8 and H.264;
aiortc plays and decodes, our own peer plays beside it."""

import harness
from media import aio_play, check_sound, check_video, peer_play

AUDIO = ("audiotestsrc is-live=true wave=sine freq=440 ! audioconvert ! audioresample ! queue ! opusenc ! "
         "rtpopuspay pt=100 ssrc=1 ! queue ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100")
SOURCE = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! videoconvert ! queue ! "
VIDEO = {
    "VP8": SOURCE + "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=96 ssrc=2 picture-id-mode=15-bit ! queue ! "
           "application/x-rtp,media=video,encoding-name=VP8,payload=96",
    "H264": SOURCE + "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=500 ! "
            "video/x-h264,profile=constrained-baseline ! h264parse ! "
            "rtph264pay pt=96 ssrc=2 config-interval=-1 aggregate-mode=zero-latency ! queue ! "
            "application/x-rtp,media=video,encoding-name=H264,payload=96",
}


def test(t):
    client, _ = harness.require(("whip-client", "simple-whip-client"),
                                ("gst-inspect-1.0", "gstreamer1.0-tools"))
    for element, package in (("webrtcbin", "plugins-bad"), ("nicesink", "nice"), ("vp8enc", "plugins-good"),
                             ("x264enc", "plugins-ugly"), ("opusenc", "plugins-base")):
        # Not --exists: it asks for GStreamer's own version of every plugin, and nice has another.
        probe = t.spawn(f"inspect-{element}", ["gst-inspect-1.0", element])
        if probe.wait(60) != 0:
            raise harness.Skip(f"GStreamer has no {element} (Debian package gstreamer1.0-{package})")
    seconds = t.options.seconds
    # libnice leaves loopback out: all local addresses are offered to it (the default).
    with t.server(media_workers=2, auth_publish_tokens=["sesame"]) as server:
        for codec, trickle in (("VP8", True), ("H264", True), ("VP8", False)):
            name = f"{codec.lower()}-{'trickle' if trickle else 'whole'}"
            t.note(name)
            command = [client, "-u", f"{server.base}/whip/{name}", "-t", "sesame", "-l", 7, "-o",
                       "-A", AUDIO, "-V", VIDEO[codec]]
            publisher = t.spawn(f"whip-client-{name}", command + ([] if trickle else ["-n"]))
            server.wait_live(name, seconds=40)
            viewer = aio_play(t, server, name, seconds)
            own = peer_play(t, server, name, seconds)
            report = viewer.report(seconds + 60)
            check_video(t, name, report, seconds, fps=15)
            check_sound(t, name, report, seconds)
            if own:
                own.finish_and_check(name)
            t.check(publisher.poll() is None, f"{name}: the client is still publishing")
            # It deletes its session on SIGINT and is satisfied only by a 200.
            publisher.stop(20, harness.signal.SIGINT)
            harness.wait_for(f"{name}: DELETE ended the stream", lambda: server.stream(name),
                             lambda s: not s.get("live"), seconds=10)
        m = server.metrics()
        t.check(m.get("sessions_ended_total", reason="consent") == 0, "no session ended by itself")


harness.main(test, lambda p: p.add_argument("--seconds", type=int, default=6))
