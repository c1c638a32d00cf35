"""A foreign peer: aiortc publishes over WHIP or plays over WHEP, and decodes.

Stands for an independent implementation of ICE, DTLS, SRTP (libsrtp2) and the codecs. One
JSON line on stdout; exit 0 when media flowed, 1 when not, 77 without aiortc.

    aio_peer.py play    http://127.0.0.1:8080/whep/x --seconds 5
    aio_peer.py publish http://127.0.0.1:8080/whip/x --codec H264 --seconds 30

SRTP: aiortc 1.4 offers AES_CM_128_HMAC_SHA1_80 alone. --profile gcm offers one AEAD profile
instead, through the same DTLS and SRTP libraries.
"""

import argparse
import asyncio
import fractions
import json
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

try:
    import aioice.ice
    import av
    import numpy
    from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
    from aiortc import rtcdtlstransport
    from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
    from pylibsrtp import Policy
except ImportError as error:
    print(f"aiortc is not usable: {error} (Debian package python3-aiortc)")
    sys.exit(77)

# name -> (OpenSSL's name, key bytes, salt bytes, libsrtp's profile)
PROFILES = {
    "cm": (b"SRTP_AES128_CM_SHA1_80", 16, 14, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
    "gcm": (b"SRTP_AEAD_AES_128_GCM", 16, 12, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    "gcm256": (b"SRTP_AEAD_AES_256_GCM", 32, 12, Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
}


def use_profile(name):
    openssl, key_bytes, salt_bytes, profile = PROFILES[name]
    make_context = rtcdtlstransport.RTCCertificate._create_ssl_context

    def context_of(self):
        context = make_context(self)
        context.set_tlsext_use_srtp(openssl)
        return context

    def policy(key, ssrc_type):
        return Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile)
    for constant in ("SSRC_ANY_INBOUND", "SSRC_ANY_OUTBOUND"):
        setattr(policy, constant, getattr(Policy, constant))

    rtcdtlstransport.RTCCertificate._create_ssl_context = context_of
    rtcdtlstransport.SRTP_KEY_LEN = key_bytes
    rtcdtlstransport.SRTP_SALT_LEN = salt_bytes
    rtcdtlstransport.Policy = policy


class Picture(MediaStreamTrack):
    """A moving gradient with a counter bar: every frame differs from the last one."""
    kind = "video"

    def __init__(self, width, height, fps):
        super().__init__()
        self.size, self.fps, self.count, self.begun = (width, height), fps, 0, None
        x = numpy.arange(width, dtype=numpy.uint16)
        y = numpy.arange(height, dtype=numpy.uint16)[:, None]
        self.gradient = x + y

    async def recv(self):
        now = time.monotonic()
        self.begun = self.begun or now
        await asyncio.sleep(max(0.0, self.begun + self.count / self.fps - now))
        width, height = self.size
        plane = ((self.gradient + 3 * self.count) % 256).astype(numpy.uint8)
        plane[: height // 8, : (self.count * 4) % width] = 255
        gray = numpy.full((height // 2, width), 128, numpy.uint8)
        frame = av.VideoFrame.from_ndarray(numpy.vstack([plane, gray]), format="yuv420p")
        frame.pts, frame.time_base = self.count * 90000 // self.fps, fractions.Fraction(1, 90000)
        self.count += 1
        return frame


class Tone(MediaStreamTrack):
    """440 Hz in 20 ms frames of 48 kHz."""
    kind = "audio"

    def __init__(self):
        super().__init__()
        self.count, self.begun = 0, None

    async def recv(self):
        now = time.monotonic()
        self.begun = self.begun or now
        await asyncio.sleep(max(0.0, self.begun + self.count * 0.02 - now))
        t = (numpy.arange(960) + self.count * 960) / 48000
        samples = (8000 * numpy.sin(2 * numpy.pi * 440 * t)).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, self.count * 960
        frame.time_base = fractions.Fraction(1, 48000)
        self.count += 1
        return frame


class Meter:
    """What one received track amounts to."""

    def __init__(self, kind):
        self.kind, self.frames, self.first_ms, self.last = kind, 0, None, None
        self.longest_gap_ms, self.size, self.energy, self.changes, self.before = 0, "", 0.0, 0, None

    async def consume(self, track, begun):
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            now = time.monotonic()
            if self.first_ms is None:
                self.first_ms = round((now - begun) * 1000)
            else:
                self.longest_gap_ms = max(self.longest_gap_ms, round((now - self.last) * 1000))
            self.last = now
            self.frames += 1
            if self.kind == "audio":
                samples = frame.to_ndarray().astype(float) / 32768
                self.energy += float((samples ** 2).mean())
                continue
            self.size = f"{frame.width}x{frame.height}"
            # A picture that stands still is no video: the luma plane must change.
            sum_now = hash(bytes(frame.planes[0])[:: 97])
            self.changes += sum_now != self.before
            self.before = sum_now

    def report(self):
        out = {"frames": self.frames, "first_ms": self.first_ms, "longest_gap_ms": self.longest_gap_ms}
        if self.kind == "audio":
            out["energy"] = round(self.energy / max(1, self.frames), 6)
        else:
            out.update(size=self.size, changes=self.changes)
        return out


def post(url, sdp, token):
    headers = {"Content-Type": "application/sdp"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    call = urllib.request.Request(url, data=sdp.encode(), headers=headers, method="POST")
    try:
        with urllib.request.urlopen(call, timeout=15) as response:
            resource = urllib.parse.urljoin(url, response.headers["Location"])
            return resource, response.read().decode()
    except urllib.error.HTTPError as refused:
        raise RuntimeError(f"{url} answers {refused.code}: {refused.read().decode()}") from None


def only_codec(connection, mime):
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(
                [c for c in RTCRtpSender.getCapabilities("video").codecs
                 if c.mimeType.lower() == mime.lower()])


async def session(options, report):
    connection = RTCPeerConnection()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    meters, tasks, resource = {}, [], None
    begun = time.monotonic()

    @connection.on("connectionstatechange")
    def changed():
        report.setdefault("states", []).append(connection.connectionState)
        if connection.connectionState == "connected":
            report["connected_ms"] = round((time.monotonic() - begun) * 1000)
        if connection.connectionState == "failed":
            ended.set()

    @connection.on("track")
    def arrived(track):
        if options.verb == "play":
            meters[track.kind] = Meter(track.kind)
            tasks.append(asyncio.ensure_future(meters[track.kind].consume(track, begun)))

    if options.verb == "publish":
        if options.media in ("both", "audio"):
            connection.addTransceiver(Tone(), direction="sendonly")
        if options.media in ("both", "video"):
            width, height = (int(n) for n in options.size.split("x"))
            connection.addTransceiver(Picture(width, height, options.fps), direction="sendonly")
    else:
        for kind in ("audio", "video") if options.media == "both" else (options.media,):
            connection.addTransceiver(kind, direction="recvonly")
    if options.codec:
        only_codec(connection, f"video/{options.codec}")

    try:
        await connection.setLocalDescription(await connection.createOffer())
        resource, answer = await loop.run_in_executor(
            None, post, options.url, connection.localDescription.sdp, options.token)
        report["answer_ms"] = round((time.monotonic() - begun) * 1000)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        try:
            await asyncio.wait_for(ended.wait(), options.seconds)
        except asyncio.TimeoutError:
            pass
        report["tracks"] = {kind: meter.report() for kind, meter in meters.items()}
        report["state"] = connection.connectionState
        stats = await connection.getStats()
        for s in stats.values():
            if s.type in ("inbound-rtp", "remote-inbound-rtp"):
                report.setdefault("rtp", []).append(
                    {"type": s.type, "kind": s.kind, "lost": s.packetsLost,
                     "packets": getattr(s, "packetsReceived", None)})
            if s.type == "outbound-rtp":
                report.setdefault("rtp", []).append(
                    {"type": s.type, "kind": s.kind, "packets": s.packetsSent})
    finally:
        if resource:
            call = urllib.request.Request(resource, method="DELETE")
            try:
                await loop.run_in_executor(None, lambda: urllib.request.urlopen(call, timeout=5).close())
                report["deleted"] = True
            except (OSError, urllib.error.URLError) as error:
                report["deleted"] = str(error)
        await connection.close()
        for task in tasks:
            task.cancel()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("play", "publish"))
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--codec", choices=("VP8", "H264"))
    parser.add_argument("--media", choices=("both", "audio", "video"), default="both")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="cm")
    parser.add_argument("--address", default="127.0.0.1", help="local address of the only candidate")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--token")
    options = parser.parse_args()
    # One candidate, on this machine only: no packet leaves it.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [options.address]
    use_profile(options.profile)
    report = {"verb": options.verb, "profile": options.profile, "codec": options.codec}
    try:
        asyncio.run(session(options, report))
    except Exception as error:  # pylint: disable=broad-except
        report["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(report), flush=True)
    sys.exit(0 if "error" not in report and "connected_ms" in report else 1)


main()
