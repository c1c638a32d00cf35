"""A userspace proxy between a client and Spillway that loses datagrams.

    relay = Relay(t, server, loss_down=0.05)    a thread; ends with relay.close()
    client -> relay.base  (HTTP: passed on; the answer's candidates become the relay's port)
    client <-> relay's UDP port <-> the server

The way the viewer of a bad network is made without rights: every client source gets a socket
of its own towards the server, so the server sees as many peers as there are. Only datagrams of
media are lost (first byte 128..191): checks and handshakes have repetition of their own and
would only blur what is measured. Losses come from a seeded generator.
"""

import contextlib
import http.server
import random
import re
import selectors
import socket
import socketserver
import threading
import urllib.parse

from harness import request

CANDIDATE = re.compile(r"^a=candidate:.*$", re.MULTILINE)
PASSED_ON = ("content-type", "authorization", "if-match", "accept")
PASSED_BACK = ("content-type", "location", "etag", "link", "accept-patch", "retry-after",
               "www-authenticate", "allow", "accept-post", "content-security-policy", "cache-control")


class Relay:
    def __init__(self, server, loss_down=0.0, loss_up=0.0, seed=1, host="127.0.0.1",
                 only_http=False):
        self.server = server
        self.host = host
        self.loss_down, self.loss_up = loss_down, loss_up
        self.only_http = only_http   # candidates stay the server's: only requests pass here
        self.resources = []          # session URLs at the server, in the order of creation
        self.random = random.Random(seed)
        self.counts = {"down": 0, "down_lost": 0, "up": 0, "up_lost": 0}
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.family = family
        self.front = socket.socket(family, socket.SOCK_DGRAM)
        self.front.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.front.bind((host, 0))
        self.port = self.front.getsockname()[1]
        self.to_server = {}   # client address -> socket towards the server
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ, None)
        self.wake_out, self.wake_in = socket.socketpair()
        self.selector.register(self.wake_in, selectors.EVENT_READ, "wake")
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.http = _HttpServer(("127.0.0.1", 0), _Handler)
        self.http.relay = self
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.http_thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.http_thread.start()

    # One host candidate that leads here instead of those of the server.
    def rewrite(self, sdp):
        line = f"a=candidate:1 1 UDP 2130706431 {self.host} {self.port} typ host"
        found = CANDIDATE.findall(sdp)
        if not found or self.only_http:
            return sdp
        first = True

        def replace(_match):
            nonlocal first
            if first:
                first = False
                return line + ("\r" if found[0].endswith("\r") else "")
            return "\0"
        return CANDIDATE.sub(replace, sdp).replace("\0\n", "").replace("\0", "")

    def lost(self, data, probability):
        return bool(data) and 128 <= data[0] <= 191 and self.random.random() < probability

    def run(self):
        with contextlib.suppress(OSError, ValueError):
            while True:
                for key, _ in self.selector.select():
                    if key.data == "wake":
                        return
                    self.pump(key.fileobj, key.data)

    def pump(self, sock, client):
        for _ in range(64):
            try:
                data, source = sock.recvfrom(2048, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                continue
            if client is None:
                self.counts["up"] += 1
                if self.lost(data, self.loss_up):
                    self.counts["up_lost"] += 1
                    continue
                with contextlib.suppress(OSError):
                    self.socket_of(source).send(data)
            else:
                self.counts["down"] += 1
                if self.lost(data, self.loss_down):
                    self.counts["down_lost"] += 1
                    continue
                with contextlib.suppress(OSError):
                    self.front.sendto(data, client)

    def socket_of(self, client):
        if client not in self.to_server:
            sock = socket.socket(self.family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.connect((self.host, self.server.media_port))
            self.to_server[client] = sock
            self.selector.register(sock, selectors.EVENT_READ, client)
        return self.to_server[client]

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.wake_out.send(b"x")
        self.thread.join(5)
        for sock in (*self.to_server.values(), self.front, self.wake_in, self.wake_out):
            sock.close()
        self.selector.close()


class _HttpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pass_on(self):
        relay = self.server.relay
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() in PASSED_ON}
        answer = request(self.command, relay.server.base + self.path, body or None, headers)
        out = answer.body
        if answer.header("content-type").startswith(("application/sdp", "application/trickle")):
            out = relay.rewrite(out.decode()).encode()
        if answer.status == 201:
            relay.resources.append(urllib.parse.urljoin(relay.server.base, answer.header("location")))
        self.send_response(answer.status)
        for name in PASSED_BACK:
            value = answer.header(name)
            if name == "location" and value:
                value = urllib.parse.urlsplit(value).path  # stays behind the relay
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    do_GET = do_POST = do_PATCH = do_DELETE = do_OPTIONS = pass_on
