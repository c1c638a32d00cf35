// The publisher: camera, microphone or screen to WHIP.
//
// Query, for automation and links: autostart=1, codec=VP8, simulcast=1, width,
// height, fps, bitrate (kb/s), audio=0, video=0.

import { streamFromPath } from './api.js';
import { assertPossible, capture, captureScreen, explain, listDevices, wants } from './capture.js';
import { changeBitrate, preferCodec, sendEncodings, sendableCodecs } from './encoding.js';
import { MediaSession } from './session.js';
import { StatsReader } from './stats.js';
import { Facts, Metric, bindToken, byId, copyable, el, format, showNotice } from './ui.js';

const TICK_MS = 1000;
const stream = streamFromPath();
const query = new URLSearchParams(location.search);
const facts = new Facts(byId('facts'));
const preview = byId('preview');

let local = null;       // MediaStream of camera and microphone
let screenTrack = null; // replaces the camera's track while shared
let reader = null;
let latest = null;
let liveSinceMs = 0;
let meter = null;
let sessionSpoke = false;  // the notice shown is the session's

byId('stream').textContent = stream;
document.title = `Publishing ${stream} – Spillway`;
byId('watch-link').append(copyable(`${location.origin}/watch/${stream}`));

// --- settings --------------------------------------------------------------------

function positive(value, otherwise, max) {
  const n = Number(value);
  return Number.isFinite(n) && n > 0 ? Math.min(n, max) : otherwise;
}

function settings() {
  const [width, height] = byId('size').value.split('x').map(Number);
  return {
    cameraId: query.get('video') === '0' ? wants.off : byId('camera').value,
    microphoneId: query.get('audio') === '0' ? wants.off : byId('microphone').value,
    width: positive(width, 1280, 7680), height: positive(height, 720, 4320),
    fps: positive(byId('fps').value, 30, 240),
    codec: byId('codec').value,
    bitrateBps: positive(byId('bitrate').value, 0, 1e6) * 1000,
    simulcast: byId('simulcast').checked,
    music: byId('music').checked,
  };
}

// A value of the query that no option has becomes an option.
function preset(select, value, label) {
  if (!value) return;
  if (![...select.options].some((option) => option.value === value)) {
    select.append(el('option', { value }, label));
  }
  select.value = value;
}

function applyQuery() {
  byId('codec').append(...sendableCodecs().map((name) =>
    el('option', { value: name }, name.replace('H26', 'H.26'))));
  const codec = query.get('codec')?.toUpperCase();
  if (codec && sendableCodecs().includes(codec)) byId('codec').value = codec;
  else if (codec) showNotice(byId('notice'), `This browser cannot send ${codec}.`);
  const width = positive(query.get('width'), 0, 7680);
  const height = positive(query.get('height'), 0, 4320);
  if (width && height) preset(byId('size'), `${width}x${height}`, `${width} × ${height}`);
  const fps = positive(query.get('fps'), 0, 240);
  if (fps) preset(byId('fps'), String(fps), `${fps} fps`);
  const bitrate = positive(query.get('bitrate'), 0, 1e6);
  if (bitrate) preset(byId('bitrate'), String(bitrate), `${bitrate} kb/s`);
  byId('simulcast').checked = query.get('simulcast') === '1';
}

// --- capture ---------------------------------------------------------------------

const localTrack = (kind) => local?.getTracks().find((track) => track.kind === kind) ?? null;
const videoTrack = () => screenTrack ?? localTrack('video');
const audioTrack = () => localTrack('audio');

function showPreview() {
  const tracks = [videoTrack(), audioTrack()].filter(Boolean);
  preview.srcObject = tracks.length ? new MediaStream(tracks) : null;
  byId('no-preview').hidden = tracks.length > 0;
  byId('mute').disabled = !audioTrack();
  byId('hide').disabled = !localTrack('video') || Boolean(screenTrack);
  byId('share').toggleAttribute('data-on', Boolean(screenTrack));
  byId('share').textContent = screenTrack ? 'Stop sharing' : 'Share screen';
}

async function openDevices() {
  const before = local;
  // Some cameras can be opened once only: the old tracks go first.
  before?.getTracks().forEach((track) => track.stop());
  const { stream: opened, missing } = await capture(settings());
  local = opened;
  if (localTrack('video')) localTrack('video').contentHint = 'motion';
  for (const track of local.getTracks()) {
    track.addEventListener('ended', () => showNotice(byId('notice'), `The ${track.kind === 'video' ? 'camera' : 'microphone'} went away.`));
  }
  applyToggles();
  if (missing) showNotice(byId('notice'), `No ${missing} was found; publishing without it.`);
  await Promise.all([listDevices(byId('camera'), 'videoinput', 'No camera'),
                     listDevices(byId('microphone'), 'audioinput', 'No microphone')]);
  rememberChoice('video', byId('camera'));
  rememberChoice('audio', byId('microphone'));
  startMeter();
  showPreview();
  await replaceTracks();
}

// Shows in the list which device the browser picked by itself.
function rememberChoice(kind, select) {
  const id = localTrack(kind)?.getSettings().deviceId;
  if ([...select.options].some((option) => option.value === id)) select.value = id;
}

// Gives the running session the present tracks. What it was not offered with (a
// screen next to sound alone) needs a new session.
async function replaceTracks() {
  if (!session.pc) return;
  const senders = new Map(session.pc.getTransceivers().map((transceiver) =>
    [transceiver.receiver.track.kind, transceiver.sender]));
  for (const [kind, track] of [['video', videoTrack()], ['audio', audioTrack()]]) {
    if (senders.has(kind)) await senders.get(kind).replaceTrack(track);
    else if (track) return session.reconnect('Offering the new track …');
  }
}

function applyToggles() {
  const muted = 'on' in byId('mute').dataset;
  const hidden = 'on' in byId('hide').dataset;
  if (audioTrack()) audioTrack().enabled = !muted;
  if (localTrack('video')) localTrack('video').enabled = !hidden;
}

function startMeter() {
  const track = audioTrack();
  meter?.context.close();
  meter = null;
  if (!track) return;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  meter = { context, analyser, samples: new Float32Array(analyser.fftSize) };
}

function drawMeter() {
  let level = 0;
  if (meter) {
    meter.analyser.getFloatTimeDomainData(meter.samples);
    const power = meter.samples.reduce((total, v) => total + v * v, 0) / meter.samples.length;
    // -60 dB .. 0 dB over the whole bar.
    level = power > 0 ? Math.max(0, Math.min(1, 1 + (10 * Math.log10(power)) / 60)) : 0;
  }
  byId('level').style.transform = `scaleX(${level.toFixed(3)})`;
}

async function toggleScreen() {
  if (screenTrack) {
    screenTrack.stop();
    screenTrack = null;
  } else {
    const captured = await captureScreen(settings().fps);
    [screenTrack] = captured.getVideoTracks();
    screenTrack.contentHint = 'detail';
    screenTrack.addEventListener('ended', () => {
      screenTrack = null;
      showPreview();
      replaceTracks();
    });
  }
  showPreview();
  await replaceTracks();
}

// --- session -----------------------------------------------------------------------

const session = new MediaSession({
  endpoint: `/whip/${stream}`,
  publisher: true,
  build(pc) {
    reader = new StatsReader(pc, true);
    const wanted = settings();
    if (videoTrack()) {
      const transceiver = pc.addTransceiver(videoTrack(), {
        direction: 'sendonly', sendEncodings: sendEncodings(wanted),
      });
      preferCodec(transceiver, wanted.codec);
    }
    if (audioTrack()) pc.addTransceiver(audioTrack(), { direction: 'sendonly' });
  },
});

const PHASES = {
  idle: ['', 'not publishing'], connecting: ['warn', 'connecting'], live: ['good', 'live'],
  restarting: ['warn', 'reconnecting'], retrying: ['warn', 'reconnecting'],
  failed: ['bad', 'failed'], stopped: ['', 'not publishing'],
};

session.addEventListener('change', () => {
  const [tone, word] = PHASES[session.phase];
  byId('phase').className = `pill ${tone}`;
  byId('phase').textContent = word;
  byId('on-air').hidden = session.phase !== 'live';
  if (session.phase === 'live') liveSinceMs ||= performance.now();
  if (!session.running) liveSinceMs = 0;
  byId('toggle').textContent = session.running ? 'Stop' : 'Start publishing';
  byId('toggle').classList.toggle('stop', session.running);
  for (const id of ['codec', 'simulcast', 'token']) byId(id).disabled = session.running;
  byId('locked').hidden = !session.running;
  const worth = ['failed', 'retrying', 'restarting'].includes(session.phase);
  // Clears its own words only: "no microphone" stays while the session comes up.
  if (worth || sessionSpoke) {
    showNotice(byId('notice'), worth ? session.message : '', session.phase === 'failed');
  }
  sessionSpoke = worth;
});

async function start() {
  showNotice(byId('notice'), '');
  if (!videoTrack() && !audioTrack()) await openDevices();
  await session.start();
}

// --- numbers -------------------------------------------------------------------------

const metrics = {
  bitrate: new Metric('Bitrate', format.bitrate, { floor: 1e5 }),
  fps: new Metric('Frame rate', format.fps, { floor: 30, tone: 'good' }),
  rtt: new Metric('Round trip', format.ms, { floor: 20 }),
  lost: new Metric('Packet loss', format.percent, { floor: 0.02, tone: 'bad' }),
};
byId('metrics').append(...Object.values(metrics).map((metric) => metric.element));

const LIMITS = { none: 'nothing', bandwidth: 'the network', cpu: 'this computer', other: 'other' };
const limited = (reason) => LIMITS[reason] ?? format.text(reason);

function showNumbers(now) {
  metrics.bitrate.push(now?.bitrateBps);
  metrics.fps.push(now?.framesPerSecond);
  metrics.rtt.push(now?.rtcpRoundTripTimeMs ?? now?.roundTripTimeMs);
  metrics.lost.push(now?.fractionLost);
  facts.set('On air for', liveSinceMs ? format.duration(performance.now() - liveSinceMs) : null);
  facts.set('Picture', format.size(now?.width, now?.height));
  facts.set('Codecs', [now?.codec, now?.audioCodec].filter(Boolean).join(' + '));
  facts.set('Limited by', limited(now?.qualityLimitationReason));
  facts.set('Estimated uplink', format.bitrate(now?.availableOutgoingBitrateBps));
  facts.set('Sent', format.bytes(now?.bytesSent));
  facts.set('Packets lost', format.count(now?.packetsLost));
  facts.set('Sent again', format.count(now?.retransmittedPacketsSent));
  facts.set('NACK / PLI', `${format.count(now?.nackCount)} / ${format.count(now?.pliCount)}`);
  facts.set('Encoder', now?.encoder);
  facts.set('Encryption', format.cipher(now?.srtpCipher));
  facts.set('Server', now?.remoteCandidate);
  const layers = now?.layers ?? [];
  byId('layers-box').hidden = layers.length < 2;
  byId('layers').replaceChildren(...layers.map((layer) => el('tr', {},
    el('th', { scope: 'row' }, layer.rid),
    el('td', {}, layer.active ? format.size(layer.width, layer.height) : 'off'),
    el('td', {}, format.fps(layer.framesPerSecond)),
    el('td', {}, format.bitrate(layer.bitrateBps)),
    el('td', {}, format.bitrate(layer.targetBitrateBps)),
    el('td', {}, limited(layer.qualityLimitationReason)))));
}

async function tick() {
  latest = session.pc && reader ? await reader.read(true).catch(() => null) : null;
  showNumbers(latest);
}

// --- controls --------------------------------------------------------------------------

// Runs an action of the user and shows in words what went wrong.
const guarded = (action) => async () => {
  try {
    await action();
  } catch (error) {
    showNotice(byId('notice'), explain(error));
  }
};

function toggleButton(id, onText, offText) {
  byId(id).addEventListener('click', () => {
    const on = byId(id).toggleAttribute('data-on');
    byId(id).textContent = on ? onText : offText;
    applyToggles();
  });
}

byId('toggle').addEventListener('click', guarded(async () => {
  if (session.running) session.stop();
  else await start();
}));
byId('allow').addEventListener('click', guarded(openDevices));
byId('share').addEventListener('click', guarded(toggleScreen));
toggleButton('mute', 'Unmute microphone', 'Mute microphone');
toggleButton('hide', 'Show camera', 'Hide camera');
for (const id of ['camera', 'microphone', 'size', 'fps', 'music']) {
  byId(id).addEventListener('change', guarded(async () => { if (local) await openDevices(); }));
}
byId('bitrate').addEventListener('change', guarded(async () => {
  const sender = session.pc?.getSenders().find((one) => one.track?.kind === 'video');
  if (sender) await changeBitrate(sender, settings());
}));
byId('settings').addEventListener('submit', (event) => event.preventDefault());
bindToken(byId('token'));
navigator.mediaDevices?.addEventListener?.('devicechange', () => {
  listDevices(byId('camera'), 'videoinput', 'No camera');
  listDevices(byId('microphone'), 'audioinput', 'No microphone');
});
// Started without a gesture, the level meter's clock stands still.
addEventListener('pointerdown', () => meter?.context.resume());
addEventListener('pagehide', () => session.stop());

// --- for automation -----------------------------------------------------------------------

window.spillway = {
  session,
  async stats() {
    const now = session.pc && reader ? await reader.read(false) : {};
    return {
      role: 'publish', stream, phase: session.phase, message: session.message,
      connectionState: session.pc?.connectionState ?? 'none',
      notice: byId('notice').hidden ? '' : byId('notice').textContent,
      restarts: session.restarts, reconnects: session.reconnects, ...now,
    };
  },
  restartIce: () => session.restart(),
  reconnect: () => session.reconnect('Asked for by the page'),
  start: guarded(start),
  stop: () => session.stop(),
};

// --- begin ----------------------------------------------------------------------------------

async function mayAlready() {
  try {
    const states = await Promise.all(['camera', 'microphone'].map((name) =>
      navigator.permissions.query({ name })));
    return states.every((state) => state.state === 'granted');
  } catch {
    return false;  // this browser does not tell
  }
}

async function begin() {
  applyQuery();
  await Promise.all([listDevices(byId('camera'), 'videoinput', 'No camera'),
                     listDevices(byId('microphone'), 'audioinput', 'No microphone')]);
  assertPossible();
  if (query.get('autostart') === '1') await start();
  else if (await mayAlready()) await openDevices();
}

setInterval(tick, TICK_MS);
setInterval(drawMeter, 100);
tick();
guarded(begin)();
