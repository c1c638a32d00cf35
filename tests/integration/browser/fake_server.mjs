// A stand-in for the server, so that the pages can be tested alone: serves the
// source files of signaling/pages/web and answers WHIP and WHEP by connecting the
// browser to a page of the same browser, which hands the decoded tracks on.
// It transcodes; it is for judging pages, never for judging media.
//
// Alone, to look at the pages:  node fake_server.mjs --port 8081

import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PAGES = path.resolve(HERE, '../../../signaling/pages');
const { applyRestartReply, restartFragment } =
  await import(path.join(PAGES, 'web/assets/sdp.js'));

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const NAME = '[A-Za-z0-9_-]{1,128}';

// The policy the real server sends: the pages must work under exactly that one.
const policy = [.../kPageSecurityPolicy =([^;]*?"[^;]*(?:;[^;]*)*?);\n/s
  .exec(readFileSync(path.join(PAGES, 'pages.h'), 'utf8'))[1].matchAll(/"([^"]*)"/g)]
  .map((match) => match[1]).join('');

function pageFile(where) {
  if (where === '/') return 'index.html';
  if (where === '/status') return 'status.html';
  const page = new RegExp(`^/(publish|watch)/${NAME}$`).exec(where);
  if (page) return `${page[1]}.html`;
  const asset = /^\/assets\/(?:dev\/)?([a-z_]+\.[a-z]+)$/.exec(where);
  return asset ? `assets/${asset[1]}` : null;
}

// Runs inside the bridge page.
function installBridge() {
  const sessions = new Map();
  let next = 1;
  const gathered = (pc) => new Promise((resolve) => {
    if (pc.iceGatheringState === 'complete') resolve();
    pc.addEventListener('icegatheringstatechange', () => {
      if (pc.iceGatheringState === 'complete') resolve();
    });
  });
  const publisherOf = (stream) => [...sessions.values()].find((s) => s.publisher && s.stream === stream);
  const feed = (viewer) => {
    for (const transceiver of viewer.pc.getTransceivers()) {
      const { kind } = transceiver.receiver.track;
      const track = publisherOf(viewer.stream)?.pc.getReceivers()
        .map((receiver) => receiver.track).find((one) => one.kind === kind) ?? null;
      transceiver.sender.replaceTrack(track);
    }
  };
  const answer = async (session) => {
    await session.pc.setLocalDescription(await session.pc.createAnswer());
    await gathered(session.pc);
    return session.pc.localDescription.sdp;
  };
  window.bridge = {
    has: (stream) => Boolean(publisherOf(stream)),
    async open(publisher, stream, offer) {
      const session = { pc: new RTCPeerConnection(), publisher, stream, since: Date.now(), offer };
      const id = `fake${next++}`;
      await session.pc.setRemoteDescription({ type: 'offer', sdp: offer });
      sessions.set(id, session);
      if (publisher) {
        // Sound of a remote track flows on only while somebody listens to it.
        session.listener = new Audio();
        session.listener.muted = true;
        session.listener.srcObject = new MediaStream(session.pc.getReceivers().map((r) => r.track));
        session.listener.play().catch(() => {});
        for (const one of sessions.values()) if (!one.publisher && one.stream === stream) feed(one);
      } else {
        for (const transceiver of session.pc.getTransceivers()) transceiver.direction = 'sendonly';
        feed(session);
      }
      return { id, sdp: await answer(session) };
    },
    offerOf: (id) => sessions.get(id)?.offer ?? null,
    async restart(id, offer) {
      const session = sessions.get(id);
      session.offer = offer;
      await session.pc.setRemoteDescription({ type: 'offer', sdp: offer });
      return answer(session);
    },
    close(id) {
      const session = sessions.get(id);
      session?.pc.close();
      if (session?.listener) session.listener.srcObject = null;
      sessions.delete(id);
      if (session?.publisher) {
        for (const one of sessions.values()) if (one.stream === session.stream) feed(one);
      }
      return Boolean(session);
    },
    async report() {
      const out = new Map();
      for (const session of sessions.values()) {
        const report = [...(await session.pc.getStats()).values()];
        const total = (type, key) => report.filter((s) => s.type === type)
          .reduce((sum, s) => sum + (s[key] ?? 0), 0);
        const entry = {
          stream: session.stream, publisher: session.publisher, age_ms: Date.now() - session.since,
          state: session.pc.connectionState, remote: '127.0.0.1:5000',
          rx_packets: total('inbound-rtp', 'packetsReceived'), rx_bytes: total('inbound-rtp', 'bytesReceived'),
          tx_packets: total('outbound-rtp', 'packetsSent'), tx_bytes: total('outbound-rtp', 'bytesSent'),
          tracks: report.filter((s) => s.type === 'inbound-rtp').map((s) => ({
            kind: s.kind, rids: [],
            codecs: report.filter((c) => c.id === s.codecId)
              .map((c) => ({ name: c.mimeType.split('/')[1], fmtp: c.sdpFmtpLine ?? '' })),
          })),
        };
        if (!out.has(session.stream)) out.set(session.stream, []);
        out.get(session.stream).push(entry);
      }
      return [...out.entries()];
    },
  };
}

function summary(name, sessions) {
  const sum = (key) => sessions.reduce((total, session) => total + session[key], 0);
  const live = sessions.some((session) => session.publisher);
  return {
    name, live, viewers: sessions.filter((session) => !session.publisher).length,
    rx_packets: sum('rx_packets'), rx_bytes: sum('rx_bytes'),
    tx_packets: sum('tx_packets'), tx_bytes: sum('tx_bytes'),
    tracks: sessions.find((session) => session.publisher)?.tracks ?? [],
    layers: live ? [{ rid: '', active: true, bitrate_bps: 1000000 }] : [],
  };
}

class Handler {
  constructor(bridge) {
    this.bridge = bridge;
    this.begun = Date.now();
    this.generation = 0;
  }

  async answer(method, where, body) {
    const page = method === 'GET' ? pageFile(where) : null;
    if (page) return this.file(page);
    const post = new RegExp(`^/(whip|whep)/(${NAME})$`).exec(where);
    if (post && method === 'POST') return this.open(post[1] === 'whip', post[2], body);
    const session = /^\/w\/(\w+)(\/layer)?$/.exec(where);
    if (session?.[2]) return [200, {}, ''];
    if (session && method === 'DELETE') {
      return await this.bridge.evaluate((id) => window.bridge.close(id), session[1])
        ? [200, {}, ''] : problem(404, 'unknown session');
    }
    if (session && method === 'PATCH') return this.restart(session[1], body);
    if (where.startsWith('/api/streams')) return this.api(where.split('/')[3]);
    return problem(404, 'nothing here');
  }

  file(name) {
    const text = readFileSync(path.join(PAGES, 'web', name), 'utf8').replaceAll('@ASSETS@', '/assets/dev');
    return [200, { 'Content-Type': `${TYPES[path.extname(name)]}; charset=utf-8`,
                   'Content-Security-Policy': policy, 'Cache-Control': 'no-store' }, text];
  }

  async open(publisher, stream, offer) {
    const taken = await this.bridge.evaluate((name) => window.bridge.has(name), stream);
    if (publisher && taken) return problem(409, `${stream} is already published`);
    if (!publisher && !taken) return problem(409, 'nobody publishes', { 'Retry-After': '1' });
    const { id, sdp } = await this.bridge.evaluate((p, s, o) => window.bridge.open(p, s, o),
      publisher, stream, offer);
    return [201, { 'Content-Type': 'application/sdp', Location: `/w/${id}`, ETag: '"0"' }, sdp];
  }

  async restart(id, fragment) {
    const old = await this.bridge.evaluate((name) => window.bridge.offerOf(name), id);
    if (!old) return problem(404, 'unknown session');
    const sdp = await this.bridge.evaluate((name, offer) => window.bridge.restart(name, offer),
      id, applyRestartReply(old, fragment));
    this.generation += 1;
    return [200, { 'Content-Type': 'application/trickle-ice-sdpfrag', ETag: `"${this.generation}"` },
            restartFragment(sdp)];
  }

  async api(name) {
    const all = await this.bridge.evaluate(() => window.bridge.report());
    if (name !== undefined) {
      const found = all.find(([stream]) => stream === name);
      return found ? json({ ...summary(...found), sessions: found[1] }) : problem(404, 'no such stream');
    }
    return json({
      streams: all.map(([stream, sessions]) => summary(stream, sessions)),
      health: { control_ok: true, datapath_ok: true, draining: false, io_backend: 'fake', io_note: '',
                srtp_backend: 'browser', workers: 1, datapath_restarts: 0, uptime_ms: Date.now() - this.begun },
    });
  }
}

const json = (value) => [200, { 'Content-Type': 'application/json' }, JSON.stringify(value)];
const problem = (status, detail, headers = {}) =>
  [status, { 'Content-Type': 'application/problem+json', ...headers }, JSON.stringify({ title: 'Refused', status, detail })];

// browser: a launched puppeteer browser; the bridge gets a page in it.
export async function startFakeServer(browser, port = 0) {
  const bridge = await (await browser.createBrowserContext()).newPage();
  await bridge.evaluate(installBridge);
  const handler = new Handler(bridge);
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', async () => {
      const where = new URL(request.url, 'http://localhost').pathname;
      const [status, headers, body] = await handler
        .answer(request.method, where, Buffer.concat(parts).toString())
        .catch((error) => problem(500, error.message));
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { launch, loadPuppeteer } = await import('./harness.mjs');
  const port = Number(process.argv[process.argv.indexOf('--port') + 1]) || 0;
  const puppeteer = await loadPuppeteer(path.resolve(HERE, '../../../build/browser-tests'));
  const browser = await launch(puppeteer, {});
  console.log((await startFakeServer(browser, port)).base);
}
