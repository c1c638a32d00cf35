// A line of the last minute on a small canvas. Colours come from the style sheet
// (the canvas's own `color`), so dark, light and high contrast need nothing here.

const SLOTS = 60;

export class Plot {
  #canvas;
  #values = [];
  #floor;
  #seen = { width: 0, height: 0 };

  // floor: the scale never ends below this value, so noise stays small.
  constructor(canvas, { floor = 1 } = {}) {
    this.#canvas = canvas;
    this.#floor = floor;
    new ResizeObserver(([entry]) => {
      this.#seen = { width: entry.contentRect.width, height: entry.contentRect.height };
      this.draw();
    }).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    addEventListener('themechange', () => this.draw());
  }

  // value: null leaves a gap.
  push(value) {
    this.#values.push(Number.isFinite(value) ? value : null);
    if (this.#values.length > SLOTS) this.#values.shift();
    this.draw();
  }

  clear() {
    this.#values = [];
    this.draw();
  }

  draw() {
    const { width, height } = this.#seen;
    if (width === 0 || height === 0) return;
    const ratio = devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const context = this.#canvas.getContext('2d');
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, height);
    const color = getComputedStyle(this.#canvas).color;

    context.strokeStyle = color;
    context.lineWidth = 1;
    context.globalAlpha = 0.15;
    for (const part of [0.5, 1]) {
      const y = Math.round((height - 1) * part) + 0.5 - (part === 1 ? 1 : 0);
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
    }

    const top = Math.max(this.#floor, ...this.#values.map((value) => value ?? 0)) * 1.1;
    const x = (index) => width - (this.#values.length - 1 - index) * (width / (SLOTS - 1));
    const y = (value) => height - 1.5 - (value / top) * (height - 4);
    for (const run of this.#runs()) {
      context.beginPath();
      run.forEach(([index, value], i) => {
        if (i === 0) context.moveTo(x(index), y(value));
        else context.lineTo(x(index), y(value));
      });
      context.globalAlpha = 1;
      context.lineWidth = 1.75;
      context.lineJoin = 'round';
      context.stroke();
      context.lineTo(x(run.at(-1)[0]), height);
      context.lineTo(x(run[0][0]), height);
      context.closePath();
      context.globalAlpha = 0.14;
      context.fillStyle = color;
      context.fill();
    }
  }

  // Stretches without a gap, as [index, value] lists.
  #runs() {
    const runs = [];
    let run = null;
    this.#values.forEach((value, index) => {
      if (value === null) {
        run = null;
        return;
      }
      if (!run) runs.push(run = []);
      run.push([index, value]);
    });
    return runs;
  }
}
