"""Many viewers of one publisher: losses, and what a forwarded packet costs.

The full run takes a minute and wants the machine for itself:
load.py --viewers 200 --mbps 2 --seconds 60. ctest has a short one so that this cannot rot."""

import time

import harness
from harness import wait_for
from media import peer_play, peer_publish


def table(rows):
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}", flush=True)


def measure(t, server, pids, seconds):
    """Differences over `seconds` of counters and CPU."""
    def snapshot():
        return {"metrics": server.metrics(), "usage": server.usage(),
                "peers": sum(harness.cpu_seconds(p) for p in pids)}
    a = snapshot()
    time.sleep(seconds)
    b = snapshot()
    wall = b["usage"]["at"] - a["usage"]["at"]
    counter = lambda name: b["metrics"][name] - a["metrics"][name]
    machine = {k: b["usage"]["machine"][k] - a["usage"]["machine"][k] for k in ("busy", "softirq", "all")}
    return {"wall": wall, "counter": counter, "machine": machine,
            "datapath": b["usage"]["datapath_cpu"] - a["usage"]["datapath_cpu"],
            "control": b["usage"]["control_cpu"] - a["usage"]["control_cpu"],
            "peers": b["peers"] - a["peers"], "rss": b["usage"]["datapath_rss"],
            "drops": {k: v - a["metrics"].labelled("drops_total", "reason").get(k, 0)
                      for k, v in b["metrics"].labelled("drops_total", "reason").items()
                      if v > a["metrics"].labelled("drops_total", "reason").get(k, 0)},
            "latency": latency(a["metrics"], b["metrics"])}


def latency(before, after):
    """Median and 99th percentile of forwarding, as bucket bounds in microseconds."""
    old = before.labelled("forward_latency_seconds_bucket", "le")
    new = after.labelled("forward_latency_seconds_bucket", "le")
    bounds = sorted(((float(k.replace("+Inf", "inf")), v - old.get(k, 0)) for k, v in new.items()))
    total = bounds[-1][1] if bounds else 0
    out = {}
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        out[name] = next((f"<= {b * 1e6:g} us" for b, count in bounds if total and count >= total * part), "none")
    return out


def test(t):
    o = t.options
    with t.server(media_workers=o.workers, **({"media_srtp": o.srtp} if o.srtp else {})) as server:
        publisher = peer_publish(t, server, "load", seconds=o.seconds + 120, bps=int(o.mbps * 1e6))
        server.wait_live("load")
        viewers = peer_play(t, server, "load", o.seconds + 15, viewers=o.viewers, profile=o.profile)
        wait_for(f"{o.viewers} viewers are connected", server.metrics,
                 lambda m: m.get("sessions", role="viewer", state="connected") == o.viewers, seconds=60,
                 pause=0.5)
        time.sleep(2)
        m = measure(t, server, [publisher.pid, viewers.pid], o.seconds)
        report = viewers.finish_and_check("viewers", seconds=90, lossless=not o.allow_loss)
        publisher.stop()

        copies = m["counter"]("forwarded_copies_total")
        per_packet = lambda seconds: f"{seconds * 1e6 / max(1, copies):.3f} us"
        health = server.health()
        table([
            ("workers, I/O, SRTP", f"{health['workers']}, {health['io_backend']}, {health['srtp_backend']}"),
            ("viewers", o.viewers),
            ("packets to viewers", f"{copies:.0f}  ({copies / m['wall']:.0f}/s)"),
            ("datagrams per send", f"{m['counter']('tx_datagrams_total') / max(1, m['counter']('tx_messages_total')):.2f}"),
            ("lost packets, all viewers", report["lost"]),
            ("longest gap", f"{report['gap_ms']} ms"),
            ("datapath CPU per packet", per_packet(m["datapath"])),
            ("datapath CPU + softirq per packet", per_packet(m["datapath"] + m["machine"]["softirq"])),
            ("machine without the peers per packet", per_packet(m["machine"]["busy"] - m["peers"])),
            ("machine with the peers per packet", per_packet(m["machine"]["busy"])),
            ("machine busy", f"{100 * m['machine']['busy'] / m['machine']['all']:.0f} %"),
            ("datapath, control CPU", f"{m['datapath'] / m['wall']:.2f}, {m['control'] / m['wall']:.3f} cores"),
            ("forward latency", f"p50 {m['latency']['p50']}, p99 {m['latency']['p99']}"),
            ("RTX, NACK", f"{m['counter']('rtx_sent_total'):.0f}, {m['counter']('nack_received_total'):.0f}"),
            ("drops", m["drops"] or "none"),
            ("datapath RSS", f"{m['rss'] / (1 << 20):.0f} MiB"),
        ])
        t.figure("copies", int(copies))
        t.figure("datapath_us_per_packet", round(m["datapath"] * 1e6 / max(1, copies), 3))
        t.check(copies > 0.8 * o.viewers * o.mbps * 1e6 / 8 / 1200 * m["wall"],
                f"the viewers get what is published, {copies / m['wall']:.0f} packets/s")


def arguments(parser):
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--mbps", type=float, default=2.0)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=0, help="0: one per core")
    parser.add_argument("--profile", choices=("cm", "gcm", "gcm256"))
    parser.add_argument("--srtp", choices=("auto", "ipsec-mb", "openssl"))
    parser.add_argument("--allow-loss", action="store_true", help="report losses, do not judge them")


harness.main(test, arguments)
