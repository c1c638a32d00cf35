"""What every integration test needs: a running Spillway on ports of its own, other
programs beside it, and the promise that nothing is left behind.

    def test(t):
        with t.server(workers=2) as server:
            ...
            t.check(figure < 5, f"figure stays below 5, was {figure}")
    harness.main(test)

main() makes the exit code: 0 held, 1 did not, 77 this machine lacks something (the
reason is printed). All programs are started in t.run() / t.spawn() / t.server(), are
killed by process id when the test ends in whatever way, and their output is kept in
t.directory and printed when the test fails.

Programs of the build are looked for in $SPILLWAY_BIN_DIR or --bin. Python 3 of Debian 12,
standard library only.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
LOG_TAIL_BYTES = 12_000
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


class Failure(Exception):
    """What the test promised does not hold."""


# --- small helpers -------------------------------------------------------------------


def wait_for(what, produce, accept=bool, seconds=20.0, pause=0.1):
    """Polls produce() until accept(value) and returns the value. Only the deadline
    matters, never the pace: machines differ by more than a factor of two."""
    deadline = time.monotonic() + seconds
    while True:
        value = produce()
        if accept(value):
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds:g} s; last seen {str(value)[:600]}")
        time.sleep(pause)


def free_port(kind=socket.SOCK_STREAM):
    """A port that was free a moment ago on every local address."""
    for _ in range(50):
        with socket.socket(socket.AF_INET6, kind) as s:
            s.bind(("::", 0))
            port = s.getsockname()[1]
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise Failure("no free port")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def require(*programs):
    """Full paths of foreign programs; Skip when one is missing."""
    found = []
    for program, package in programs:
        path = shutil.which(program)
        if not path:
            raise Skip(f"{program} is not installed (Debian package {package})")
        found.append(path)
    return found


class Answer:
    """One HTTP answer. header() ignores case and gives "" when there is none."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name):
        return self.headers.get(name.lower(), "")

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.header('content-type')} {self.body[:200]!r}"


def request(method, url, body=None, headers=None, seconds=10):
    """A single request on a connection of its own, no redirects."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    target = parts.path + ("?" + parts.query if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()},
                      response.read())
    finally:
        connection.close()


# --- figures of processes and of the machine ---------------------------------------------


def process_stat(pid):
    """(parent, start time in ticks, CPU seconds) or None when it is gone or a zombie."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    if fields[0] in "ZX":
        return None
    return int(fields[1]), int(fields[19]), (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def cpu_seconds(pid):
    stat = process_stat(pid)
    return stat[2] if stat else 0.0


def rss_bytes(pid):
    """Private resident memory: shared regions count once, with whoever made them."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[1]) * PAGE_BYTES


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def machine_cpu():
    """Seconds since boot of all CPUs together: {"busy", "softirq", "all"}."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, idle, iowait, irq, softirq, steal = (int(f) for f in fields)
    busy = user + nice + system + irq + softirq
    return {"busy": busy / TICKS_PER_SECOND, "softirq": (irq + softirq) / TICKS_PER_SECOND,
            "all": (busy + idle + iowait + steal) / TICKS_PER_SECOND}


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = process_stat(int(entry))
            if stat and stat[0] == pid:
                found.append(int(entry))
    return found


def udp_kernel_drops(port):
    """Datagrams the kernel threw away for want of room in sockets of this port."""
    total = 0
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rsplit(":", 1)[1], 16) == port:
                    total += int(fields[-1])
    return total


def port_in_use(port):
    """TCP listeners and UDP sockets of a port, as text; empty when it is free."""
    found = []
    for table, states in (("tcp", {"0A"}), ("tcp6", {"0A"}), ("udp", None), ("udp6", None)):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rsplit(":", 1)[1], 16) != port:
                    continue
                if states is None or fields[3] in states:
                    found.append(f"{table} {fields[1]}")
    return found


# --- metrics --------------------------------------------------------------------------------

SAMPLE = re.compile(r'^spillway_([a-zA-Z0-9_:]+)(?:\{(.*)\})? ([-+0-9.eEinfNa]+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One reading of /metrics. m["tx_datagrams_total"] sums over labels;
    m.labelled("drops_total", "reason") gives a dictionary."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            found = SAMPLE.match(line)
            if found:
                self.samples.append((found[1], dict(LABEL.findall(found[2] or "")), float(found[3])))

    def __getitem__(self, name):
        values = [v for n, _, v in self.samples if n == name]
        if not values:
            raise Failure(f"/metrics has no spillway_{name}")
        return sum(values)

    def get(self, name, **labels):
        return sum(v for n, l, v in self.samples
                   if n == name and all(l.get(k) == w for k, w in labels.items()))

    def labelled(self, name, label):
        out = {}
        for n, labels, v in self.samples:
            if n == name and label in labels:
                out[labels[label]] = out.get(labels[label], 0) + v
        return out


# --- the server -----------------------------------------------------------------------------


class Server:
    """`spillway run` on free ports. `config` are keys as in the TOML file ("media.workers"),
    values in Python. A with-block stops it and checks that nothing stays behind."""

    def __init__(self, test, name, config, ready=True, prefix=()):
        self.test = test
        self.name = name
        self.http_port = free_port()
        self.admin_port = free_port()
        self.media_port = free_port(socket.SOCK_DGRAM)
        keys = {"http.listen": f"127.0.0.1:{self.http_port}",
                "http.admin_listen": f"127.0.0.1:{self.admin_port}",
                "media.port": self.media_port,
                # Many sessions from one address are the rule here, not an attack.
                "sessions.posts_per_second": 0, "sessions.posts_per_second_per_ip": 0,
                "http.max_connections_per_ip": 4000,
                "drain_timeout_s": 2, "log.level": "info"}
        keys.update(config)
        self.keys = keys
        listen = urllib.parse.urlsplit("//" + keys["http.listen"])
        host = listen.hostname if ":" not in listen.hostname else f"[{listen.hostname}]"
        self.base = f"http://{host}:{listen.port}"
        self.http_port = listen.port
        self.media_port = keys["media.port"]
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.config_file = test.directory / f"{name}.toml"
        write_toml(self.config_file, keys)
        # The launcher and its programs may be used by another user (prefix).
        self.config_file.chmod(0o644)
        self.process = test.spawn(name, [*prefix, test.program("spillway"), "run", "--config",
                                         str(self.config_file)])
        self.pid = self.process.pid
        self.stopped = False
        if ready:
            self.wait_ready()

    def wait_ready(self, seconds=30):
        def look():
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended with {self.process.returncode} while starting")
            try:
                return request("GET", self.admin + "/readyz", seconds=2).status == 200
            except OSError:
                return False
        wait_for(f"{self.name} is ready", look, seconds=seconds, pause=0.05)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None and not self.stopped:
            self.stop()

    # Process ids of the two children by program name. The launcher may sit below a
    # wrapper such as setpriv, which replaces itself, so children are direct ones.
    def child(self, program, seconds=10):
        def look():
            for pid in children_of(self.pid):
                try:
                    name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                except OSError:
                    continue
                if name == program:
                    return pid
            return None
        return wait_for(f"{program} runs", look, seconds=seconds, pause=0.02)

    @property
    def control_pid(self):
        return self.child("spillway-control")

    @property
    def datapath_pid(self):
        return self.child("spillway-datapath")

    def metrics(self):
        answer = request("GET", self.admin + "/metrics")
        if answer.status != 200:
            raise Failure(f"/metrics answers {answer}")
        return Metrics(answer.body.decode())

    def health(self):
        return request("GET", self.admin + "/readyz").json()

    def stream(self, name):
        """The stream as /api/streams/{name} tells it; {} when there is none."""
        answer = request("GET", f"{self.base}/api/streams/{name}")
        return answer.json() if answer.status == 200 else {}

    def wait_live(self, name, seconds=30):
        """Until the stream has a publisher whose packets arrive."""
        return wait_for(f"stream {name} is live", lambda: self.stream(name),
                        lambda s: s.get("live") and s.get("rx_packets", 0) > 0, seconds=seconds)

    def usage(self):
        """CPU seconds and resident bytes of both processes, and the machine's CPU."""
        control, datapath = self.control_pid, self.datapath_pid
        return {"control_cpu": cpu_seconds(control), "datapath_cpu": cpu_seconds(datapath),
                "control_rss": rss_bytes(control), "datapath_rss": rss_bytes(datapath),
                "control_fds": descriptors(control), "datapath_fds": descriptors(datapath),
                "machine": machine_cpu(), "at": time.monotonic()}

    def stop(self, seconds=25):
        """SIGTERM, an orderly end with code 0, and nothing left: no process, no socket."""
        self.stopped = True
        started = [p for p in [self.pid, *children_of(self.pid)]]
        identity = {p: stat[1] for p in started if (stat := process_stat(p))}
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not stop within {seconds} s of SIGTERM") from None
        self.stop_seconds = time.monotonic() - begun
        self.test.check(code == 0, f"{self.name} ends with 0 after SIGTERM, was {code}")
        left = [p for p, since in identity.items()
                if (stat := process_stat(p)) and stat[1] == since]
        self.test.check(not left, f"no process of {self.name} is left, found {left}")
        for port in (self.http_port, self.admin_port, self.media_port):
            # The kernel lets go of a dead io_uring's sockets some tens of ms after the process.
            until = time.monotonic() + 3
            while (used := port_in_use(port)) and time.monotonic() < until:
                time.sleep(0.05)
            self.test.check(not used, f"port {port} of {self.name} is free again, found {used}")


def write_toml(path, keys):
    """Flat keys "section.key" as a TOML file; keys without a dot come first."""
    def text(value):
        return json.dumps(value)  # strings, numbers, booleans and lists read alike in TOML
    lines = [f"{k} = {text(v)}" for k, v in keys.items() if "." not in k]
    sections = {}
    for key, value in keys.items():
        if "." in key:
            section, name = key.split(".", 1)
            sections.setdefault(section, []).append(f"{name} = {text(value)}")
    for section, body in sections.items():
        lines += [f"[{section}]", *body]
    path.write_text("\n".join(lines) + "\n")


# --- one test -------------------------------------------------------------------------------


class Program:
    """A program that was started: its output so far, its end, its JSON report."""

    def __init__(self, name, process, out, err):
        self.name = name
        self.process = process
        self.pid = process.pid
        self.out = out
        self.err = err

    def poll(self):
        return self.process.poll()

    @property
    def returncode(self):
        return self.process.returncode

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds):
        return self.process.wait(seconds)

    def output(self):
        return self.out.read_text(errors="replace")

    def errors(self):
        return self.err.read_text(errors="replace")

    def finish(self, seconds):
        """Waits for the end; exit code 77 skips, another one fails. Gives stdout."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None
        if code == 77:
            raise Skip(self.output().strip() or self.name)
        if code != 0:
            raise Failure(f"{self.name} ended with {code}: {self.errors()[-1500:]}")
        return self.output()

    def report(self, seconds):
        """The last line of stdout that is a JSON object, whatever the exit code."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None
        return last_json(self.name, self.output(), self.errors())

    def stop(self, seconds=10, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s of signal {number}") from None


def last_json(name, out, err=""):
    text = out.strip()
    start = text.find("{")
    if start >= 0:
        with contextlib.suppress(ValueError):
            return json.loads(text[start:])  # the whole output is one object
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                return json.loads(line)
    raise Failure(f"{name} printed no report: {out[-500:]} {err[-1500:]}")


class Test:
    """Handed to the test function; see the top of this file."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.failures = []
        self.figures = {}
        self.programs = []
        self.bin = pathlib.Path(options.bin).resolve() if options.bin else None

    def program(self, name):
        if not self.bin:
            raise Skip("say where the programs are: --bin or SPILLWAY_BIN_DIR")
        path = self.bin / name
        if not path.exists():
            raise Skip(f"{path} was not built")
        return str(path)

    def check(self, holds, what):
        """Notes what does not hold; the test goes on so that all figures are seen."""
        if not holds:
            self.failures.append(what)
            print(f"FAILED: {what}", flush=True)
        return bool(holds)

    def note(self, text):
        print(text, flush=True)

    def figure(self, name, value):
        self.figures[name] = value
        self.note(f"  {name}: {value}")

    def spawn(self, name, command, env=None, cwd=None):
        number = len(self.programs)
        out = self.directory / f"{number:02d}-{name}.out"
        err = self.directory / f"{number:02d}-{name}.err"
        with open(out, "wb") as o, open(err, "wb") as e:
            process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=o,
                                       stderr=e, env={**os.environ, **(env or {})}, cwd=cwd,
                                       start_new_session=True)
        program = Program(name, process, out, err)
        self.programs.append(program)
        return program

    def run(self, name, command, seconds=60, **more):
        program = self.spawn(name, command, **more)
        program.finish(seconds)
        return program

    def server(self, name="spillway", ready=True, prefix=(), **config):
        """config: media_workers=3 means media.workers."""
        keys = {}
        for key, value in config.items():
            section, _, rest = key.partition("_")
            keys[f"{section}.{rest}" if section in SECTIONS else key] = value
        return Server(self, name, keys, ready, prefix)

    def peer(self, name, *arguments):
        return self.spawn(name, [self.program("spillway-peer"), *map(str, arguments)])

    def aio(self, name, *arguments):
        """The aiortc peer: Debian's Python, whatever runs this file."""
        return self.spawn(name, ["/usr/bin/python3", HERE / "aio_peer.py", *map(str, arguments)])

    # What is still alive when a test is over, by process id and only what was
    # started here: first the programs, then what they themselves started.
    def end_all(self):
        alive = [p for p in self.programs if p.poll() is None]
        below = {c: process_stat(c) for p in alive for c in children_of(p.pid)}
        for p in alive:
            p.process.kill()
        for p in alive:
            p.process.wait()
        for pid, stat in below.items():
            now = process_stat(pid)
            if stat and now and now[1] == stat[1]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def show_logs(self):
        for path in sorted(self.directory.glob("*.err")) + sorted(self.directory.glob("*.out")):
            text = path.read_text(errors="replace")
            if text.strip():
                print(f"--- {path.name}\n{text[-LOG_TAIL_BYTES:]}", flush=True)


SECTIONS = ("http", "auth", "media", "sessions", "log")


def main(test, arguments=None):
    """Runs test(t) and exits. `arguments`(parser) may add options of the test."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--bin", default=os.environ.get("SPILLWAY_BIN_DIR"),
                        help="folder of spillway, spillway-peer ... ($SPILLWAY_BIN_DIR)")
    parser.add_argument("--keep", action="store_true", help="keep the folder of logs")
    if arguments:
        arguments(parser)
    options = parser.parse_args()
    # Every SPILLWAY_ variable is configuration to the launcher: none may come from outside.
    for name in [n for n in os.environ if n.startswith("SPILLWAY_")]:
        del os.environ[name]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="spillway-test-"))
    directory.chmod(0o755)
    t = Test(options, directory)

    def interrupted(number, _frame):
        raise Failure(f"ended by signal {number}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupted)

    code = 1
    try:
        test(t)
        code = 1 if t.failures else 0
    except Skip as reason:
        print(f"SKIPPED: {reason}", flush=True)
        code = 77
    except Failure as reason:
        t.failures.append(str(reason))
        print(f"FAILED: {reason}", flush=True)
    except Exception:  # pylint: disable=broad-except
        t.failures.append("the test itself broke")
        traceback.print_exc()
    finally:
        t.end_all()
    if code == 1:
        t.show_logs()
    print(json.dumps({"ok": code == 0, **({"skipped": True} if code == 77 else {}), "failures": t.failures, **t.figures}), flush=True)
    if t.options.keep or code == 1:
        print(f"logs: {directory}", flush=True)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(code)
