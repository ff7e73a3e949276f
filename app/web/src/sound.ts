/** The room's three sounds, told apart by their rhythm alone: pitch is lost in a loudspeaker, and on some ears. */

export type Alert = 'danger' | 'critical' | 'waiting';
export const ALERTS: readonly Alert[] = ['danger', 'critical', 'waiting'];

interface Rhythm {
  /** From and until when it sounds, in seconds, and how high. */
  beats: readonly (readonly [from_s: number, to_s: number, hz: number])[];
  /** After so long it begins again, while it lasts. */
  every_s: number;
  /** How often it is played; it lasts while its cause does where that is not said. */
  times?: number;
}

const beats = (hz: number, ...spans: [number, number][]) => spans.map(([from_s, to_s]) => [from_s, to_s, hz] as const);

export const RHYTHMS: Record<Alert, Rhythm> = {
  // A rattle without an end: a crew asks for help.
  danger: { beats: beats(1250, [0, 0.09], [0.15, 0.24], [0.3, 0.39], [0.45, 0.54], [0.6, 0.69], [0.75, 0.84]), every_s: 1.4 },
  // Two short and one long, three times: a life is in danger.
  critical: { beats: [...beats(880, [0, 0.14], [0.24, 0.38]), ...beats(1100, [0.5, 0.95])], every_s: 1.5, times: 3 },
  // One long tone, and a long pause: somebody is still waiting.
  waiting: { beats: beats(560, [0, 0.8]), every_s: 5 },
};

export const SILENCE_MS = 60_000;
const EDGE_S = 0.008;
const LOUDNESS = 'straja.loudness';
/** Nobody turns it off altogether. */
export const LEAST_LOUD = 0.15;

/** Renders a rhythm's one turn; edges are rounded, or they click. */
function render(context: BaseAudioContext, rhythm: Rhythm): AudioBuffer {
  const rate = context.sampleRate;
  const buffer = context.createBuffer(1, Math.round(rhythm.every_s * rate), rate);
  const samples = buffer.getChannelData(0);
  for (const [from_s, to_s, hz] of rhythm.beats) {
    for (let i = Math.round(from_s * rate); i < to_s * rate; i++) {
      const at_s = i / rate;
      const edge = Math.min(1, (at_s - from_s) / EDGE_S, (to_s - at_s) / EDGE_S);
      const turn = 2 * Math.PI * hz * at_s;
      samples[i] = edge * (0.75 * Math.sin(turn) + 0.25 * Math.sin(3 * turn));
    }
  }
  return buffer;
}

/**
 * Plays what it is told, one rhythm at a time. What repeats goes round in the sound card's own time, so that a
 * console behind another window does not fall silent when the browser slows its timers.
 */
export class Speaker {
  private context: AudioContext | null = null;
  private out: GainNode | null = null;
  private buffers = new Map<Alert, AudioBuffer>();
  private playing: AudioBufferSourceNode | null = null;
  private until_s = 0;
  volume = Math.max(LEAST_LOUD, Math.min(1, Number(localStorage.getItem(LOUDNESS)) || 0.7));

  /** Whether the browser lets this page sound. */
  get open(): boolean {
    return this.context?.state === 'running';
  }

  /** Asks the browser for the loudspeaker: granted once a hand has touched the page. */
  async unlock(): Promise<boolean> {
    try {
      if (!this.context) {
        this.context = new AudioContext({ latencyHint: 'interactive' });
        this.out = this.context.createGain();
        this.out.gain.value = this.volume;
        this.out.connect(this.context.destination);
      }
      // A promise that waits for a hand would wait for ever.
      if (this.context.state !== 'running') await Promise.race([this.context.resume(), new Promise((over) => setTimeout(over, 400))]);
    } catch {
      return false;
    }
    return this.open;
  }

  /** Plays a rhythm: `times` turns of it, or until `stop`. `over` runs when its turns are played. */
  play(alert: Alert, times = RHYTHMS[alert].times ?? Infinity, over: () => void = () => {}): void {
    this.stop();
    const { context, out } = this;
    if (!context || !out || !this.open) return;
    const buffer = this.buffers.get(alert) ?? render(context, RHYTHMS[alert]);
    this.buffers.set(alert, buffer);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.loop = true;
    source.connect(out);
    source.onended = () => {
      if (this.playing !== source) return;
      this.playing = null;
      over();
    };
    source.start();
    if (Number.isFinite(times)) source.stop(context.currentTime + times * RHYTHMS[alert].every_s);
    this.playing = source;
  }

  stop(): void {
    const was = this.playing;
    this.playing = null;
    was?.stop();
  }

  /** Nothing is heard for so long; what goes on is heard again after that. */
  hush(ms: number): void {
    if (!this.context || !this.out) return;
    const now_s = this.context.currentTime;
    this.until_s = now_s + ms / 1000;
    this.out.gain.cancelScheduledValues(now_s);
    this.out.gain.setValueAtTime(0, now_s);
    this.out.gain.setValueAtTime(this.volume, this.until_s);
  }

  /** Ends a silence before its time. */
  speak(): void {
    this.loud(this.volume);
  }

  /** 0 to 1; it is remembered, and never less than can be heard. */
  loud(volume: number): void {
    this.volume = Math.max(LEAST_LOUD, Math.min(1, volume));
    localStorage.setItem(LOUDNESS, String(this.volume));
    if (!this.context || !this.out) return;
    this.out.gain.cancelScheduledValues(this.context.currentTime);
    this.out.gain.setValueAtTime(this.volume, this.context.currentTime);
  }

  close(): void {
    this.stop();
    void this.context?.close();
    this.context = null;
    this.out = null;
    this.buffers.clear();
  }
}
