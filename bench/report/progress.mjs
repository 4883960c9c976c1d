/**
 * What a person sees while the bench runs: on a terminal a bar and the current rate in one line, else a line per run.
 *
 * Always true: it writes to standard error only, so that standard output is the result and nothing else.
 */
const BAR_WIDTH = 24;
const REDRAW_MS = 100;

export class Progress {
  #stream;
  #live;
  #total = 0;
  #finished = 0;
  #title = '';
  #peer = '';
  #drawnMs = 0;
  #last;
  #startedMs = performance.now();

  constructor(stream = process.stderr) {
    this.#stream = stream;
    this.#live = stream.isTTY;
  }

  /** `total` runs will follow, which take `seconds` altogether, about. */
  start(total, seconds) {
    this.#total = total;
    this.#line(`${total} runs, about ${timeText(seconds)}`);
  }

  begin(title, peer) {
    this.#title = title;
    this.#peer = peer;
    this.#last = undefined;
    this.#draw('starting');
  }

  /** Counts so far of the present run. */
  update(counts) {
    const nowMs = performance.now();
    if (!this.#live || nowMs - this.#drawnMs < REDRAW_MS) return;
    const before = this.#last ?? counts;
    const seconds = (counts.atMs - before.atMs) / 1000;
    const rate = seconds > 0 ? Math.round((counts.delivered - before.delivered) / seconds) : 0;
    this.#last = counts;
    this.#draw(`${counts.delivered.toLocaleString('en-US')} delivered, ${rate.toLocaleString('en-US')}/s`);
  }

  /** The present run is over with `value`. */
  done(value, unit, faults) {
    this.#finished += 1;
    const shown = value === undefined ? 'no figure' : `${value.toLocaleString('en-US')} ${unit}`;
    const tail = faults.length === 0 ? '' : `  FAULT: ${faults[0]}`;
    this.#line(`${this.#place()} ${this.#title} · ${this.#peer}: ${shown}${tail}`);
  }

  end() {
    this.#line(`${this.#finished} runs in ${timeText((performance.now() - this.#startedMs) / 1000)}`);
  }

  #place() {
    return `[${String(this.#finished).padStart(String(this.#total).length)}/${this.#total}]`;
  }

  #draw(text) {
    if (!this.#live) return;
    this.#drawnMs = performance.now();
    const filled = this.#total === 0 ? 0 : Math.round((BAR_WIDTH * this.#finished) / this.#total);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
    const line = `${bar} ${this.#place()} ${this.#title} · ${this.#peer} · ${text}`;
    this.#stream.write(`\r\x1b[K${line.slice(0, (this.#stream.columns ?? 120) - 1)}`);
  }

  #line(text) {
    this.#stream.write(this.#live ? `\r\x1b[K${text}\n` : `${text}\n`);
  }
}

function timeText(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
