"""The peers of the tests in one line each, and what is expected of what they saw."""

import harness


# --- aiortc ----------------------------------------------------------------------------------


def aio_publish(t, server, stream, codec, profile="cm", address="127.0.0.1", seconds=120, *more):
    return t.aio(f"aio-publish-{stream}", "publish", f"{server.base}/whip/{stream}", "--codec", codec,
                 "--profile", profile, "--address", address, "--seconds", seconds, *more)


def aio_play(t, server, stream, seconds, profile="cm", address="127.0.0.1", *more):
    return t.aio(f"aio-play-{stream}", "play", f"{server.base}/whep/{stream}", "--seconds", seconds,
                 "--profile", profile, "--address", address, *more)


def check_video(t, name, report, seconds, fps, size="320x240"):
    """Decoded pictures: at least half of what was sent (a busy machine encodes less), moving,
    of the right size."""
    t.check("error" not in report, f"{name}: no error: {report}")
    video = report.get("tracks", {}).get("video", {})
    t.figure(f"{name} video", video)
    wanted = max(5, int(seconds * fps * 0.4))
    t.check(video.get("frames", 0) >= wanted, f"{name}: at least {wanted} pictures, got {video}")
    t.check(video.get("size") == size, f"{name}: pictures of {size}, got {video}")
    t.check(video.get("changes", 0) > video.get("frames", 0) // 3, f"{name}: the picture moves: {video}")
    lost = sum(r["lost"] for r in report.get("rtp", []) if r["type"] == "inbound-rtp")
    t.check(lost == 0, f"{name}: nothing is lost on loopback, lost {lost}")


def check_sound(t, name, report, seconds):
    audio = report.get("tracks", {}).get("audio", {})
    t.figure(f"{name} audio", audio)
    wanted = int(seconds * 50 * 0.5)
    t.check(audio.get("frames", 0) >= wanted, f"{name}: at least {wanted} frames of sound, got {audio}")
    t.check(audio.get("energy", 0) > 1e-4, f"{name}: sound is heard: {audio}")


# --- our own peer ----------------------------------------------------------------------------


def peer_options(profile, passive, ipv6, token, via):
    out = ["--srtp", profile or "any"]
    for wanted, option in ((passive, "--dtls-passive"), (ipv6, "--ipv6")):
        out += [option] if wanted else []
    for value, option in ((token, "--token"), (via, "--via")):
        out += [option, value] if value else []
    return out


def peer_publish(t, server, stream, seconds, bps=1_000_000, pattern=None, layers=1, profile=None,
                 passive=False, ipv6=False, token=None, via=None, keyint=2):
    """Marked packets at `bps`, or with pattern="320x240" a real picture and sound."""
    source = ["--pattern", "--size", pattern, "--kbps", 400, "--fps", 15] if pattern else \
             ["--synthetic", bps, "--keyint", keyint]
    if layers > 1:
        source += ["--simulcast", layers]
    return t.peer(f"publish-{stream}", "publish", f"{server.base}/whip/{stream}", *source, "--duration",
                  seconds, *peer_options(profile, passive, ipv6, token, via))


def peer_play(t, server, stream, seconds, viewers=1, profile=None, passive=False, ipv6=False, token=None,
              via=None, base=None, more=()):
    program = t.peer(f"play-{stream}", "play", f"{base or server.base}/whep/{stream}", "--viewers", viewers,
                     "--duration", seconds, "--quiet", "--json", "-",
                     *peer_options(profile, passive, ipv6, token, via), *more)
    return Player(t, program, seconds)


def lossy_proxy(t, server, percent, direction="both"):
    """`spillway-peer proxy` in front of the server's media port; gives the address for via=."""
    listen = f"127.0.0.1:{harness.free_port(harness.socket.SOCK_DGRAM)}"
    t.peer("proxy", "proxy", "--listen", listen, "--to", f"127.0.0.1:{server.media_port}", "--loss", percent,
           "--direction", direction, "--duration", 300)
    return listen


class Player:
    """`spillway-peer play` with one or many viewers."""

    def __init__(self, t, program, seconds):
        self.t = t
        self.program = program
        self.pid = program.pid
        self.seconds = seconds
        self.figures = None

    def report(self, seconds=60):
        if self.figures is None:
            self.figures = self.program.report(self.seconds + seconds)
        return self.figures

    def finish_and_check(self, name, seconds=60, lossless=True, gap_ms=None):
        """What every viewer must have had: media, whole, each index once, the same bytes. Gives the
        figures of all viewers together; gap_ms and lost are at its top."""
        t, total = self.t, self.report(seconds)["total"]
        t.figure(name, {k: total.get(k) for k in
                        ("viewers", "watching", "packets", "frames", "lost", "gaps", "freezes",
                         "longest_gap_ms", "first_frame_max_ms", "same_payloads")})
        t.check(self.program.returncode == 0, f"{name}: the peer ends with 0: {self.report()['missed']} "
                                              f"{self.errors()}")
        t.check(total["watching"] == total["viewers"],
                f"{name}: {total['watching']} of {total['viewers']} viewers got pictures {self.errors()}")
        for what in ("replayed", "bad_tag", "damaged"):
            t.check(total[what] == 0, f"{name}: {what} is 0, was {total[what]}")
        if lossless:
            t.check(total["lost"] == 0, f"{name}: no packet is lost for good, {total['lost']} are")
        if gap_ms:
            t.check(total["longest_gap_ms"] <= gap_ms,
                    f"{name}: no gap above {gap_ms} ms, longest {total['longest_gap_ms']}")
        return {**total, "gap_ms": total["longest_gap_ms"]}

    def errors(self):
        return [v["error"] for v in self.report()["viewers"] if v["error"]][:3]

    # What each viewer saw between two frames of the publisher, for comparing runs.
    def digests(self):
        return {v["digest"] for v in self.report()["viewers"]}
