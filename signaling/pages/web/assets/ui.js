// What all pages share: building elements (text is always text, never markup),
// numbers as people read them, metric tiles, copy buttons, the theme switch.

import { Plot } from './plot.js';
import { getToken, setToken } from './api.js';

export const byId = (id) => document.getElementById(id);

// el('a', { href: '/', class: 'x', onclick: f }, 'text', otherElement, ...)
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// --- numbers -------------------------------------------------------------------

const NONE = '–';
const known = (value) => typeof value === 'number' && Number.isFinite(value);

function scaled(value, unit) {
  let index = 0;
  const prefixes = ['', 'k', 'M', 'G', 'T'];
  while (Math.abs(value) >= 1000 && index < prefixes.length - 1) {
    value /= 1000;
    index += 1;
  }
  const digits = index === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${prefixes[index]}${unit}`;
}

export const format = {
  bitrate: (bps) => (known(bps) ? scaled(bps, 'b/s') : NONE),
  bytes: (bytes) => (known(bytes) ? scaled(bytes, 'B') : NONE),
  perSecond: (rate) => (known(rate) ? scaled(rate, '/s').replace(' /s', '/s') : NONE),
  count: (value) => (known(value) ? Math.round(value).toLocaleString('en-US') : NONE),
  ms: (value) => (known(value) ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : NONE),
  fps: (value) => (known(value) ? `${Math.round(value)} fps` : NONE),
  percent: (part) => (known(part) ? `${(part * 100).toFixed(1)} %` : NONE),
  size: (width, height) => (known(width) && known(height) ? `${width} × ${height}` : NONE),
  cipher: (name) => (name ? name.replace(/^SRTP_/, '').replaceAll('_', ' ') : NONE),
  text: (value) => (value === null || value === undefined || value === '' ? NONE : String(value)),
  duration(ms) {
    if (!known(ms)) return NONE;
    const s = Math.floor(ms / 1000);
    const two = (n) => String(n).padStart(2, '0');
    if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
    if (s >= 3600) return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
    return `${Math.floor(s / 60)}:${two(s % 60)}`;
  },
};

// --- tiles and lists ---------------------------------------------------------------

// A caption, the present value, and a plot of the last minute.
export class Metric {
  #output = el('output', {}, NONE);
  #canvas = el('canvas', { 'aria-hidden': 'true' });
  #plot;
  #format;

  constructor(label, formatter, { floor = 1, tone = '' } = {}) {
    this.#format = formatter;
    this.element = el('figure', { class: `metric ${tone}` },
      el('figcaption', {}, el('span', {}, label), this.#output), this.#canvas);
    this.#plot = new Plot(this.#canvas, { floor });
  }

  push(value) {
    this.#output.textContent = this.#format(value);
    this.#plot.push(value);
  }

  clear() {
    this.#output.textContent = NONE;
    this.#plot.clear();
  }
}

// A <dl> whose values change; rows keep their order.
export class Facts {
  #rows = new Map();

  constructor(list) {
    this.list = list;
  }

  set(label, value) {
    let output = this.#rows.get(label);
    if (!output) {
      output = el('dd');
      this.#rows.set(label, output);
      this.list.append(el('div', {}, el('dt', {}, label), output));
    }
    const text = format.text(value);
    if (output.textContent !== text) output.textContent = text;
  }

  clear() {
    for (const output of this.#rows.values()) output.textContent = NONE;
  }
}

// --- controls ----------------------------------------------------------------------

// The clipboard needs a secure context; elsewhere the text gets selected.
async function copy(text, button, source) {
  try {
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = before; }, 1200);
  } catch {
    getSelection().selectAllChildren(source);
  }
}

// A line of text with a button that copies it.
export function copyable(text) {
  const source = el('code', { tabindex: '0' }, text);
  const button = el('button', { type: 'button', class: 'small', 'aria-label': `Copy ${text}` }, 'Copy');
  button.addEventListener('click', () => copy(text, button, source));
  return el('div', { class: 'copyable' }, source, button);
}

// Binds a password field to this tab's token; changed() runs after an edit.
export function bindToken(input, changed = () => {}) {
  input.value = getToken();
  input.addEventListener('change', () => {
    setToken(input.value.trim());
    changed();
  });
}

export function showNotice(element, message, bad = true) {
  element.textContent = message;
  element.hidden = !message;
  element.classList.toggle('bad', bad);
}

// --- theme -------------------------------------------------------------------------

const THEME_KEY = 'spillway.theme';

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  dispatchEvent(new Event('themechange'));
}

function setUpTheme() {
  applyTheme(localStorage.getItem(THEME_KEY));
  byId('theme')?.addEventListener('click', () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === 'dark'
      : matchMedia('(prefers-color-scheme: dark)').matches;
    localStorage.setItem(THEME_KEY, dark ? 'light' : 'dark');
    applyTheme(dark ? 'light' : 'dark');
  });
}

setUpTheme();
