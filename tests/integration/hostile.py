"""Bad input beside a running session: damaged STUN, DTLS, RTP and RTCP at a high rate from many
positions (and, as root, with the forged addresses of the live peers), damaged SDP in POST and
PATCH. The session must not notice, everything must be counted, no memory may grow, and each bad
request gets a clear answer.

By hand, as in the proof: hostile.py --rate 50000 --seconds 10"""

import http.client
import json
import os
import threading
import time
import urllib.parse

import bad_offers
import harness
from harness import request, wait_for
from media import peer_play, peer_publish

MIB = 1 << 20
# First use of buffers, allocator slack: bytes that a leak of 50 bytes per datagram exceeds soon.
RSS_GROWTH_BYTES = 12 * MIB


class Requests(threading.Thread):
    """Sends bad requests one after the other until stop(); each answer is judged."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.seed = server, seed
        self.faults, self.statuses, self.count, self.ended = [], {}, 0, threading.Event()

    def run(self):
        round_number = 0
        while not self.ended.is_set():
            try:
                self.one_round(self.seed + round_number)
            except Exception as error:  # pylint: disable=broad-except
                self.faults.append(f"{type(error).__name__}: {error}")
                return
            round_number += 1

    def stop(self):
        self.ended.set()
        self.join(60)
        if self.is_alive():
            self.faults.append("a request never got its answer")

    def one_round(self, seed):
        base = self.server.base
        for kind, path in (("publish", "/whip/bad"), ("watch", "/whep/s")):
            for name, body, content_type, expected in bad_offers.chosen(kind):
                self.judge(f"{kind}, {name}", "POST", base + path, body, content_type, expected)
            for name, body in bad_offers.mutated(kind, 60, seed):
                self.judge(f"{kind}, {name}", "POST", base + path, body, bad_offers.SDP, None)
                if self.ended.is_set():
                    return
        resource = self.open_session()
        for name, body, content_type in bad_offers.bad_fragments(60, seed):
            self.judge(f"PATCH, {name}", "PATCH", resource, body, content_type,
                       None if name.startswith("damaged") else (400, 413, 415, 422))
        for name, target, method in (("unknown session", "/w/AAAAAAAAAAAAAAAAAAAAAA", "PATCH"),
                                     ("bad stream name", "/whip/..%2f..%2fetc", "POST"),
                                     ("long stream name", "/whep/" + "x" * 200, "POST"),
                                     ("unknown path", "/nothing", "GET"),
                                     ("wrong method", "/whip/bad", "PUT")):
            self.judge(name, method, base + target, bad_offers.FRAGMENT,
                       "application/trickle-ice-sdpfrag", (400, 404, 405, 415))
        request("DELETE", resource)

    def open_session(self):
        answer = request("POST", self.server.base + "/whep/s", bad_offers.offers("watch")["chromium-watch"],
                         {"Content-Type": bad_offers.SDP})
        if answer.status != 201:
            raise harness.Failure(f"a good offer between bad ones is answered {answer}")
        return urllib.parse.urljoin(self.server.base, answer.header("location"))

    def judge(self, name, method, url, body, content_type, expected):
        headers = {"Content-Type": content_type} if content_type else {}
        self.count += 1
        try:
            answer = request(method, url, body, headers)
        except (OSError, http.client.HTTPException) as error:
            # An endless body may be cut off before it was all sent; nothing else may.
            if len(body) <= 64 * 1024:
                self.faults.append(f"{name}: no answer: {type(error).__name__} {error}")
            return
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        if answer.status in (201, 204, 200):
            if expected and answer.status not in expected:
                self.faults.append(f"{name}: accepted with {answer.status}")
            if answer.status == 201:
                request("DELETE", urllib.parse.urljoin(url, answer.header("location")))
            return
        if expected and answer.status not in expected:
            self.faults.append(f"{name}: {answer}, expected one of {expected}")
        elif not 400 <= answer.status < 500:
            self.faults.append(f"{name}: {answer} is no 4xx")
        elif answer.header("content-type") != "application/problem+json":
            self.faults.append(f"{name}: {answer} is no problem+json")
        else:
            problem = json.loads(answer.body)
            if problem.get("status") != answer.status or not problem.get("title") or \
                    not problem.get("detail") or not problem.get("type", "").startswith("urn:spillway:problem:"):
                self.faults.append(f"{name}: the problem is not clear: {problem}")


def ufrag_of(server):
    """Our ICE user fragment of a live session, and its resource."""
    answer = request("POST", server.base + "/whep/s", bad_offers.offers("watch")["pion-watch"],
                     {"Content-Type": bad_offers.SDP})
    line = next(l for l in answer.body.decode().splitlines() if l.startswith("a=ice-ufrag:"))
    return line.split(":", 1)[1].strip(), urllib.parse.urljoin(server.base, answer.header("location"))


def counted(before, after):
    """Datagrams that ended as a drop or with control's DTLS, by reason."""
    drops_before = before.labelled("drops_total", "reason")
    out = {k: int(v - drops_before.get(k, 0))
           for k, v in after.labelled("drops_total", "reason").items() if v > drops_before.get(k, 0)}
    dtls = int(after["consumed_dtls_total"] - before["consumed_dtls_total"])
    if dtls:
        out["passed to control (DTLS)"] = dtls
    return out


def flood(t, server, ufrag, rate, seconds, forged, seed):
    command = [t.program("spillway-flood"), "--to", f"127.0.0.1:{server.media_port}", "--rate", rate,
               "--seconds", seconds, "--ufrag", ufrag, "--seed", seed]
    for remote in forged:
        command += ["--as", remote]
    program = t.spawn("flood", command)
    return program, lambda: program.report(seconds + 30)


def test(t):
    o = t.options
    total = o.seconds + 12
    with t.server(media_workers=2) as server:
        publisher = peer_publish(t, server, "s", seconds=total + 60)
        server.wait_live("s")
        viewers = peer_play(t, server, "s", total, viewers=3)
        wait_for("3 viewers are connected", server.metrics,
                 lambda m: m.get("sessions", role="viewer", state="connected") == 3)
        ufrag, resource = ufrag_of(server)
        remotes = sorted({s["remote"] for s in server.stream("s")["sessions"] if s["remote"]})
        forged = [r for r in remotes if r.startswith("127.")] if os.geteuid() == 0 else []
        t.figure("forged positions", forged)

        # A first second of everything touches what is touched once.
        _, warm = flood(t, server, ufrag, 5000, 1, forged, o.seed)
        warm()
        Requests(server, o.seed).one_round(o.seed)
        time.sleep(1)

        before, usage, kernel = server.metrics(), server.usage(), harness.udp_kernel_drops(server.media_port)
        requests = Requests(server, o.seed + 1)
        requests.start()
        _, finish = flood(t, server, ufrag, o.rate, o.seconds, forged, o.seed + 1)
        sent = finish()
        requests.stop()
        time.sleep(1)
        after, used, kernel = server.metrics(), server.usage(), harness.udp_kernel_drops(server.media_port) - kernel
        request("DELETE", resource)

        t.figure("flood", sent)
        t.check(sent["seconds"] <= o.seconds * 1.2, f"the generator reaches {o.rate}/s: {sent}")
        reasons = counted(before, after)
        t.figure("counted", reasons)
        t.figure("kernel drops", kernel)
        share = sum(reasons.values()) / max(1, sent["sent"])
        t.figure("counted share", round(share, 4))
        t.check(share >= 0.95, f"at least 95 % of what was sent is counted, was {share:.3f} "
                               f"(thrown away by the kernel: {kernel})")
        t.check(share <= 1.01, f"nothing is counted twice, share {share:.3f}")
        t.check(len(reasons) >= 5, f"the drops have many reasons: {reasons}")

        for process in ("control", "datapath"):
            growth = used[f"{process}_rss"] - usage[f"{process}_rss"]
            t.figure(f"{process} RSS growth KiB", growth // 1024)
            t.check(growth <= RSS_GROWTH_BYTES, f"{process} grows by at most 12 MiB, was {growth / MIB:.1f}")
            fds = used[f"{process}_fds"] - usage[f"{process}_fds"]
            t.check(fds <= 4, f"{process} keeps no descriptors, {fds} more")
        wall = used["at"] - usage["at"]
        t.figure("datapath CPU of one core",
                 round((used["datapath_cpu"] - usage["datapath_cpu"]) / wall, 3))
        t.figure("control CPU of one core", round((used["control_cpu"] - usage["control_cpu"]) / wall, 3))

        t.figure("bad requests", {"count": requests.count, "statuses": requests.statuses})
        t.check(requests.count >= 100, f"at least 100 bad requests were judged, {requests.count}")
        t.check(not requests.faults, f"each bad request is refused clearly: {requests.faults[:12]} "
                                     f"({len(requests.faults)} in all)")
        viewers.finish_and_check("viewers beside the flood")
        publisher.stop()
        t.check(server.metrics()["datapath_starts_total"] == 1, "the datapath was never restarted")
        t.check(server.metrics()["control_starts_total"] == 1, "control was never restarted")


def arguments(parser):
    parser.add_argument("--rate", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)


harness.main(test, arguments)
