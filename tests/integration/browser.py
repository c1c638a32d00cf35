"""Debian's chromium uses the pages of a real server: publishes from a fake camera and
microphone and watches (see browser/README.md). One --case per run; "demo" has our own peer
as the publisher, with the same pattern as scripts/run --demo. --loss 5 loses media on its way to the
browser in a userspace relay."""

import pathlib

import harness
from media import peer_publish
from relay import Relay

NODE_TEST = harness.HERE / "browser" / "browser_test.mjs"


def test(t):
    node, _, _ = harness.require(("node", "nodejs"), ("npm", "npm"), ("chromium", "chromium"))
    o = t.options
    with t.server(media_workers=2) as server:
        publisher = None
        if o.case == "demo":
            publisher = peer_publish(t, server, "demo", seconds=o.seconds + 240, pattern="640x368")
            server.wait_live("demo")
        relay = Relay(server, loss_down=o.loss / 100) if o.loss else None
        work = pathlib.Path(o.work) if o.work else t.bin.parent / "browser-tests"
        command = [node, NODE_TEST, "--base", relay.base if relay else server.base, "--case", o.case, "--seconds", o.seconds,
                   "--work", work]
        if o.screenshot:
            command += ["--screenshot", o.screenshot]
        if o.codec:
            command += ["--codec", o.codec]
        # A crashed browser leaves its profile behind in TMPDIR, which goes away with us.
        browser = t.spawn("chromium", command, env={"TMPDIR": str(t.directory)})
        report = browser.report(o.seconds + 260)
        if relay:
            t.figure("relay", relay.counts)
            relay.close()
        if browser.returncode == 77:
            raise harness.Skip(report.get("skipped", "browser_test.mjs says so"))
        t.figure(o.case, report)
        t.check(browser.returncode == 0, f"the page test holds: {report.get('failures')}")
        metrics = server.metrics()
        drops = {k: v for k, v in metrics.labelled("drops_total", "reason").items() if v}
        t.figure("drops", drops)
        t.figure("forward", {k: metrics[k] for k in ("forwarded_sources_total", "forwarded_copies_total")})
        if publisher:
            publisher.stop()


def arguments(parser):
    parser.add_argument("--case", default="publish-watch",
                        choices=("publish-watch", "demo", "early", "simulcast", "reconnect"))
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--screenshot", help="folder for pictures of the pages")
    parser.add_argument("--codec", choices=("VP8", "H264", "VP9", "AV1"))
    parser.add_argument("--loss", type=float, default=0, help="per cent of media lost towards the browser")
    parser.add_argument("--work", help="where npm installs puppeteer-core (build folder)")


harness.main(test, arguments)
