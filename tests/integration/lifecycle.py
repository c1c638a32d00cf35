"""Starting and ending: SIGTERM drains and leaves nothing; bad configuration is refused with
code 78 and says where; busy ports are named; an ordinary user can run it; a killed launcher
takes its children along."""

import os
import pwd
import signal
import socket
import subprocess
import time

import harness
from harness import process_stat, request, wait_for


def drains_while_media_flows(t):
    """SIGTERM with live sessions: new ones are refused, the end is orderly and in time."""
    with t.server("drain", media_workers=2, drain_timeout_s=3) as server:
        publisher = t.aio("publisher", "publish", server.base + "/whip/d", "--seconds", 60,
                          "--media", "audio")
        server.wait_live("d")
        viewer = t.aio("viewer", "play", server.base + "/whep/d", "--seconds", 60, "--media", "audio")
        wait_for("the viewer is connected", server.metrics,
                 lambda m: m.get("sessions", role="viewer", state="connected") == 1)
        server.process.send_signal(signal.SIGTERM)
        refused = wait_for("new sessions are refused while draining",
                           lambda: offer_status(server), lambda s: s in (503, None), seconds=5,
                           pause=0.02)
        t.figure("POST while draining", refused or "connection closed")
        server.stop()  # a second SIGTERM cuts the drain short
        t.figure("stop_seconds", round(server.stop_seconds, 2))
        for program in (publisher, viewer):
            program.stop()

    # Without sessions there is nothing to wait for.
    with t.server("idle", drain_timeout_s=30) as server:
        server.stop(seconds=15)
        t.check(server.stop_seconds < 10,
                f"an idle server does not wait for the drain timeout, took {server.stop_seconds:.1f} s")


def offer_status(server):
    try:
        return request("POST", server.base + "/whip/other", b"v=0\r\n",
                       {"Content-Type": "application/sdp"}, seconds=3).status
    except OSError:
        return None


def refuses_bad_configuration(t):
    cases = {
        "unknown key": ('[media]\nportt = 1\n', ["portt", ":2"]),
        "wrong type": ('[media]\nport = "many"\n', ["port", ":2"]),
        "out of range": ('[media]\nworkers = 99\n', ["workers", "16"]),
        "no TOML": ("[media\n", [":1"]),
        "bad address": ('[http]\nlisten = "somewhere"\n', ["listen", ":2"]),
    }
    for name, (text, said) in cases.items():
        path = t.directory / f"{name.replace(' ', '-')}.toml"
        path.write_text(text)
        for verb in (["run"], ["config", "check"]):
            done = subprocess.run([t.program("spillway"), *verb, "--config", path], timeout=30,
                                  capture_output=True, text=True, check=False)
            message = done.stderr + done.stdout
            t.check(done.returncode == 78, f"{name}: {' '.join(verb)} ends with 78, was {done.returncode}")
            t.check(path.name in message, f"{name}: the message names the file: {message!r}")
            for word in said:
                t.check(word in message, f"{name}: the message has {word!r}: {message!r}")
    done = subprocess.run([t.program("spillway"), "run", "--no-such-flag"], timeout=30,
                          capture_output=True, text=True, check=False)
    t.check(done.returncode == 64, f"an unknown flag ends with 64, was {done.returncode}")


def names_busy_ports(t):
    port = harness.free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", port))
        server = t.server("busy-udp", ready=False, media_port=port)
        server.stopped = True
        code = server.process.wait(60)
        t.check(code == 78, f"a busy UDP port ends with 78, was {code}")
        t.check(str(port) in server.process.errors(),
                f"the message names UDP port {port}: {server.process.errors()[-400:]!r}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = t.server("busy-tcp", ready=False, http_listen=f"127.0.0.1:{port}")
        server.stopped = True
        code = server.process.wait(60)
        t.check(code == 78, f"a busy TCP port ends with 78, was {code}")
        t.check(str(port) in server.process.errors(),
                f"the message names TCP port {port}: {server.process.errors()[-400:]!r}")


def runs_as_ordinary_user(t):
    prefix = []
    if os.getuid() == 0:
        setpriv, = harness.require(("setpriv", "util-linux"))
        nobody = pwd.getpwnam("nobody")
        for path in (t.program("spillway"), str(t.directory)):
            probe = subprocess.run([setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
                                    "--clear-groups", "test", "-r", path], check=False)
            if probe.returncode != 0:
                t.note(f"not checked as user nobody: he cannot read {path}")
                return
        prefix = [setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
                  "--bounding-set=-all", "--no-new-privs"]
    with t.server("ordinary", prefix=prefix) as server:
        uid = os.stat(f"/proc/{server.datapath_pid}").st_uid
        t.check(uid != 0, f"the datapath runs as an ordinary user, uid {uid}")
        health = server.health()
        t.figure("ordinary user", {k: health[k] for k in ("io_backend", "srtp_backend", "degraded")})


def dies_with_its_launcher(t):
    """kill -9 of the launcher: both children end by themselves and free the ports."""
    server = t.server("orphaned")
    server.stopped = True
    children = {p: process_stat(p)[1] for p in (server.control_pid, server.datapath_pid)}
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(10)
    left = wait_for("the children end with their launcher",
                    lambda: [p for p, since in children.items()
                             if (s := process_stat(p)) and s[1] == since], lambda l: not l, seconds=10)
    t.check(left == [], "no child outlives the launcher")
    time.sleep(0.1)
    t.check(not harness.port_in_use(server.media_port), "the UDP port is free")


def test(t):
    for part in (refuses_bad_configuration, names_busy_ports, dies_with_its_launcher,
                 runs_as_ordinary_user, drains_while_media_flows):
        t.note(f"{part.__name__}")
        part(t)


harness.main(test)
