#!/usr/bin/env node
// Drives Debian's chromium against a running server's pages and prints one JSON
// line with the verdict. Exit: 0 held, 1 did not, 77 this machine cannot run it.

import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { cases } from './cases.mjs';
import { Skip, findChromium, launch, loadPuppeteer, openPage, sleep } from './harness.mjs';

const HELP = `browser_test.mjs --base http://127.0.0.1:8080 --case NAME [options]
  --case       ${Object.keys(cases).join(' | ')}
  --base       the server's address; --fake starts tests' own stand-in instead
  --seconds    how long to watch (20)
  --stream     stream name (a random one; "demo" for the case demo)
  --width --height --fps   what to publish (640 360 30; simulcast 1280 720 15)
  --codec      VP8 | H264 | VP9 | AV1 (the browser's order)
  --token      bearer token
  --min-fps    frames per second that must be decoded on average (12)
  --max-freeze-ms  freezes allowed in all (3000)
  --screenshot DIR  leave pictures of the pages there
  --work DIR   where puppeteer-core gets installed (build/browser-tests)
  --chromium FILE  the browser`;

const { values: given } = parseArgs({
  options: {
    base: { type: 'string' }, case: { type: 'string', default: 'publish-watch' },
    seconds: { type: 'string', default: '20' }, stream: { type: 'string' },
    width: { type: 'string' }, height: { type: 'string' }, fps: { type: 'string' },
    codec: { type: 'string' }, token: { type: 'string' },
    'min-fps': { type: 'string', default: '12' }, 'max-freeze-ms': { type: 'string', default: '3000' },
    screenshot: { type: 'string' }, work: { type: 'string' }, chromium: { type: 'string' },
    fake: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  },
});

function optionsOf() {
  const simulcast = given.case === 'simulcast';
  return {
    seconds: Number(given.seconds),
    stream: given.stream ?? (given.case === 'demo' ? 'demo' : `t-${Date.now().toString(36)}`),
    width: given.width ?? (simulcast ? '1280' : '640'),
    height: given.height ?? (simulcast ? '720' : '360'),
    fps: given.fps ?? (simulcast ? '15' : '30'),
    codec: given.codec, token: given.token,
    minFps: Number(given['min-fps']), maxFreezeMs: Number(given['max-freeze-ms']),
  };
}

async function runCase(browser, base, report) {
  const { screenshot } = given;
  if (screenshot) mkdirSync(screenshot, { recursive: true });
  const run = {
    browser, base, faults: report.faults, options: optionsOf(),
    async getJson(where) {
      const headers = given.token ? { Authorization: `Bearer ${given.token}` } : {};
      return (await fetch(base + where, { headers })).json();
    },
    async shoot(page, name) {
      if (screenshot) await page.screenshot({ path: path.join(screenshot, `${name}.png`), fullPage: true });
    },
    async shootAsPhone(page, name) {
      if (!screenshot) return;
      const before = page.viewport();
      await page.setViewport({ width: 390, height: 844, deviceScaleFactor: 2 });
      await sleep(1500);
      await run.shoot(page, name);
      await page.setViewport(before);
    },
    // The page in both themes, and as a phone shows it.
    async shootPage(where, name, settleMs) {
      if (!screenshot) return;
      for (const [suffix, view] of Object.entries({
        light: {}, dark: { dark: true }, phone: { width: 390, height: 844 } })) {
        const page = await openPage(browser, base + where, { faults: report.faults, ...view });
        await sleep(settleMs);
        await run.shoot(page, `${name}-${suffix}`);
        await page.browserContext().close();
      }
    },
  };
  report.stream = run.options.stream;
  report.bounds = { minFps: run.options.minFps, maxFreezeMs: run.options.maxFreezeMs };
  const check = (holds, what) => { if (!holds) report.failures.push(what); };
  Object.assign(report, await cases[given.case](run, check));
  if (report.faults.length > 0) report.failures.push('the pages made no fault');
}

async function main() {
  if (given.help || !cases[given.case] || !(given.base || given.fake)) {
    console.log(HELP);
    return given.help ? 0 : 1;
  }
  const here = path.dirname(fileURLToPath(import.meta.url));
  const work = path.resolve(given.work ?? path.join(here, '../../../build/browser-tests'));
  const report = { case: given.case, ok: false, failures: [], faults: [] };
  let browser = null;
  let fake = null;
  // Whatever hangs, the run ends; puppeteer's exit handler kills the browser.
  const limitMs = (Number(given.seconds) + 240) * 1000;
  setTimeout(() => {
    console.log(JSON.stringify({ ...report, failures: ['the run took too long'] }));
    browser?.process()?.kill('SIGKILL');
    process.exit(1);
  }, limitMs).unref();
  try {
    findChromium(given.chromium);
    const puppeteer = await loadPuppeteer(work);
    browser = await launch(puppeteer, { chromium: given.chromium });
    report.browser = await browser.version();
    report.cpus = os.cpus().length;
    if (given.fake) fake = await (await import('./fake_server.mjs')).startFakeServer(browser);
    await runCase(browser, (fake?.base ?? given.base).replace(/\/$/, ''), report);
  } catch (error) {
    if (error instanceof Skip) {
      console.log(JSON.stringify({ case: given.case, skipped: error.message }));
      return 77;
    }
    report.failures.push(error.message);
  } finally {
    await browser?.close().catch(() => {});
    fake?.close();
  }
  report.ok = report.failures.length === 0;
  console.log(JSON.stringify(report));
  return report.ok ? 0 : 1;
}

process.exit(await main());
