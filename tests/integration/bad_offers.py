"""Bad SDP for the server: offers of real clients (tests/vectors/sdp/offers), cut off, damaged by
a seeded generator, or wrong in one chosen place.

chosen() gives (name, body, content type, expected statuses): each must be refused just so.
mutated() gives (name, body): each must be answered with 201 or a clear 4xx.
"""

import random
import re

import harness

OFFERS = harness.SOURCE / "tests" / "vectors" / "sdp" / "offers"
SDP = "application/sdp"


def offers(kind):
    """Recorded offers of publishers or of viewers by file name."""
    watch = {p.stem: p.read_bytes() for p in sorted(OFFERS.glob("*.sdp")) if "watch" in p.stem}
    if kind == "watch":
        return watch
    return {p.stem: p.read_bytes() for p in sorted(OFFERS.glob("*.sdp")) if p.stem not in watch}


def without(sdp, prefix):
    return re.sub(rb"(?m)^" + re.escape(prefix) + rb"[^\n]*\n", b"", sdp)


def chosen(kind):
    sdp = offers(kind)["chromium-watch" if kind == "watch" else "chromium-publish"]
    other = b"a=sendonly" if kind == "watch" else b"a=recvonly"
    mine = b"a=recvonly" if kind == "watch" else b"a=sendonly"
    refused = (400, 422)
    yield "empty body", b"", SDP, refused
    yield "binary", bytes(range(256)) * 4, SDP, refused
    yield "JSON", b'{"type": "offer", "sdp": "v=0"}', SDP, refused
    yield "HTML", b"<html><body>hello</body></html>", SDP, refused
    yield "only the version", b"v=0\r\n", SDP, refused
    yield "wrong version", sdp.replace(b"v=0", b"v=7", 1), SDP, refused
    yield "no content type", sdp, "", (415,)
    yield "wrong content type", sdp, "text/plain", (415,)
    yield "JSON content type", sdp, "application/json", (415,)
    yield "too large", sdp + b"a=x:" + b"y" * 70_000 + b"\r\n", SDP, (413,)
    yield "one endless line", b"v=0\r\no=" + b"-" * 30_000, SDP, refused
    yield "a NUL inside", sdp.replace(b"a=rtcp-mux", b"a=rtcp\0mux", 1), SDP, refused
    yield "no fingerprint", without(sdp, b"a=fingerprint"), SDP, refused
    yield "short fingerprint", re.sub(rb"a=fingerprint:sha-256 [^\r\n]*", b"a=fingerprint:sha-256 AA:BB", sdp), SDP, refused
    yield "SHA-1 fingerprint", re.sub(rb"a=fingerprint:sha-256 ", b"a=fingerprint:sha-1 ", sdp), SDP, refused
    yield "no ice-ufrag", without(sdp, b"a=ice-ufrag"), SDP, refused
    yield "no ice-pwd", without(sdp, b"a=ice-pwd"), SDP, refused
    yield "huge ice-ufrag", re.sub(rb"a=ice-ufrag:[^\r\n]*", b"a=ice-ufrag:" + b"u" * 3000, sdp), SDP, refused
    yield "ice-ufrag with spaces", re.sub(rb"a=ice-ufrag:[^\r\n]*", b"a=ice-ufrag:a b c d", sdp), SDP, refused
    yield "no setup", without(sdp, b"a=setup"), SDP, (*refused, 201)  # RFC 8842 has a default
    yield "setup holdconn", re.sub(rb"a=setup:[a-z]*", b"a=setup:holdconn", sdp), SDP, refused
    # H7: tolerated; the answer says rtcp-mux-only.
    yield "no rtcp-mux", without(sdp, b"a=rtcp-mux"), SDP, (*refused, 201)
    yield "no media", sdp[:sdp.index(b"m=")], SDP, refused
    yield "wrong direction", sdp.replace(mine, other), SDP, refused
    yield "only unknown codecs", re.sub(rb"a=rtpmap:(\d+) [A-Za-z0-9-]+", rb"a=rtpmap:\1 NOPE", sdp), SDP, refused
    yield "payload type 999", re.sub(rb"m=(\w+) 9 UDP/TLS/RTP/SAVPF [^\r\n]*", rb"m=\1 9 UDP/TLS/RTP/SAVPF 999", sdp), SDP, refused
    yield "a thousand m-lines", sdp + b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 1000, SDP, (*refused, 413)
    yield "only a data channel", sdp[:sdp.index(b"m=")] + b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n", SDP, refused
    yield "an answer's half", sdp[:len(sdp) // 2], SDP, (*refused, 201)


def damage(sdp, rng):
    body = bytearray(sdp)
    for _ in range(rng.randint(1, 6)):
        if not body:
            break
        at = rng.randrange(len(body))
        what = rng.randrange(7)
        if what == 0:
            del body[rng.randrange(len(body)):]
        elif what == 1:
            body[at] ^= 1 << rng.randrange(8)
        elif what == 2:
            body[at] = rng.choice(b"\r\n\0\xff:= /;9-")
        elif what == 3:
            body[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 20)))
        elif what == 4:
            del body[at:at + rng.randint(1, 40)]
        else:  # whole lines move, double or go
            lines = bytes(body).split(b"\n")
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            if what == 5:
                lines[i], lines[j] = lines[j], lines[i]
            elif rng.randrange(2):
                lines.insert(i, lines[j])
            else:
                del lines[i]
            body = bytearray(b"\n".join(lines))
    # Numbers are where limits live.
    if rng.randrange(4) == 0:
        numbers = [m.span() for m in re.finditer(rb"\d+", bytes(body))]
        if numbers:
            a, b = rng.choice(numbers)
            body[a:b] = rng.choice([b"0", b"-1", b"65536", b"4294967296", b"99999999999999999999", b"1e9"])
    return bytes(body)


def mutated(kind, count, seed):
    rng = random.Random(seed)
    recorded = list(offers(kind).items())
    for i in range(count):
        name, sdp = recorded[i % len(recorded)]
        yield f"{name} #{i}", damage(sdp, rng)


FRAGMENT = (b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
            b"a=mid:0\r\na=candidate:1 1 UDP 2130706431 127.0.0.1 40000 typ host\r\na=end-of-candidates\r\n")


def bad_fragments(count, seed):
    """(name, body, content type): PATCH bodies. Those of the chosen kind come first."""
    fragment = "application/trickle-ice-sdpfrag"
    yield "empty", b"", fragment
    yield "binary", bytes(range(256)), fragment
    yield "wrong type", FRAGMENT, "text/plain"
    yield "an offer", offers("watch")["chromium-watch"], SDP
    yield "too large", FRAGMENT + b"a=candidate:" + b"x" * 70_000 + b"\r\n", fragment
    rng = random.Random(seed)
    for i in range(count):
        yield f"damaged #{i}", damage(FRAGMENT, rng), fragment
