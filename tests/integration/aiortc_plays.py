"""Our own peer publishes, aiortc plays: decoded pictures and sound at an independent receiver,
in CM and in both GCM profiles, IPv4 and IPv6."""

import harness
from media import aio_play, check_sound, check_video, peer_publish


def test(t):
    seconds = t.options.seconds
    with t.server(media_workers=2) as server:
        publisher = peer_publish(t, server, "ours", seconds=300, pattern=t.options.size)
        server.wait_live("ours")
        for profile, address in (("cm", "127.0.0.1"), ("gcm", "::1"), ("gcm256", "127.0.0.1")):
            if address == "::1" and not harness.has_ipv6():
                t.note("no IPv6 on this machine")
                continue
            name = f"{profile} {address}"
            report = aio_play(t, server, "ours", seconds, profile=profile,
                              address=address).report(seconds + 60)
            check_video(t, name, report, seconds, fps=15, size=t.options.size)
            check_sound(t, name, report, seconds)
        publisher.stop()


def arguments(parser):
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--size", default="320x240")


harness.main(test, arguments)
