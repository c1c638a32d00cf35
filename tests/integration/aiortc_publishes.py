"""aiortc publishes VP8 and H.264, another aiortc plays: both ends of every session are foreign,
so nothing the server and our own peer have in common can hide a mistake. SRTP in CM, GCM and
GCM-256 (libsrtp2), each end its own; IPv6; our own peer plays the same streams."""

import harness
from media import aio_play, aio_publish, check_sound, check_video, peer_play

# codec, publisher's SRTP profile, viewer's, address
CASES = [
    ("VP8", "cm", "cm", "127.0.0.1"),
    ("H264", "cm", "gcm", "127.0.0.1"),
    ("VP8", "gcm", "cm", "::1"),
    ("H264", "gcm256", "gcm256", "127.0.0.1"),
]


def test(t):
    seconds = t.options.seconds
    with t.server(media_workers=2) as server:
        for codec, publishes, plays, address in CASES:
            if address == "::1" and not harness.has_ipv6():
                t.note("no IPv6 on this machine")
                continue
            name = f"{codec}-{publishes}-{plays}".lower()
            t.note(f"{name} over {address}")
            publisher = aio_publish(t, server, name, codec, profile=publishes, address=address)
            server.wait_live(name)
            viewer = aio_play(t, server, name, seconds, profile=plays, address=address)
            own = peer_play(t, server, name, seconds)
            report = viewer.report(seconds + 60)
            check_video(t, name, report, seconds, fps=15)
            check_sound(t, name, report, seconds)
            if own:
                own.finish_and_check(name)
            publisher.stop(20)
            sent = harness.last_json("publisher", publisher.output())
            t.check(sent.get("state") == "connected", f"{name}: the publisher stays connected: {sent}")
            t.check(sent.get("deleted") is True, f"{name}: DELETE of the publisher works: {sent}")
        t.check(not server.metrics().get("sessions"), "no session is left after the last DELETE")


harness.main(test, lambda p: p.add_argument("--seconds", type=int, default=6))
