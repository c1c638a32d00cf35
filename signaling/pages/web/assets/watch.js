// The player: WHEP in, picture out. Starts muted because browsers allow no other
// way without a gesture, waits for streams that do not exist yet, and comes back
// by itself: ICE restart first, a new session when that is not enough.

import { ApiError, authHeaders, getJson, request, streamFromPath, toApiError } from './api.js';
import { offerStereo } from './sdp.js';
import { MediaSession } from './session.js';
import { StatsReader } from './stats.js';
import { Facts, Metric, bindToken, byId, el, format } from './ui.js';

const TICK_MS = 1000;
// Connected, the stream is live, and yet no frame for this long: the session was
// made for media that is gone (another codec, say). A new one fits again.
const STALL_MS = 8000;

const stream = streamFromPath();
const video = byId('video');
const facts = new Facts(byId('facts'));

let reader = null;
let media = new MediaStream();
let firstFrameMs = null;
let videoMid = null;
let latest = null;         // of the last tick
let info = null;           // /api/streams/{name}, null = unknown
let progress = { value: 0, atMs: 0 };
let patienceFromMs = 0;    // frames may be expected since then

byId('stream').textContent = stream;
document.title = `${stream} – Spillway`;

// --- session -------------------------------------------------------------------

const session = new MediaSession({
  endpoint: `/whep/${stream}`,
  publisher: false,
  editOffer: offerStereo,
  build(pc) {
    media = new MediaStream();
    firstFrameMs = null;
    videoMid = null;
    progress = { value: 0, atMs: performance.now() };
    reader = new StatsReader(pc, false);
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addEventListener('track', ({ track, transceiver }) => {
      media.addTrack(track);
      if (track.kind === 'video') videoMid = transceiver.mid;
      applyBuffer(transceiver.receiver);
      if (video.srcObject !== media) {
        video.srcObject = media;
        tryPlay();
      }
    });
    awaitFirstFrame();
  },
});

function awaitFirstFrame() {
  const begun = performance.now();
  const mine = media;
  const onFrame = () => {
    if (mine !== media || firstFrameMs !== null) return;
    firstFrameMs = performance.now() - begun;
    show();
  };
  if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(onFrame);
  else video.addEventListener('timeupdate', onFrame, { once: true });
}

async function tryPlay() {
  try {
    await video.play();
    byId('play').hidden = true;
  } catch (error) {
    // Not an error of the stream: this browser wants a gesture even for silence.
    byId('play').hidden = error.name !== 'NotAllowedError';
  }
}

// --- what the viewer sees of the state ---------------------------------------------

const PHASES = {
  idle: ['', 'idle'], connecting: ['warn', 'connecting'], live: ['good', 'live'],
  restarting: ['warn', 'reconnecting'], retrying: ['warn', 'reconnecting'],
  waiting: ['warn', 'waiting'], failed: ['bad', 'failed'], stopped: ['', 'stopped'],
};

const offline = () => info !== null && !info.live;
const stalled = () => performance.now() - progress.atMs > 2500;
const audioOnly = () => Boolean(info?.live) && (info.tracks ?? []).length > 0
  && !info.tracks.some((track) => track.kind === 'video');

function show() {
  let [tone, word] = PHASES[session.phase];
  let text = session.message;
  let covered = session.phase !== 'live';
  if (session.phase === 'live') {
    if (offline() && stalled()) {
      [tone, word, text, covered] = ['warn', 'waiting', 'Waiting for the stream to start …', true];
    } else if (audioOnly()) {
      [word, text, covered] = ['live, sound only', 'This stream has no picture', true];
    } else if (firstFrameMs === null) {
      [text, covered] = ['Waiting for the first picture …', true];
    }
  } else if (session.phase === 'restarting') {
    covered = stalled();
  }
  byId('phase').className = `pill ${tone}`;
  byId('phase').textContent = word;
  byId('veil').hidden = !covered;
  byId('veil').classList.toggle('still', ['failed', 'stopped'].includes(session.phase) || audioOnly());
  byId('veil-text').textContent = text;
  byId('again').hidden = session.phase !== 'failed' && session.phase !== 'stopped';
  byId('unmute').hidden = !(video.muted && session.phase === 'live' && !offline());
  const waitS = Math.ceil((session.retryAtMs - performance.now()) / 1000);
  byId('veil-hint').textContent = session.retryAtMs && waitS > 0 ? `next try in ${waitS} s` : '';
}

session.addEventListener('change', () => {
  if (session.phase === 'failed' && /token/i.test(session.message)) byId('token-box').open = true;
  show();
});

// --- numbers ---------------------------------------------------------------------

const metrics = {
  bitrate: new Metric('Bitrate', format.bitrate, { floor: 1e5 }),
  fps: new Metric('Frame rate', format.fps, { floor: 30, tone: 'good' }),
  delay: new Metric('Jitter buffer', format.ms, { floor: 50 }),
  lost: new Metric('Packets lost', format.perSecond, { floor: 10, tone: 'bad' }),
};
byId('metrics').append(...Object.values(metrics).map((metric) => metric.element));

function showNumbers(now) {
  metrics.bitrate.push(now?.bitrateBps);
  metrics.fps.push(now?.framesPerSecond);
  metrics.delay.push(now?.jitterBufferDelayMs);
  metrics.lost.push(now?.packetsLostPerS);
  if (!now || byId('overlay').hidden) return;
  facts.set('Picture', format.size(now.width, now.height));
  facts.set('Frame rate', format.fps(now.framesPerSecond));
  facts.set('Bitrate', format.bitrate(now.bitrateBps));
  facts.set('Codecs', [now.codec, now.audioCodec].filter(Boolean).join(' + '));
  facts.set('Jitter buffer', format.ms(now.jitterBufferDelayMs));
  facts.set('Jitter', format.ms(now.jitterMs));
  facts.set('Round trip', format.ms(now.roundTripTimeMs));
  facts.set('Frames decoded / dropped', `${format.count(now.framesDecoded)} / ${format.count(now.framesDropped)}`);
  facts.set('Freezes', `${format.count(now.freezeCount)} (${format.ms(now.totalFreezesDurationMs)})`);
  facts.set('Packets lost', format.count(now.packetsLost));
  facts.set('NACK / PLI', `${format.count(now.nackCount)} / ${format.count(now.pliCount)}`);
  facts.set('First picture after', format.ms(firstFrameMs));
  facts.set('Encryption', format.cipher(now.srtpCipher));
  facts.set('Server', now.remoteCandidate);
}

function noteProgress(now) {
  const value = (audioOnly() ? now.bytesReceived : now.framesDecoded) ?? 0;
  if (value !== progress.value) progress = { value, atMs: performance.now() };
  // A publisher may be there and send no video; a hidden page may decode none.
  const expected = session.phase === 'live' && info?.live && !document.hidden
    && (info.layers ?? []).some((layer) => layer.active);
  if (!expected) patienceFromMs = performance.now();
  if (performance.now() - Math.max(progress.atMs, patienceFromMs) > STALL_MS) {
    session.reconnect('The picture stopped; asking for a new session …');
  }
}

async function tick() {
  const { pc } = session;
  latest = pc && reader ? await reader.read(true).catch(() => null) : null;
  if (latest) noteProgress(latest);
  showNumbers(latest);
  show();
}

async function refreshInfo() {
  if (document.hidden) return;
  try {
    info = await getJson(`/api/streams/${stream}`);
  } catch (error) {
    // Without the list we still play; "unknown stream" however is an answer.
    info = error instanceof ApiError && error.status === 404 ? { live: false } : null;
  }
  showLayers();
}

// --- layers ----------------------------------------------------------------------

const layerSelect = byId('layer');
let layerNames = '';

function showLayers() {
  const rids = (info?.layers ?? []).filter((layer) => layer.rid);
  byId('layer-box').hidden = rids.length < 2;
  const names = rids.map((layer) => layer.rid).join();
  if (names !== layerNames) {
    layerNames = names;
    const before = layerSelect.value;
    layerSelect.replaceChildren(el('option', { value: '' }, 'Automatic'),
      ...rids.map((layer) => el('option', { value: layer.rid }, layer.rid)));
    layerSelect.value = rids.some((layer) => layer.rid === before) ? before : '';
  }
  rids.forEach((layer, index) => {
    const option = layerSelect.options[index + 1];
    option.textContent = `${layer.rid} – ${layer.active ? format.bitrate(layer.bitrate_bps) : 'off'}`;
    option.disabled = !layer.active && !option.selected;
  });
}

async function chooseLayer(rid) {
  if (!session.resource || videoMid === null) return;
  const response = await request(`${session.resource}/layer`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...authHeaders() },
    // Without a rid the server chooses.
    body: JSON.stringify(rid ? { mediaId: videoMid, rid } : { mediaId: videoMid }),
  });
  if (!response.ok) throw await toApiError(response);
}

layerSelect.addEventListener('change', () => {
  chooseLayer(layerSelect.value).catch((error) => {
    layerSelect.value = '';
    layerSelect.title = error.message;
  });
});

// A new session knows nothing of the choice made in the old one.
session.addEventListener('change', () => {
  if (session.phase === 'live' && layerSelect.value) chooseLayer(layerSelect.value).catch(() => {});
});

// --- controls ----------------------------------------------------------------------

function setMuted(muted) {
  video.muted = muted;
  byId('mute').textContent = muted ? 'Unmute' : 'Mute';
  show();
}

function applyBuffer(receiver) {
  if ('jitterBufferTarget' in receiver) {
    receiver.jitterBufferTarget = byId('buffer').value ? Number(byId('buffer').value) : null;
  }
}

function toggleStats() {
  const hidden = !byId('overlay').hidden;
  byId('overlay').hidden = hidden;
  byId('plots').hidden = hidden;
  byId('stats').setAttribute('aria-pressed', String(!hidden));
  showNumbers(latest);
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (byId('screen').requestFullscreen) byId('screen').requestFullscreen();
  else video.webkitEnterFullscreen?.();  // iPhone: the video alone
}

byId('mute').addEventListener('click', () => setMuted(!video.muted));
byId('unmute').addEventListener('click', () => setMuted(false));
byId('play').addEventListener('click', tryPlay);
byId('again').addEventListener('click', () => session.start());
byId('volume').addEventListener('input', (event) => {
  video.volume = Number(event.target.value);
  setMuted(video.volume === 0);
});
byId('buffer').addEventListener('change', () => {
  session.pc?.getReceivers().forEach(applyBuffer);
});
byId('stats').addEventListener('click', toggleStats);
byId('full').addEventListener('click', toggleFullScreen);
byId('pip').hidden = !document.pictureInPictureEnabled;
byId('pip').addEventListener('click', () => video.requestPictureInPicture().catch(() => {}));
addEventListener('keydown', (event) => {
  if (event.target.closest('input, select, textarea') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 's') toggleStats();
  if (event.key === 'm') setMuted(!video.muted);
  if (event.key === 'f') toggleFullScreen();
});
bindToken(byId('token'), () => { if (!session.running) session.start(); });
addEventListener('pagehide', () => session.stop());
addEventListener('pageshow', (event) => { if (event.persisted) session.start(); });

// --- for automation -------------------------------------------------------------------
// Chromium measures sound behind the volume: totalAudioEnergy grows only unmuted.

window.spillway = {
  session,
  async stats() {
    const now = session.pc && reader ? await reader.read(false) : {};
    return {
      role: 'watch', stream, phase: session.phase, message: session.message,
      connectionState: session.pc?.connectionState ?? 'none',
      timeToFirstFrameMs: firstFrameMs, restarts: session.restarts,
      reconnects: session.reconnects, ...now,
    };
  },
  restartIce: () => session.restart(),
  reconnect: () => session.reconnect('Asked for by the page'),
  chooseLayer,
  stop: () => session.stop(),
};

refreshInfo();
setInterval(tick, TICK_MS);
setInterval(refreshInfo, 2000);
session.start();
