// getStats() of one connection, boiled down to a flat, plain object: counters as
// the browser keeps them, rates over the time since the last tick.
//
// Names follow W3C webrtc-stats where such a counter exists; a number the browser
// does not know (yet) is null. Times are milliseconds unless the name says other.

const sum = (list, key) => {
  const known = list.filter((item) => typeof item[key] === 'number');
  return known.length === 0 ? null : known.reduce((total, item) => total + item[key], 0);
};
const number = (value) => (typeof value === 'number' ? value : null);
const ms = (seconds) => (typeof seconds === 'number' ? seconds * 1000 : null);
const codecName = (codec) => codec?.mimeType?.split('/')[1] ?? null;

function collect(report) {
  const all = [...report.values()];
  const of = (type, kind) => all.filter((s) => s.type === type && (!kind || s.kind === kind));
  const transport = of('transport')[0];
  const pair = report.get(transport?.selectedCandidatePairId)
    ?? of('candidate-pair').find((p) => p.nominated && p.state === 'succeeded');
  return { report, of, pair, remote: report.get(pair?.remoteCandidateId), transport };
}

function pathFields({ pair, remote, transport }) {
  return {
    roundTripTimeMs: ms(pair?.currentRoundTripTime),
    availableOutgoingBitrateBps: number(pair?.availableOutgoingBitrate),
    remoteCandidate: remote ? `${remote.protocol ?? 'udp'} ${remote.address ?? '?'}:${remote.port}` : null,
    srtpCipher: transport?.srtpCipher ?? null,
  };
}

function watchFields(c) {
  const video = c.of('inbound-rtp', 'video')[0] ?? {};
  const audio = c.of('inbound-rtp', 'audio')[0] ?? {};
  const both = [video, audio];
  return {
    codec: codecName(c.report.get(video.codecId)),
    audioCodec: codecName(c.report.get(audio.codecId)),
    width: number(video.frameWidth),
    height: number(video.frameHeight),
    framesPerSecond: number(video.framesPerSecond),
    framesReceived: number(video.framesReceived),
    framesDecoded: number(video.framesDecoded),
    framesDropped: number(video.framesDropped),
    keyFramesDecoded: number(video.keyFramesDecoded),
    freezeCount: number(video.freezeCount),
    totalFreezesDurationMs: ms(video.totalFreezesDuration),
    decoder: video.decoderImplementation ?? null,
    videoBytesReceived: number(video.bytesReceived),
    audioBytesReceived: number(audio.bytesReceived),
    bytesReceived: sum(both, 'bytesReceived'),
    packetsReceived: sum(both, 'packetsReceived'),
    packetsLost: sum(both, 'packetsLost'),
    retransmittedPacketsReceived: sum(both, 'retransmittedPacketsReceived'),
    nackCount: sum(both, 'nackCount'),
    pliCount: number(video.pliCount),
    firCount: number(video.firCount),
    jitterMs: ms(video.jitter ?? audio.jitter),
    jitterBufferDelayS: number(video.jitterBufferDelay),
    jitterBufferEmittedCount: number(video.jitterBufferEmittedCount),
    totalAudioEnergy: number(audio.totalAudioEnergy),
    audioLevel: number(audio.audioLevel),
    concealedSamples: number(audio.concealedSamples),
  };
}

function publishFields(c) {
  // One outbound stream per layer; getStats() gives them in no useful order.
  const layers = c.of('outbound-rtp', 'video')
    .sort((a, b) => (b.frameHeight ?? 0) - (a.frameHeight ?? 0));
  const audio = c.of('outbound-rtp', 'audio');
  const remote = c.of('remote-inbound-rtp');
  const both = [...layers, ...audio];
  const top = layers.find((layer) => layer.active !== false) ?? layers[0] ?? {};
  const round = remote.map((r) => r.roundTripTime).filter((t) => typeof t === 'number');
  const lost = remote.map((r) => r.fractionLost).filter((f) => typeof f === 'number');
  return {
    codec: codecName(c.report.get(top.codecId)),
    audioCodec: codecName(c.report.get(audio[0]?.codecId)),
    width: number(top.frameWidth),
    height: number(top.frameHeight),
    framesPerSecond: number(top.framesPerSecond),
    framesEncoded: number(top.framesEncoded),
    keyFramesEncoded: number(top.keyFramesEncoded),
    encoder: top.encoderImplementation ?? null,
    qualityLimitationReason: top.qualityLimitationReason ?? null,
    bytesSent: sum(both, 'bytesSent'),
    videoBytesSent: sum(layers, 'bytesSent'),
    packetsSent: sum(both, 'packetsSent'),
    retransmittedPacketsSent: sum(both, 'retransmittedPacketsSent'),
    nackCount: sum(both, 'nackCount'),
    pliCount: sum(layers, 'pliCount'),
    firCount: sum(layers, 'firCount'),
    packetsLost: sum(remote, 'packetsLost'),
    fractionLost: lost.length ? Math.max(...lost) : null,
    rtcpRoundTripTimeMs: round.length ? Math.max(...round) * 1000 : null,
    layers: layers.map((layer) => ({
      rid: layer.rid ?? '',
      active: layer.active !== false && (layer.framesPerSecond ?? 0) > 0,
      width: number(layer.frameWidth),
      height: number(layer.frameHeight),
      framesPerSecond: number(layer.framesPerSecond),
      bytesSent: number(layer.bytesSent),
      targetBitrateBps: number(layer.targetBitrate),
      qualityLimitationReason: layer.qualityLimitationReason ?? null,
    })),
  };
}

// Counter and the rate made of it, as [counter, rate, factor].
const RATES = [
  ['bytesReceived', 'bitrateBps', 8],
  ['videoBytesReceived', 'videoBitrateBps', 8],
  ['audioBytesReceived', 'audioBitrateBps', 8],
  ['bytesSent', 'bitrateBps', 8],
  ['videoBytesSent', 'videoBitrateBps', 8],
  ['packetsLost', 'packetsLostPerS', 1],
  ['nackCount', 'nackPerS', 1],
];

// Adds to `now` what can only be told by comparing two readings.
function addRates(now, before) {
  const dtS = (now.timeMs - before.timeMs) / 1000;
  for (const [counter, rate, factor] of RATES) {
    if (now[counter] === undefined) continue;
    now[rate] = number(now[counter]) === null || number(before[counter]) === null
      ? null : Math.max(0, (now[counter] - before[counter]) * factor / dtS);
  }
  for (const layer of now.layers ?? []) {
    const old = before.layers?.find((other) => other.rid === layer.rid);
    layer.bitrateBps = old && layer.bytesSent !== null && old.bytesSent !== null
      ? Math.max(0, (layer.bytesSent - old.bytesSent) * 8 / dtS) : null;
  }
  if (now.jitterBufferEmittedCount !== undefined) {
    // Average over the frames that left the buffer since the last tick.
    const frames = now.jitterBufferEmittedCount - before.jitterBufferEmittedCount;
    now.jitterBufferDelayMs = frames > 0
      ? (now.jitterBufferDelayS - before.jitterBufferDelayS) / frames * 1000 : null;
  }
}

export class StatsReader {
  #pc;
  #fields;
  #last = null;      // the latest tick
  #previous = null;  // the one before it

  constructor(pc, publisher) {
    this.#pc = pc;
    this.#fields = publisher ? publishFields : watchFields;
  }

  // tick: this reading becomes the base of the next one's rates. A reading out of
  // turn (a test's) leaves the plots' rhythm alone.
  async read(tick) {
    const collected = collect(await this.#pc.getStats());
    const now = { timeMs: performance.now(), ...pathFields(collected), ...this.#fields(collected) };
    // Right after a tick there is too little time to divide by: the tick before it
    // is the base then.
    const base = this.#last && now.timeMs - this.#last.timeMs < 500 ? this.#previous : this.#last;
    if (base) addRates(now, base);
    if (tick) {
      this.#previous = this.#last;
      this.#last = now;
    }
    return now;
  }
}
