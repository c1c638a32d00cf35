// Live numbers of the whole server: /api/streams once a second.

import { STREAM_NAME, getJson, mediaText } from './api.js';
import { Facts, Metric, bindToken, byId, el, format, showNotice } from './ui.js';

const POLL_MS = 1000;
const SESSIONS_SHOWN = 100;

const metrics = {
  live: new Metric('Live streams', format.count),
  viewers: new Metric('Viewers', format.count, { floor: 4 }),
  rxBits: new Metric('In', format.bitrate, { floor: 1e5 }),
  txBits: new Metric('Out', format.bitrate, { floor: 1e5, tone: 'good' }),
  rxPackets: new Metric('Packets in', format.perSecond, { floor: 100 }),
  txPackets: new Metric('Packets out', format.perSecond, { floor: 100, tone: 'good' }),
};
byId('metrics').append(...Object.values(metrics).map((metric) => metric.element));

const health = new Facts(byId('health'));
let before = null;   // { timeMs, streams: Map(name -> stream) }
let chosen = null;   // stream whose sessions are shown
let timer = 0;

const COUNTERS = ['rx_packets', 'rx_bytes', 'tx_packets', 'tx_bytes'];

// Counters restart when a stream does; that is no negative rate.
function rates(stream, timeMs) {
  const old = before?.streams.get(stream.name);
  const dtS = before ? (timeMs - before.timeMs) / 1000 : 0;
  const out = {};
  for (const counter of COUNTERS) {
    const grown = old ? stream[counter] - old[counter] : 0;
    out[counter] = old && dtS > 0 && grown >= 0 ? grown / dtS : null;
  }
  return out;
}

function layerBadges(stream) {
  const layers = (stream.layers ?? []).filter((layer) => layer.rid);
  if (layers.length === 0) return '–';
  return el('span', {}, ...layers.flatMap((layer, index) => [
    index ? ' ' : '',
    el('span', { class: layer.active ? 'badge good' : 'badge', title: layer.active ? 'active' : 'inactive' },
      `${layer.rid} ${layer.active ? format.bitrate(layer.bitrate_bps) : 'off'}`),
  ]));
}

function streamRow(stream, rate) {
  const name = STREAM_NAME.test(stream.name) ? stream.name : '';
  return el('tr', { class: chosen === stream.name ? 'chosen' : null },
    el('th', { scope: 'row' }, el('a', { href: `/watch/${name}` }, stream.name)),
    el('td', {}, el('span', { class: stream.live ? 'badge good' : 'badge warn' },
      stream.live ? 'live' : 'waiting')),
    el('td', { class: 'n' }, format.count(stream.viewers)),
    el('td', { class: 'n' }, format.bitrate(rate.rx_bytes === null ? null : rate.rx_bytes * 8)),
    el('td', { class: 'n' }, format.bitrate(rate.tx_bytes === null ? null : rate.tx_bytes * 8)),
    el('td', { class: 'n' }, format.perSecond(rate.tx_packets)),
    el('td', {}, mediaText(stream)),
    el('td', {}, layerBadges(stream)),
    el('td', { class: 'actions' }, el('button', {
      type: 'button', class: 'small', 'aria-pressed': String(chosen === stream.name),
      'data-stream': stream.name,
    }, 'Sessions')));
}

// Rows are rebuilt each second; the keyboard focus must survive that.
function replaceRows(body, rows) {
  const focused = body.contains(document.activeElement)
    ? document.activeElement.dataset.stream : undefined;
  body.replaceChildren(...rows);
  if (focused !== undefined) {
    [...body.querySelectorAll('button')].find((b) => b.dataset.stream === focused)?.focus();
  }
}

function showStreams(streams, timeMs) {
  const total = { rx_packets: null, rx_bytes: null, tx_packets: null, tx_bytes: null };
  const rows = [];
  for (const stream of [...streams].sort((a, b) => a.name.localeCompare(b.name))) {
    const rate = rates(stream, timeMs);
    for (const counter of COUNTERS) {
      if (rate[counter] !== null) total[counter] = (total[counter] ?? 0) + rate[counter];
    }
    rows.push(streamRow(stream, rate));
  }
  replaceRows(byId('streams'), rows);
  byId('none').hidden = streams.length > 0;

  // Without streams the traffic is none; before the second poll it is unknown.
  const idle = before ? 0 : null;
  metrics.live.push(streams.filter((stream) => stream.live).length);
  metrics.viewers.push(streams.reduce((n, stream) => n + (stream.viewers ?? 0), 0));
  metrics.rxBits.push((total.rx_bytes ?? idle) === null ? null : (total.rx_bytes ?? idle) * 8);
  metrics.txBits.push((total.tx_bytes ?? idle) === null ? null : (total.tx_bytes ?? idle) * 8);
  metrics.rxPackets.push(total.rx_packets ?? idle);
  metrics.txPackets.push(total.tx_packets ?? idle);
  before = { timeMs, streams: new Map(streams.map((stream) => [stream.name, stream])) };
}

const LABELS = {
  control_ok: 'Control', datapath_ok: 'Datapath', io_backend: 'Packet I/O', io_note: 'I/O note',
  srtp_backend: 'SRTP', workers: 'Workers', uptime_ms: 'Up for', draining: 'Draining',
  datapath_restarts: 'Datapath restarts',
};

function healthText(key, value) {
  if (key.endsWith('_ok')) return value ? 'running' : 'not running';
  if (key === 'draining') return value ? 'yes: no new sessions' : 'no';
  if (key.endsWith('_ms')) return format.duration(value);
  return typeof value === 'number' ? format.count(value) : String(value);
}

function showHealth(values = {}) {
  byId('health-box').hidden = Object.keys(values).length === 0;
  for (const [key, value] of Object.entries(values)) {
    // A newer server may tell more than this page knows.
    if (value === null || typeof value === 'object' || value === '') continue;
    health.set(LABELS[key] ?? key.replaceAll('_', ' '), healthText(key, value));
  }
  if (values.datapath_ok === false) phase('bad', 'datapath not running');
  else if (values.draining) phase('warn', 'draining');
  else if (values.io_note) phase('warn', 'running, degraded');
  else phase('good', 'running');
}

function phase(tone, text) {
  byId('phase').className = `pill ${tone}`;
  byId('phase').textContent = text;
}

async function showSessions() {
  byId('sessions-box').hidden = chosen === null;
  if (chosen === null) return;
  let sessions = [];
  try {
    ({ sessions = [] } = await getJson(`/api/streams/${encodeURIComponent(chosen)}`));
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  byId('sessions-stream').textContent = chosen;
  sessions.sort((a, b) => Number(b.publisher) - Number(a.publisher) || b.age_ms - a.age_ms);
  byId('sessions').replaceChildren(...sessions.slice(0, SESSIONS_SHOWN).map((session) => el('tr', {},
    el('th', { scope: 'row' }, session.publisher ? 'publisher' : 'viewer'),
    el('td', {}, el('span', { class: session.state === 'connected' ? 'badge good' : 'badge warn' },
      format.text(session.state))),
    el('td', {}, format.text(session.remote)),
    el('td', { class: 'n' }, format.duration(session.age_ms)),
    el('td', { class: 'n' }, format.bytes(session.rx_bytes)),
    el('td', { class: 'n' }, format.bytes(session.tx_bytes)))));
  const more = sessions.length - SESSIONS_SHOWN;
  byId('sessions-more').hidden = more <= 0;
  byId('sessions-more').textContent = `and ${format.count(more)} more`;
}

async function poll() {
  clearTimeout(timer);
  const begun = performance.now();
  // A hidden page asks nothing; 'visibilitychange' wakes it.
  if (document.hidden) return;
  try {
    const answer = await getJson('/api/streams');
    showStreams(answer.streams ?? [], performance.now());
    showHealth(answer.health);
    await showSessions();
    showNotice(byId('notice'), '');
  } catch (error) {
    phase('bad', 'no answer');
    showNotice(byId('notice'), error.message);
    before = null;
    for (const metric of Object.values(metrics)) metric.push(null);
    if (error.status === 401 || error.status === 403) byId('token-box').open = true;
  }
  clearTimeout(timer);
  timer = setTimeout(poll, Math.max(100, POLL_MS - (performance.now() - begun)));
}

byId('streams').addEventListener('click', (event) => {
  const name = event.target.dataset?.stream;
  if (name === undefined) return;
  chosen = chosen === name ? null : name;
  poll();
});
document.addEventListener('visibilitychange', () => {
  before = null;
  poll();
});
bindToken(byId('token'), poll);
poll();
