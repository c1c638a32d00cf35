// What every browser case needs: puppeteer-core installed outside the source tree,
// Debian's chromium with fake devices, pages that report their own faults, and
// waiting with a deadline.
//
// Throws Skip when this machine cannot run browser tests at all.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));

export class Skip extends Error {}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// --- puppeteer -----------------------------------------------------------------

const installed = (work, wanted) => {
  try {
    const file = path.join(work, 'node_modules/puppeteer-core/package.json');
    return JSON.parse(readFileSync(file, 'utf8')).version === wanted;
  } catch {
    return false;
  }
};

// Installs into `work` what package-lock.json names, unless it is there already.
export async function loadPuppeteer(work) {
  const wanted = JSON.parse(readFileSync(path.join(HERE, 'package.json'), 'utf8'))
    .dependencies['puppeteer-core'];
  if (!installed(work, wanted)) {
    mkdirSync(work, { recursive: true });
    for (const file of ['package.json', 'package-lock.json']) {
      copyFileSync(path.join(HERE, file), path.join(work, file));
    }
    try {
      execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
        cwd: work, timeout: 180000, stdio: ['ignore', 'ignore', 'pipe'],
      });
    } catch (error) {
      const why = String(error.stderr ?? error.message).trim().split('\n').at(-1);
      throw new Skip(`npm cannot install puppeteer-core: ${why}`);
    }
  }
  const require = createRequire(path.join(work, 'package.json'));
  const module = await import(pathToFileURL(require.resolve('puppeteer-core')).href);
  return module.default;
}

// --- chromium --------------------------------------------------------------------

const CHROMIUMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function findChromium(given) {
  const found = given ?? CHROMIUMS.find((file) => existsSync(file));
  if (!found) throw new Skip('no chromium on this machine (Debian package: chromium)');
  try {
    accessSync(found, constants.X_OK);
  } catch {
    throw new Skip(`${found} is no program`);
  }
  return found;
}

const FLAGS = [
  '--use-fake-ui-for-media-stream',         // permission without a question
  '--use-fake-device-for-media-stream=fps=30',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--mute-audio',
  '--disable-gpu',
  '--disable-dev-shm-usage',                // small /dev/shm in containers
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--no-proxy-server',
  // Nothing but this machine can be reached, by anything the browser does.
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost',
];

export async function launch(puppeteer, { chromium, extraFlags = [] }) {
  const flags = [...FLAGS, ...extraFlags];
  // Chromium's own sandbox refuses to run as root.
  if (process.getuid?.() === 0) flags.push('--no-sandbox');
  return puppeteer.launch({
    executablePath: findChromium(chromium), headless: true, args: flags,
    timeout: 60000, protocolTimeout: 60000,
  });
}

// A page in a window of its own: a page behind another counts as hidden, and the
// player rightly does less then. faults collects what must not happen.
export async function openPage(browser, url, { faults, width = 1280, height = 900, dark = false }) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
  const { origin } = new URL(url);
  page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
  page.on('request', (request) => {
    const target = request.url();
    if (/^https?:/.test(target) && new URL(target).origin !== origin) faults.push(`request to ${target}`);
  });
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted ?Type/i.test(message.text())) faults.push(message.text());
  });
  const response = await page.goto(url, { waitUntil: 'load', timeout: 30000 });
  if (!response.ok()) throw new Error(`${url}: ${response.status()}`);
  return page;
}

export const stats = (page) => page.evaluate(() => window.spillway?.stats() ?? {});

// Polls until accept(value) is true and returns the value. On a slow machine only
// the deadline matters, not the pace.
export async function waitFor(what, produce, accept, deadlineMs) {
  const begun = Date.now();
  let value;
  do {
    value = await produce();
    if (accept(value)) return value;
    await sleep(200);
  } while (Date.now() - begun < deadlineMs);
  throw new Error(`${what}: not within ${deadlineMs / 1000} s; last seen ${JSON.stringify(value)?.slice(0, 1200)}`);
}
