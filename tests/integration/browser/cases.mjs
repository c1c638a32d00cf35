// The cases. Each takes the run ({ browser, base, faults, options, shoot }) and
// returns the numbers of its verdict; an expectation that does not hold is noted
// with check() and fails the verdict, so that all numbers are seen at once.

import { openPage, sleep, stats, waitFor } from './harness.mjs';

const START_MS = 40000;   // from opening a page to the first frame, slow machine
const round = (value) => (typeof value === 'number' ? Math.round(value * 100) / 100 : value ?? null);

function publishUrl({ base, options }, extra = {}) {
  const query = new URLSearchParams({
    autostart: '1', width: options.width, height: options.height, fps: options.fps,
    ...(options.codec && { codec: options.codec }), ...extra,
  });
  return `${base}/publish/${options.stream}?${query}${token(options)}`;
}
const watchUrl = ({ base, options }) => `${base}/watch/${options.stream}${token(options)}`;
const token = (options) => (options.token ? `#token=${encodeURIComponent(options.token)}` : '');

async function openPublisher(run, extra) {
  const page = await openPage(run.browser, publishUrl(run, extra), run);
  await waitFor('publisher is live', () => stats(page), (s) => {
    if (s.phase === 'failed') throw new Error(`publishing failed: ${s.message}`);
    if (s.phase === undefined || s.phase === 'idle') {
      if (s.notice) throw new Error(`publisher cannot start: ${s.notice}`);
    }
    return s.phase === 'live' && s.framesEncoded > 0;
  }, START_MS);
  return page;
}

const openViewer = (run) => openPage(run.browser, watchUrl(run), run);

const firstFrame = (page) => waitFor('viewer decodes', () => stats(page), (s) => {
  if (s.phase === 'failed') throw new Error(`watching failed: ${s.message}`);
  return s.framesDecoded > 0 && s.timeToFirstFrameMs !== null;
}, START_MS);

// With the button a person presses; the browser measures sound only then.
async function unmute(page, check) {
  await page.click('#unmute');
  check(await page.evaluate(() => document.getElementById('unmute').hidden
    && !document.getElementById('video').muted), 'the Unmute button unmutes and goes away');
}

// More frames than `from` had; by a new session counters begin again.
const moreFrames = (page, count, what) => {
  let begin = null;
  return waitFor(what, () => stats(page), (s) => {
    if (typeof s.framesDecoded !== 'number') return false;
    if (begin === null || s.framesDecoded < begin) begin = s.framesDecoded;
    return s.phase === 'live' && s.framesDecoded - begin >= count;
  }, START_MS);
};

// Watches for options.seconds and judges picture and sound.
async function measure(run, viewer, check) {
  const { options } = run;
  const before = await stats(viewer);
  const begun = Date.now();
  let largest = { width: 0, height: 0 };
  while (Date.now() - begun < options.seconds * 1000) {
    await sleep(500);
    const s = await stats(viewer);
    if ((s.width ?? 0) > largest.width) largest = { width: s.width, height: s.height };
  }
  const after = await stats(viewer);
  const seconds = (after.timeMs - before.timeMs) / 1000;
  const frames = after.framesDecoded - before.framesDecoded;
  const numbers = {
    seconds: round(seconds),
    framesDecoded: frames,
    framesPerSecond: round(frames / seconds),
    framesDropped: after.framesDropped - before.framesDropped,
    resolution: `${largest.width}x${largest.height}`,
    codec: after.codec, audioCodec: after.audioCodec,
    audioEnergy: after.totalAudioEnergy === null ? null
      : Number((after.totalAudioEnergy - (before.totalAudioEnergy ?? 0)).toPrecision(3)),
    freezes: after.freezeCount - before.freezeCount,
    freezesMs: round(after.totalFreezesDurationMs - before.totalFreezesDurationMs),
    bitrateKbps: round((after.bytesReceived - before.bytesReceived) * 8 / seconds / 1000),
    packetsLost: after.packetsLost, nackCount: after.nackCount, pliCount: after.pliCount,
    jitterBufferDelayMs: round(after.jitterBufferDelayMs),
    roundTripTimeMs: round(after.roundTripTimeMs),
    timeToFirstFrameMs: round(after.timeToFirstFrameMs),
    reconnects: after.reconnects,
  };
  check(numbers.framesPerSecond >= options.minFps, `at least ${options.minFps} frames per second`);
  check(numbers.audioEnergy > 0, 'sound is heard (audio energy above 0)');
  check(numbers.freezesMs <= options.maxFreezeMs, `frozen for at most ${options.maxFreezeMs} ms`);
  check(numbers.reconnects === 0, 'the session needed no second attempt');
  return numbers;
}

export const cases = {
  // One page publishes from fake devices, another watches.
  async 'publish-watch'(run, check) {
    const publisher = await openPublisher(run);
    const viewer = await openViewer(run);
    await firstFrame(viewer);
    await run.shoot(viewer, 'watch-muted');
    await unmute(viewer, check);
    await viewer.click('#stats');
    const numbers = await measure(run, viewer, check);
    const sent = await stats(publisher);
    check(numbers.resolution === `${run.options.width}x${run.options.height}`,
          `the picture reaches ${run.options.width}x${run.options.height}`);
    await run.shoot(publisher, 'publish');
    await run.shoot(viewer, 'watch');
    await run.shootAsPhone(publisher, 'publish-phone');
    await run.shootAsPhone(viewer, 'watch-phone');
    await run.shootPage('/status', 'status', 4000);
    await run.shootPage('/', 'index', 1500);
    return {
      ...numbers,
      publisher: {
        resolution: `${sent.width}x${sent.height}`, framesPerSecond: round(sent.framesPerSecond),
        bitrateKbps: round(sent.bitrateBps / 1000), limited: sent.qualityLimitationReason,
        estimateKbps: round(sent.availableOutgoingBitrateBps / 1000), srtp: sent.srtpCipher,
        nackCount: sent.nackCount, pliCount: sent.pliCount, encoder: sent.encoder,
      },
    };
  },

  // Somebody else publishes already (scripts/run --demo, a foreign client).
  async demo(run, check) {
    const viewer = await openViewer(run);
    await firstFrame(viewer);
    await run.shoot(viewer, 'watch-muted');
    await unmute(viewer, check);
    await viewer.click('#stats');
    const numbers = await measure(run, viewer, check);
    await run.shoot(viewer, 'demo');
    return numbers;
  },

  // The viewer comes first, sees that it waits, and plays without a reload.
  async early(run, check) {
    const viewer = await openViewer(run);
    const seen = await waitFor('the page says that it waits',
      () => viewer.evaluate(() => document.getElementById('phase').textContent),
      (text) => text === 'waiting', START_MS);
    await run.shoot(viewer, 'early');
    await openPublisher(run);
    const s = await moreFrames(viewer, 10, 'the waiting viewer decodes');
    check(seen === 'waiting', 'waiting is visible');
    return { shown: seen, framesDecoded: s.framesDecoded, reconnects: s.reconnects };
  },

  // Three layers in; every active one can be chosen and arrives in its size.
  async simulcast(run, check) {
    const publisher = await openPublisher(run, { simulcast: '1' });
    const viewer = await openViewer(run);
    await firstFrame(viewer);
    const sent = await waitFor('layers are sent', () => stats(publisher),
      (s) => (s.layers ?? []).filter((layer) => layer.active).length === 3, START_MS)
      .catch(() => stats(publisher));
    const active = (sent.layers ?? []).filter((layer) => layer.active);
    check(active.length >= 2, 'the publisher sends at least two layers');
    const listed = await run.getJson(`/api/streams/${run.options.stream}`);
    check((listed.layers ?? []).filter((layer) => layer.active).length === active.length,
          'the server sees the layers that are sent');
    const switches = [];
    for (const layer of [...active].reverse().concat(active.slice(0, 1))) {
      const begun = Date.now();
      await viewer.evaluate((rid) => window.spillway.chooseLayer(rid), layer.rid);
      const s = await waitFor(`layer ${layer.rid} arrives`, () => stats(viewer),
        (now) => now.width === layer.width, 15000).catch(() => null);
      check(s !== null, `layer ${layer.rid} arrives as ${layer.width} wide`);
      switches.push({ rid: layer.rid, width: layer.width, ms: s ? Date.now() - begun : null });
    }
    await moreFrames(viewer, 10, 'frames after the last change');
    const after = await stats(viewer);
    check(after.totalFreezesDurationMs <= run.options.maxFreezeMs * 2, 'changing layers does not freeze');
    await viewer.click('#stats');
    await sleep(3000);
    await run.shoot(publisher, 'simulcast-publish');
    await run.shoot(viewer, 'simulcast-watch');
    await run.shootPage('/status', 'simulcast-status', 3000);
    return {
      codec: after.codec, switches, freezes: after.freezeCount,
      freezesMs: round(after.totalFreezesDurationMs),
      layers: sent.layers.map((l) => ({ rid: l.rid, active: l.active, size: `${l.width}x${l.height}`,
                                        kbps: round(l.bitrateBps / 1000) })),
    };
  },

  // ICE restarts of both ends; a publisher that leaves and another one; a viewer
  // whose session the server forgot.
  async reconnect(run, check) {
    let publisher = await openPublisher(run);
    const viewer = await openViewer(run);
    await firstFrame(viewer);

    for (const [name, page] of [['viewer', viewer], ['publisher', publisher]]) {
      await page.evaluate(() => window.spillway.restartIce());
      const s = await waitFor(`${name} is live after its ICE restart`, () => stats(page),
        (now) => now.phase === 'live' && now.connectionState === 'connected', START_MS);
      check(s.restarts >= 1 && s.reconnects === 0, `the ${name}'s ICE restart kept the session`);
      await moreFrames(viewer, 20, `frames after the ${name}'s ICE restart`);
    }

    await publisher.evaluate(() => window.spillway.stop());
    await publisher.close();
    await waitFor('the viewer notices that the stream ended',
      () => viewer.evaluate(() => document.getElementById('phase').textContent),
      (text) => text !== 'live', START_MS);
    await run.shoot(viewer, 'reconnect-waiting');
    const gone = Date.now();
    publisher = await openPublisher(run);
    await moreFrames(viewer, 20, 'frames of the second publisher');
    const backMs = Date.now() - gone;

    const resource = await viewer.evaluate(() => window.spillway.session.resource.href);
    await fetch(resource, { method: 'DELETE' });
    const forgotten = Date.now();
    await waitFor('the viewer opens a new session',
      () => viewer.evaluate(() => window.spillway.session.resource?.href ?? ''),
      (href) => href !== '' && href !== resource, START_MS + 30000);
    const s = await moreFrames(viewer, 20, 'frames of the new session');
    return { secondPublisherMs: backMs, newSessionMs: Date.now() - forgotten,
             restarts: s.restarts, reconnects: s.reconnects };
  },
};
