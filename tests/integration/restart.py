"""kill -9 of either process while media flows: the launcher starts it again on the same memory.
Control: no packet may be lost because of it. Datapath: every session is back without a new
handshake; how long media paused is printed."""

import os
import signal
import time

import harness
from harness import wait_for
from media import peer_play, peer_publish

# Start of a process, one lost ring and one key frame on a slow machine.
DATAPATH_GAP_MS = 5000


def connected(server):
    m = server.metrics()
    return (m.get("sessions", role="publisher", state="connected"),
            m.get("sessions", role="viewer", state="connected"))


def kill(t, server, program):
    pid = server.child(program)
    t.note(f"kill -9 {program} ({pid})")
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait_for(f"{program} runs again", lambda: server.child(program), lambda p: p != pid, seconds=15, pause=0.005)
    server.wait_ready(20)
    t.figure(f"{program} ready after ms", round((time.monotonic() - begun) * 1000))


def one(t, program, judge):
    with t.server(program, media_workers=2) as server:
        publisher = peer_publish(t, server, "r", seconds=120)
        server.wait_live("r")
        viewers = peer_play(t, server, "r", 14, viewers=3)
        wait_for("all are connected", lambda: connected(server), lambda c: c == (1, 3))
        time.sleep(3)
        done = server.metrics().get("dtls_handshakes_total", result="ok")
        kill(t, server, program)
        kept = wait_for("every session is connected", lambda: connected(server), lambda c: c == (1, 3), seconds=10)
        t.check(kept == (1, 3), f"all sessions are kept, {kept}")
        copies = server.metrics()["forwarded_copies_total"]
        wait_for("media flows", server.metrics, lambda m: m["forwarded_copies_total"] > copies + 100, seconds=15)
        after = server.metrics()
        if program == "spillway-datapath":
            t.check(after.get("dtls_handshakes_total", result="ok") == done, "no handshake was needed again")
            t.check(after["datapath_starts_total"] == 2, "the datapath was started once more")
        else:
            t.check(after["sessions_recovered_total"] == 4, "the new control found all 4 sessions")
            t.check(after["control_starts_total"] == 2, "control was started once more")
        # What came back must also be able to end and to begin anew.
        extra = peer_play(t, server, "r", 3)
        extra.finish_and_check(f"a viewer who comes after the death of {program}")
        judge(t, viewers)
        publisher.stop()


def control(t, viewers):
    report = viewers.finish_and_check("viewers over control's death", seconds=60)
    t.check(report["gap_ms"] <= 500, f"media does not notice: longest gap {report['gap_ms']} ms")


def datapath(t, viewers):
    report = viewers.finish_and_check("viewers over the datapath's death", seconds=60, lossless=False)
    t.figure("longest gap over the datapath's death ms", report["gap_ms"])
    t.check(report["gap_ms"] <= DATAPATH_GAP_MS, f"media is back within {DATAPATH_GAP_MS} ms")
    t.check(report["replayed"] == 0, f"no SRTP index was used twice: {report['replayed']}")


def test(t):
    one(t, "spillway-control", control)
    one(t, "spillway-datapath", datapath)


harness.main(test)
