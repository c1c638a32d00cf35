// One WHIP or WHEP session that wants to stay: offers, answers, ICE restarts and
// new attempts, as a small state machine.
//
//   idle -> connecting -> live -> restarting -> live
//              ^  |                  |
//              |  +-> retrying <-----+      (timer, then connecting again)
//              |  +-> waiting               (WHEP: nobody publishes yet; timer)
//              +------+
//   any -> failed (nothing another attempt would change), any -> stopped
//
// The server is ICE-lite with a complete candidate list, so the offer is posted
// without waiting for our candidates and none are trickled: the server learns our
// address from our checks.

import { ApiError, authHeaders, request, toApiError } from './api.js';
import { applyRestartReply, restartFragment, withoutOrphans } from './sdp.js';

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';

// A phone between two networks is back within about this long; restarting sooner
// costs more than it saves.
const DISCONNECTED_GRACE_MS = 2000;
// From restart or answer to "connected"; later than that a new session is faster.
const CONNECT_DEADLINE_MS = 10000;
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];

// Another attempt with the same offer and token gets the same answer.
const FATAL = new Set([400, 401, 403, 405, 406, 413, 415, 422]);

export class MediaSession extends EventTarget {
  #endpoint;
  #build;
  #editOffer;
  #publisher;
  #generation = 0;  // every attempt has its own; late results of older ones are dropped
  #attempts = 0;    // since the last time we were live
  #wasLive = false;
  #timer = 0;

  pc = null;
  resource = null;  // URL of the session, once created
  phase = 'idle';
  message = '';
  retryAtMs = 0;    // performance.now() of the next attempt while waiting or retrying
  startedAtMs = 0;  // of the latest attempt
  restarts = 0;
  reconnects = 0;

  // build(pc) adds transceivers and handlers to each new connection;
  // editOffer(sdp) may change the text before it is set.
  constructor({ endpoint, publisher, build, editOffer = (sdp) => sdp }) {
    super();
    this.#endpoint = endpoint;
    this.#publisher = publisher;
    this.#build = build;
    this.#editOffer = editOffer;
  }

  get running() {
    return !['idle', 'stopped', 'failed'].includes(this.phase);
  }

  start() {
    this.#attempts = 0;
    this.#wasLive = false;
    this.restarts = 0;
    this.reconnects = 0;
    return this.#connect();
  }

  // Ends the session on the server too; also right from 'pagehide'.
  stop() {
    this.#drop();
    this.#enter('stopped', '');
  }

  // A new session at once, e.g. because the media it was made for is gone.
  reconnect(reason) {
    if (!this.running) return;
    this.reconnects += 1;
    this.#enter('retrying', reason);
    this.#connect();
  }

  async #connect() {
    this.#drop();
    const generation = this.#generation;
    const stale = () => generation !== this.#generation;
    this.startedAtMs = performance.now();
    this.#enter('connecting', this.#attempts > 0 ? 'Connecting again …' : 'Connecting …');
    try {
      const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
      this.pc = pc;
      this.#build(pc);
      pc.addEventListener('connectionstatechange', () => {
        if (!stale()) this.#onConnectionState();
      });
      const offer = await pc.createOffer();
      await pc.setLocalDescription({ type: 'offer', sdp: this.#editOffer(offer.sdp) });
      if (stale()) return;
      const response = await request(this.#endpoint, {
        method: 'POST',
        headers: { 'Content-Type': SDP, ...authHeaders() },
        body: withoutOrphans(pc.localDescription.sdp),
      });
      if (response.status !== 201) throw await toApiError(response);
      const where = response.headers.get('Location');
      if (!where) throw new ApiError(201, 'The server named no session', '');
      const resource = new URL(where, response.url);
      if (stale()) {
        this.#remove(resource);
        return;
      }
      this.resource = resource;
      const answer = await response.text();
      if (stale()) return;
      await pc.setRemoteDescription({ type: 'answer', sdp: answer });
      if (stale()) return;
      for (const transceiver of pc.getTransceivers()) {
        const transport = transceiver.sender.transport ?? transceiver.receiver.transport;
        // The server's close_notify: it ended the session, waiting is useless.
        transport?.addEventListener('statechange', () => {
          if (!stale() && transport.state === 'closed') this.#retry('The server ended the session');
        });
      }
      if (pc.connectionState !== 'connected') {
        this.#after(CONNECT_DEADLINE_MS, () => this.#retry(
          'No connection: is the server\'s UDP port reachable from here?'));
      }
    } catch (error) {
      if (!stale()) this.#onError(error);
    }
  }

  #onConnectionState() {
    switch (this.pc.connectionState) {
      case 'connected':
        clearTimeout(this.#timer);
        this.#attempts = 0;
        this.#wasLive = true;
        this.#enter('live', '');
        break;
      case 'disconnected':
        this.#enter('restarting', 'The connection is interrupted …');
        this.#after(DISCONNECTED_GRACE_MS, () => this.restart());
        break;
      case 'failed':
        if (this.phase === 'connecting') this.#retry('No connection');
        else this.restart();
        break;
      default:
        break;
    }
  }

  // ICE restart: new credentials on the same session, media state survives.
  async restart() {
    if (!this.resource || !this.pc || this.pc.signalingState !== 'stable') return;
    const generation = this.#generation;
    const stale = () => generation !== this.#generation;
    const { pc } = this;
    this.restarts += 1;
    this.#enter('restarting', 'Finding a new way to the server …');
    this.#after(CONNECT_DEADLINE_MS, () => this.#retry('The connection was lost'));
    try {
      const offer = await pc.createOffer({ iceRestart: true });
      await pc.setLocalDescription({ type: 'offer', sdp: this.#editOffer(offer.sdp) });
      const response = await request(this.resource, {
        method: 'PATCH',
        // "*" marks a restart (RFC 9725 §4.3.3).
        headers: { 'Content-Type': FRAGMENT, 'If-Match': '*', ...authHeaders() },
        body: restartFragment(pc.localDescription.sdp),
      });
      if (response.status !== 200) throw await toApiError(response);
      const fragment = await response.text();
      if (stale()) return;
      const sdp = applyRestartReply(pc.currentRemoteDescription.sdp, fragment);
      await pc.setRemoteDescription({ type: 'answer', sdp });
      // A path that never broke stays "connected" and fires no event.
      if (!stale() && pc.connectionState === 'connected') this.#onConnectionState();
    } catch (error) {
      // The server forgot the session, or cannot restart: a new one is the answer.
      if (!stale()) this.#retry(error.message);
    }
  }

  #onError(error) {
    const status = error instanceof ApiError ? error.status : -1;
    if (status === 409 && !this.#publisher) {
      this.#enter('waiting', 'Nobody publishes this stream yet');
      this.#schedule((error.retryAfterS ?? 2) * 1000);
      return;
    }
    if (status === 409 && !this.#wasLive) {
      this.#fail(error.detail || 'Somebody already publishes this stream');
      return;
    }
    if (status === -1 || FATAL.has(status)) {
      this.#fail(error.message);
      return;
    }
    this.#retry(error.message, (error.retryAfterS ?? 0) * 1000);
  }

  #fail(message) {
    this.#drop();
    this.#enter('failed', message);
  }

  #retry(message, atLeastMs = 0) {
    this.reconnects += 1;
    const backoff = BACKOFF_MS[Math.min(this.#attempts, BACKOFF_MS.length - 1)];
    this.#attempts += 1;
    this.#drop();
    this.#enter('retrying', message);
    // Spread: a thousand viewers must not come back in the same instant.
    this.#schedule(Math.max(atLeastMs, backoff) * (0.8 + 0.4 * Math.random()));
  }

  #schedule(delayMs) {
    this.#drop();
    this.retryAtMs = performance.now() + delayMs;
    this.#after(delayMs, () => this.#connect());
    this.#notify();
  }

  #after(delayMs, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, delayMs);
  }

  // Forgets connection and session; whatever is still under way becomes stale.
  #drop() {
    this.#generation += 1;
    clearTimeout(this.#timer);
    this.pc?.close();
    this.pc = null;
    if (this.resource) this.#remove(this.resource);
    this.resource = null;
  }

  #remove(resource) {
    // keepalive: the request outlives the page that is being closed.
    fetch(resource, { method: 'DELETE', headers: authHeaders(), keepalive: true }).catch(() => {});
  }

  #enter(phase, message) {
    this.phase = phase;
    this.message = message;
    this.retryAtMs = 0;
    this.#notify();
  }

  #notify() {
    this.dispatchEvent(new Event('change'));
  }
}
