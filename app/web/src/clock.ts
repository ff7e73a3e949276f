const SAMPLES = 60;

/**
 * The server's time, on a computer whose own clock may be wrong, or be set while somebody works at it. What
 * has passed is taken from a counter that nobody can set.
 */
class Clock {
  /** Server time less counter when a message came: late, so never more than the truth. */
  private least_ms: number[] = [];
  /** The same when the question was put that the message answers: never less than the truth. */
  private most_ms: number[] = [];

  /** A message came that says when it was sent. */
  heard(server_ms: number): void {
    keep(this.least_ms, server_ms - performance.now());
  }

  /** An answer came that says when it was given, to a question put at `asked` by the counter. */
  echoed(asked: number, server_ms: number): void {
    keep(this.most_ms, server_ms - asked);
    this.heard(server_ms);
  }

  /** Server time as best known, milliseconds since 1970. */
  now(): number {
    if (!this.least_ms.length) return Date.now();
    const least = Math.max(...this.least_ms);
    // A computer that slept has stopped its counter: what was known from above no longer holds.
    if (Math.min(...this.most_ms) < least) this.most_ms = [];
    return performance.now() + (this.most_ms.length ? (least + Math.min(...this.most_ms)) / 2 : least);
  }

  /** Seconds by which this computer's clock is ahead of the server's. */
  ahead_s(): number {
    return (Date.now() - this.now()) / 1000;
  }
}

function keep(samples: number[], sample: number): void {
  if (!Number.isFinite(sample)) return;
  samples.push(sample);
  if (samples.length > SAMPLES) samples.shift();
}

export const clock = new Clock();
