"""Our own peer at both ends: every payload carries a mark and a hash, so what a viewer got can be
compared with what was sent and with what the others got.

Parts can be chosen: peer_e2e.py --only workers loss"""

import json
import time

import harness
from harness import request, wait_for
from media import lossy_proxy, peer_play, peer_publish
from relay import Relay


def workers(t):
    """1 and 20 viewers without a loss; one and three workers give everybody the same payloads."""
    for count in (1, 3):
        with t.server(f"workers-{count}", media_workers=count) as server:
            publisher = peer_publish(t, server, "w", seconds=120)
            server.wait_live("w")
            alone = peer_play(t, server, "w", 4)
            alone.finish_and_check(f"{count} workers, 1 viewer")
            many = peer_play(t, server, "w", 8, viewers=20)
            total = many.finish_and_check(f"{count} workers, 20 viewers")
            t.check(total["same_payloads"], f"{count} workers: 20 viewers got the same payloads")
            t.check(total["digest_to"] - total["digest_from"] >= 60,
                    f"{count} workers: at least 2 s were compared, frames "
                    f"{total['digest_from']}..{total['digest_to']}")
            if count > 1:
                m = server.metrics()
                t.figure("handovers, moves", (m["handovers_total"], m["session_moves_total"]))
            publisher.stop()
            gone = wait_for("all sessions are gone", server.metrics, lambda m: m.get("sessions") == 0)
            t.check(gone.get("streams") == 0, "no stream is left either")


def profiles(t):
    """Each SRTP profile, both DTLS roles, IPv4 and IPv6."""
    cases = [("gcm", False, False), ("gcm256", False, False), ("cm", False, False), ("gcm", True, False)]
    if harness.has_ipv6():
        cases += [("gcm", False, True), ("cm", True, True)]
    with t.server("profiles", media_workers=2) as server:
        for profile, passive, ipv6 in cases:
            name = "-".join([profile, *(["passive"] if passive else []), *(["v6"] if ipv6 else [])])
            publisher = peer_publish(t, server, name, seconds=60, profile=profile, passive=passive, ipv6=ipv6)
            server.wait_live(name)
            viewers = peer_play(t, server, name, 4, viewers=2, profile=profile, passive=passive, ipv6=ipv6)
            wait_for("both are connected", lambda: server.stream(name),
                     lambda s: sum(x["state"] == "connected" for x in s.get("sessions", [])) == 3)
            remotes = [x["remote"] for x in server.stream(name)["sessions"]]
            t.check(all(r.startswith("[") == ipv6 for r in remotes), f"{name}: the peers are at {remotes}")
            viewers.finish_and_check(name)
            used = {v["srtp"] for v in viewers.report()["viewers"]}
            t.figure(f"{name} SRTP", sorted(used))
            t.check(len(used) == 1, f"{name}: one profile is used: {used}")
            publisher.stop()


def mixed(t):
    """A publisher with one profile, viewers with another: the payloads are the same."""
    with t.server("mixed", media_workers=2) as server:
        publisher = peer_publish(t, server, "m", seconds=60, profile="cm")
        server.wait_live("m")
        for profile in ("gcm", "gcm256", "cm"):
            peer_play(t, server, "m", 3, profile=profile).finish_and_check(f"cm to {profile}")
        publisher.stop()


def layers(t):
    """Three simulcast layers; each chosen one arrives, told by its bit rate."""
    with t.server("layers", media_workers=2) as server:
        publisher = peer_publish(t, server, "s", seconds=120, bps=1_600_000, layers=3, keyint=1)
        server.wait_live("s")
        listed = wait_for("three layers are active", lambda: server.stream("s"),
                          lambda s: sum(l["active"] for l in s.get("layers", [])) == 3)["layers"]
        t.figure("layers", {l["rid"]: l["bitrate_bps"] for l in listed})
        by_rate = sorted(listed, key=lambda l: l["bitrate_bps"])
        relay = Relay(server, only_http=True)  # knows the session's URL
        viewer = peer_play(t, server, "s", 22, base=relay.base)
        resource = wait_for("the viewer's session", lambda: relay.resources)[0]
        for layer in (by_rate[0], by_rate[2], by_rate[1]):
            answer = request("POST", f"{resource}/layer", json.dumps({"rid": layer["rid"]}).encode(),
                             {"Content-Type": "application/json"})
            t.check(answer.status == 200, f"layer {layer['rid']} can be chosen: {answer}")
            rate = wait_for(f"layer {layer['rid']} arrives", lambda: viewer_rate(server, "s"),
                            lambda r: 0.6 * layer["bitrate_bps"] < r < 1.9 * layer["bitrate_bps"] + 60_000,
                            seconds=12)
            t.figure(f"rate after choosing {layer['rid']}", round(rate))
        refused = request("POST", f"{resource}/layer", b'{"rid": "nope"}', {"Content-Type": "application/json"})
        t.check(refused.status == 422, f"an unknown layer is refused: {refused}")
        total = viewer.finish_and_check("viewer over three layers")
        t.check(total["gap_ms"] < 3000, f"changing layers does not stop the picture: {total['gap_ms']} ms")
        t.check(server.metrics()["layer_switches_total"] >= 3, "the switches are counted")
        publisher.stop()
        relay.close()


def viewer_rate(server, stream, seconds=1.5):
    """Bits per second sent to the viewers of a stream."""
    def sent():
        return sum(s["tx_bytes"] for s in server.stream(stream).get("sessions", []) if not s["publisher"])
    a, begun = sent(), time.monotonic()
    time.sleep(seconds)
    return (sent() - a) * 8 / (time.monotonic() - begun)


def tokens(t):
    """With tokens configured: none or a wrong one is 401, each opens only its own door."""
    with t.server("tokens", auth_publish_tokens=["sender"], auth_watch_tokens=["viewer"]) as server:
        for path, token in (("/whip/a", None), ("/whip/a", "viewer"), ("/whep/a", None), ("/whep/a", "sender")):
            headers = {"Content-Type": "application/sdp", **({"Authorization": f"Bearer {token}"} if token else {})}
            answer = request("POST", server.base + path, b"v=0\r\n", headers)
            t.check(answer.status == 401, f"{path} with token {token}: {answer}")
            t.check("Bearer" in answer.header("www-authenticate"), f"{path}: WWW-Authenticate says how")
        publisher = peer_publish(t, server, "a", seconds=60, token="sender")
        headers = {"Authorization": "Bearer viewer"}
        wait_for("the stream is live", lambda: request("GET", server.base + "/api/streams/a", headers=headers),
                 lambda a: a.status == 200 and a.json()["rx_packets"] > 0)
        peer_play(t, server, "a", 3, token="viewer").finish_and_check("with tokens")
        publisher.stop()


def loss(t):
    """Viewers behind 5 % loss in both directions: NACK and RTX leave no gap above 500 ms. Then the
    publisher behind the same."""
    with t.server("loss", media_workers=2) as server:
        publisher = peer_publish(t, server, "l", seconds=120)
        server.wait_live("l")
        via = lossy_proxy(t, server, 5)
        viewers = peer_play(t, server, "l", t.options.loss_seconds, viewers=3, via=via)
        total = viewers.finish_and_check("viewers at 5 % loss", lossless=False, gap_ms=500)
        t.check(total["gaps"] > 20, f"packets really were lost on the way: {total['gaps']}")
        t.check(total["rtx_received"] > 0, "RTX was received")
        t.check(total["lost"] <= total["gaps"] // 50,
                f"almost all are repaired: {total['lost']} of {total['gaps']} are not")
        m = server.metrics()
        t.figure("RTX", {k: m[k] for k in ("nack_received_total", "rtx_sent_total", "rtx_refused_budget_total",
                                           "rtx_not_found_total")})
        publisher.stop()

        publisher = peer_publish(t, server, "u", seconds=120, via=via)
        server.wait_live("u")
        viewers = peer_play(t, server, "u", t.options.loss_seconds, viewers=2)
        total = viewers.finish_and_check("publisher at 5 % loss", lossless=False, gap_ms=500)
        t.check(server.metrics()["nack_sent_total"] > 0, "the publisher was asked for what is missing")
        publisher.stop()


PARTS = {p.__name__: p for p in (workers, profiles, mixed, layers, tokens, loss)}


def test(t):
    for name in t.options.only or PARTS:
        t.note(name)
        PARTS[name](t)


def arguments(parser):
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS))
    parser.add_argument("--loss-seconds", type=int, default=12)


harness.main(test, arguments)
