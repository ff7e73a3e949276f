import { io, type Socket } from 'socket.io-client';
import { clock } from './clock';
import type { Alarm, Call, Canary, Changes, Closure, Hello, Incident, Proposal, Pulse, Rows, Trouble, Unit } from './types';

/** What the API adds to a row: where in the log the write stands. */
interface Receipt {
  log_position?: string;
  undo?: unknown;
}

/** The row alone, as the stream says it. */
function rowOf<R>({ log_position: _, undo: __, ...row }: R & Receipt): R {
  return row as R;
}

/** A link that has carried nothing for this long is not called live any more (the server speaks every 2 s). */
const QUIET_MS = 6_000;
/** A link that has carried nothing for this long is cut and made anew: it may be half open. */
const DEAD_MS = 12_000;
const HELLO_WITHIN_MS = 10_000;
/** How often the console asks whether the whole way to the log and back still stands. */
const CANARY_EVERY_MS = 5_000;
/** A link that broke so often within a minute is no link to rely on, even while it stands... */
const SHAKY_BREAKS = 3;
const SHAKY_WITHIN_MS = 60_000;
/** ... until it has stood for so long. */
const STEADY_MS = 20_000;
/** The counter and the clock part by more than this in a second: the clock was set, or the computer slept. */
const LEAP_MS = 3_000;
const CLOSED_KEPT_MS = 10 * 60_000;
export const STALE_FIX_S = 120;

const POSITION_HEADER_BYTES = 16;
const POSITION_ROW_BYTES = 20;
const UNKNOWN_U16 = 65_535;

/** Where the map stands; kept over a reload of the page, in this tab alone. */
export interface View {
  city: string;
  lon: number;
  lat: number;
  zoom: number;
}

const VIEW = 'straja.view';

function keptView(): View | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(VIEW) ?? 'null') as View | null;
    return kept && [kept.lon, kept.lat, kept.zoom].every(Number.isFinite) ? kept : null;
  } catch {
    return null;
  }
}

/** Last known place of every unit, by its index `n` in the position frames. `at_ms` is server time, 0 = never. */
export class Fixes {
  lon = new Float64Array(256);
  lat = new Float64Array(256);
  at_ms = new Float64Array(256);
  heading_deg = new Float32Array(256).fill(NaN);
  speed_mps = new Float32Array(256).fill(NaN);

  private reach(n: number): void {
    if (n < this.lon.length) return;
    let size = this.lon.length;
    while (size <= n) size *= 2;
    const grown = <A extends Float64Array | Float32Array>(old: A, into: A): A => {
      into.set(old);
      return into;
    };
    this.lon = grown(this.lon, new Float64Array(size));
    this.lat = grown(this.lat, new Float64Array(size));
    this.at_ms = grown(this.at_ms, new Float64Array(size));
    this.heading_deg = grown(this.heading_deg, new Float32Array(size).fill(NaN));
    this.speed_mps = grown(this.speed_mps, new Float32Array(size).fill(NaN));
  }

  set(n: number, lon: number, lat: number, at_ms: number, heading_deg: number, speed_mps: number): void {
    this.reach(n);
    if (at_ms < this.at_ms[n]!) return;
    this.lon[n] = lon;
    this.lat[n] = lat;
    this.at_ms[n] = at_ms;
    this.heading_deg[n] = heading_deg;
    this.speed_mps[n] = speed_mps;
  }

  clear(): void {
    this.at_ms.fill(0);
  }

  /**
   * Takes one position frame, little endian: u8 version, u8 flags, u16 reserved, u32 count, f64 server time in
   * seconds; then u32 n[], i32 lon_e7[], i32 lat_e7[], u32 age_ms[], u16 heading_ddeg[], u16 speed_cmps[].
   * Returns the count of rows; throws RangeError on a frame of another version or size.
   */
  take(frame: ArrayBuffer): { count: number; server_ms: number } {
    const view = new DataView(frame);
    const version = view.getUint8(0);
    const count = view.getUint32(4, true);
    if (version !== 1 || frame.byteLength !== POSITION_HEADER_BYTES + count * POSITION_ROW_BYTES) {
      throw new RangeError(`position frame of version ${version}, ${count} rows, ${frame.byteLength} bytes`);
    }
    const server_ms = view.getFloat64(8, true) * 1000;
    const lon = POSITION_HEADER_BYTES + count * 4;
    const lat = lon + count * 4;
    const age = lat + count * 4;
    const heading = age + count * 4;
    const speed = heading + count * 2;
    for (let i = 0; i < count; i++) {
      const h = view.getUint16(heading + i * 2, true);
      const s = view.getUint16(speed + i * 2, true);
      this.set(
        view.getUint32(POSITION_HEADER_BYTES + i * 4, true),
        view.getInt32(lon + i * 4, true) / 1e7,
        view.getInt32(lat + i * 4, true) / 1e7,
        server_ms - view.getUint32(age + i * 4, true),
        h === UNKNOWN_U16 ? NaN : h / 10,
        s === UNKNOWN_U16 ? NaN : s / 100,
      );
    }
    return { count, server_ms };
  }
}

/** What was held with newer rows in it and without those that are gone; the same object where nothing changed. */
function newer<R extends { id: string; rev: number }>(held: ReadonlyMap<string, R>, rows: R[] = [], gone: string[] = []): ReadonlyMap<string, R> {
  if (!rows.length && !gone.length) return held;
  const next = new Map(held);
  for (const id of gone) next.delete(id);
  for (const row of rows) if (!((next.get(row.id)?.rev ?? -1) > row.rev)) next.set(row.id, row);
  return next;
}

/**
 * The operating picture as this console holds it: rows from the server, never folded here.
 *
 * A snapshot comes first, then changes after a cursor. A frame that does not start at our cursor is not
 * applied: the console says hello again with the cursor it has and gets what it missed, or a fresh snapshot.
 */
class Live {
  incidents = $state.raw<ReadonlyMap<string, Incident>>(new Map());
  units = $state.raw<ReadonlyMap<string, Unit>>(new Map());
  closures = $state.raw<ReadonlyMap<string, Closure>>(new Map());
  proposals = $state.raw<ReadonlyMap<string, Proposal>>(new Map());
  /** Calls about which something is still to be done. */
  calls = $state.raw<ReadonlyMap<string, Call>>(new Map());
  alarms = $state.raw<ReadonlyMap<string, Alarm>>(new Map());
  cursor = $state.raw<string | null>(null);
  /** Server time as best known, milliseconds; moves once a second. */
  now_ms = $state(Date.now());
  /** Up to when, by the server's time, everything on record is known here; null before the first proof. */
  as_of_ms: number | null = null;
  /** How long the way to the server's log and back took lately. */
  round_trip_ms = $state.raw<number | null>(null);
  /** Server time since when the server, though heard, has told nothing new from its log; null when it does. */
  behind_since_ms = $state.raw<number | null>(null);
  /** How often the link broke within the last minute; 0 while that is rare. */
  shaky = $state(0);
  connected = $state(false);
  /** Server time of the last word from the server, while nothing more comes. */
  lost_since_ms = $state.raw<number | null>(null);
  /** What keeps the server from saving; null when it saves. */
  trouble = $state.raw<Trouble | null>(null);
  /** Grows with every position frame, so that ages on screen follow. */
  positionsSeen = 0;
  readonly fixes = new Fixes();
  selected = $state.raw<string | null>(null);

  /** True while the screen may no longer be what the server knows. */
  readonly lost = $derived(this.cursor !== null && this.lost_since_ms !== null);

  private camera: View | null = keptView();
  private socket: Socket | null = null;
  private ticking: ReturnType<typeof setInterval> | undefined;
  private greeting = false;
  private hello_tries = 0;
  private waiting: Changes[] = [];
  private behind: string | null = null;
  /** When the last word came, and when the last canary left, by the counter; null before the first. */
  private heard_at: number | null = null;
  private asked_at = 0;
  private breaks: number[] = [];
  private parted_ms = Date.now() - performance.now();
  private position_listeners = new Set<() => void>();
  private ended: () => void = () => {};
  private on_rows: () => void = () => {};

  get view(): View | null {
    return this.camera;
  }

  set view(view: View) {
    this.camera = view;
    sessionStorage.setItem(VIEW, JSON.stringify(view));
  }

  /** Opens the stream. `ended` runs when the server has thrown this session out or refuses it. */
  open(ended: () => void): void {
    this.ended = ended;
    this.socket = io({
      path: '/socket.io',
      transports: ['websocket'],
      reconnectionDelay: 400,
      reconnectionDelayMax: 8_000,
      randomizationFactor: 0.5,
      timeout: 8_000,
    });
    this.socket.on('connect', () => this.hello());
    this.socket.on('disconnect', (why) => {
      this.drop();
      if (why === 'io server disconnect') this.ended();
    });
    this.socket.on('connect_error', () => {
      this.drop();
      // The server answered and refused: the library does not try again by itself.
      if (this.socket && !this.socket.active) this.ended();
    });
    this.socket.on('changes', (frame: Changes) => this.changes(frame));
    this.socket.on('positions', (frame: ArrayBuffer) => this.positions(frame));
    this.socket.on('pulse', (pulse: Pulse) => this.pulse(pulse));
    this.socket.on('revoked', () => this.ended());
    this.ticking = setInterval(() => this.tick(), 1000);
  }

  /** Tries again after a refusal that turned out not to be about the session. */
  retry(): void {
    const socket = this.socket;
    setTimeout(() => socket === this.socket && socket?.connect(), 1000 + Math.random() * 3000);
  }

  /** Until the first rows are here, or for so long. */
  begun(within_ms: number): Promise<void> {
    return new Promise((done) => {
      this.on_rows = done;
      setTimeout(done, within_ms);
    });
  }

  close(): void {
    clearInterval(this.ticking);
    this.socket?.removeAllListeners();
    this.socket?.disconnect();
    this.socket = null;
    this.incidents = new Map();
    this.units = new Map();
    this.closures = new Map();
    this.proposals = new Map();
    this.calls = new Map();
    this.alarms = new Map();
    this.cursor = null;
    this.connected = false;
    this.greeting = false;
    this.heard_at = null;
    this.as_of_ms = null;
    this.behind_since_ms = null;
    this.shaky = 0;
    this.breaks = [];
    this.lost_since_ms = null;
    this.trouble = null;
    this.selected = null;
    this.fixes.clear();
  }

  onPositions(run: () => void): () => void {
    this.position_listeners.add(run);
    return () => this.position_listeners.delete(run);
  }

  /** A row that the API answered with. It is shown at once; the stream will say the same. */
  take(answer: Incident & Receipt): void {
    this.merge({ incidents: [rowOf<Incident>(answer)], units: [], server_time: '' });
  }

  takeUnit(answer: Unit & Receipt): void {
    this.merge({ incidents: [], units: [rowOf<Unit>(answer)], server_time: '' });
  }

  takeClosure(answer: Closure & Receipt): void {
    this.closures = newer(this.closures, [rowOf<Closure>(answer)]);
  }

  takeProposal(answer: Proposal & Receipt): void {
    this.proposals = newer(this.proposals, [rowOf<Proposal>(answer)]);
  }

  takeAlarm({ log_position: _, ...alarm }: Alarm & Receipt): void {
    this.alarms = newer(this.alarms, [alarm]);
  }

  takeCalls(rows: Call[] = []): void {
    this.calls = newer(this.calls, rows.filter((row) => row.needs), rows.filter((row) => !row.needs).map((row) => row.id));
  }

  /** Age of a unit's last fix in seconds, null when it never had one. */
  fixAge(unit: Unit, now_ms = this.now_ms): number | null {
    const at = this.fixes.at_ms[unit.n] ?? 0;
    return at > 0 ? Math.max(0, (now_ms - at) / 1000) : null;
  }

  seconds(since: string | null | undefined): number {
    return since ? Math.max(0, (this.now_ms - Date.parse(since)) / 1000) : 0;
  }

  serverNow(): number {
    return clock.now();
  }

  /** Seconds since which nothing is known of what is on record. */
  dataAge(): number {
    return this.as_of_ms === null ? 0 : Math.max(0, (clock.now() - this.as_of_ms) / 1000);
  }

  private tick(): void {
    this.now_ms = clock.now();
    const at = performance.now();
    const quiet = at - (this.heard_at ?? -Infinity);
    const parted_ms = Date.now() - at;
    const leapt = Math.abs(parted_ms - this.parted_ms) > LEAP_MS;
    this.parted_ms = parted_ms;
    if (this.connected && quiet > QUIET_MS && this.lost_since_ms === null) this.lose();
    // A computer that slept may sit on a link that died meanwhile.
    if (this.connected && (quiet > DEAD_MS || leapt)) {
      this.drop();
      this.socket?.disconnect().connect();
    }
    this.behind_since_ms = this.connected && this.dataAge() * 1000 > QUIET_MS ? this.as_of_ms : null;
    this.breaks = this.breaks.filter((broke) => at - broke < SHAKY_WITHIN_MS);
    const often = this.breaks.length >= SHAKY_BREAKS && at - this.breaks.at(-1)! < STEADY_MS;
    this.shaky = often ? this.breaks.length : 0;
    if (at - this.asked_at >= CANARY_EVERY_MS) this.canary();
  }

  /** Asks whether the whole way to the log and back still stands; the answer says up to when it was read. */
  private canary(): void {
    const socket = this.socket;
    if (!socket || !this.connected) return;
    const asked = (this.asked_at = performance.now());
    socket.timeout(HELLO_WITHIN_MS).emit('canary', (fault: Error | null, answer?: Canary) => {
      if (fault || socket !== this.socket || !answer?.as_of) return;
      clock.echoed(asked, Date.parse(answer.server_time));
      this.round_trip_ms = performance.now() - asked;
      this.heard(NaN);
      this.proven(answer.as_of);
    });
  }

  private proven(as_of: string | undefined): void {
    if (as_of) this.as_of_ms = Date.parse(as_of);
  }

  private drop(): void {
    if (this.connected) this.breaks.push(performance.now());
    this.connected = false;
    this.greeting = false;
    this.waiting = [];
    this.lose();
  }

  private lose(): void {
    const quiet_ms = this.heard_at === null ? 0 : performance.now() - this.heard_at;
    this.lost_since_ms ??= clock.now() - quiet_ms;
  }

  private heard(server_ms: number): void {
    this.heard_at = performance.now();
    clock.heard(server_ms);
    // Behind another window a browser slows every timer, not the link: what falls due is seen, and heard, in time.
    if (clock.now() - this.now_ms > 1500) this.now_ms = clock.now();
    if (this.connected) this.lost_since_ms = null;
  }

  private hello(): void {
    const socket = this.socket;
    if (!socket || this.greeting) return;
    this.greeting = true;
    this.waiting = [];
    socket
      .timeout(HELLO_WITHIN_MS)
      .emit('hello', { cursor: this.cursor }, (fault: Error | null, answer: Hello | undefined) => {
        if (socket !== this.socket || !this.greeting) return;
        this.greeting = false;
        if (fault || !answer?.cursor) {
          const wait_ms = Math.min(8000, 300 * 2 ** this.hello_tries++) * (0.5 + Math.random());
          setTimeout(() => socket === this.socket && socket.connected && this.hello(), wait_ms);
          return;
        }
        this.hello_tries = 0;
        if (answer.mode === 'snapshot') this.replace(answer);
        else this.merge(answer);
        this.cursor = answer.cursor;
        this.connected = true;
        this.on_rows();
        this.heard(Date.parse(answer.server_time));
        this.now_ms = clock.now();
        this.proven(answer.as_of);
        this.canary();
        const waited = this.waiting;
        this.waiting = [];
        for (const frame of waited) if (frame.from === this.cursor) this.changes(frame);
      });
  }

  private changes(frame: Changes): void {
    if (this.greeting) {
      this.waiting.push(frame);
      return;
    }
    if (frame.from !== this.cursor) {
      this.hello();
      return;
    }
    this.merge(frame);
    this.cursor = frame.to;
    this.heard(Date.parse(frame.server_time));
  }

  private pulse(pulse: Pulse): void {
    this.trouble = pulse.trouble ?? null;
    this.heard(Date.parse(pulse.server_time));
    // While frames are missing, what the pulse vouches for is not all here.
    if (pulse.cursor === this.cursor) this.proven(pulse.as_of);
    // Two beats behind without a frame in between means that a frame was lost: ask for what was missed.
    if (this.greeting || !pulse.cursor || pulse.cursor === this.cursor) this.behind = null;
    else if (this.behind === this.cursor) {
      this.behind = null;
      this.hello();
    } else this.behind = this.cursor;
  }

  private positions(frame: ArrayBuffer): void {
    try {
      const { server_ms } = this.fixes.take(frame);
      this.heard(server_ms);
    } catch (fault) {
      console.error(fault);
      return;
    }
    this.positionsSeen++;
    for (const run of this.position_listeners) run();
  }

  private replace(rows: Rows): void {
    this.fixes.clear();
    const held = this.selected ? this.incidents.get(this.selected) : undefined;
    this.incidents = new Map(rows.incidents.map((row) => [row.id, row]));
    // A snapshot has no incident closed long ago; the one that is being read stays.
    if (held?.state === 'closed' && !this.incidents.has(held.id)) this.merge({ ...rows, incidents: [held], units: [] });
    this.units = new Map(rows.units.map((row) => [row.id, row]));
    for (const unit of rows.units) this.seed(unit);
    this.closures = newer(new Map(), rows.closures);
    this.proposals = newer(new Map(), rows.proposals);
    this.calls = newer(new Map(), rows.calls);
    this.alarms = newer(new Map(), rows.alarms);
  }

  private merge(rows: Rows): void {
    this.closures = newer(this.closures, rows.closures, rows.gone?.closures);
    this.proposals = newer(this.proposals, rows.proposals, rows.gone?.proposals);
    if (rows.calls?.length) this.takeCalls(rows.calls);
    this.alarms = newer(this.alarms, rows.alarms);
    const gone = rows.gone?.incidents ?? [];
    if (rows.incidents.length || gone.length) {
      const next = new Map(this.incidents);
      for (const id of gone) next.delete(id);
      for (const row of rows.incidents) if (!((next.get(row.id)?.rev ?? -1) > row.rev)) next.set(row.id, row);
      const kept_from = this.serverNow() - CLOSED_KEPT_MS;
      for (const row of next.values()) {
        const over = row.state === 'closed' && Date.parse(row.closed_at ?? '') < kept_from;
        if (over && row.id !== this.selected) next.delete(row.id);
      }
      this.incidents = next;
    }
    if (rows.units.length) {
      const next = new Map(this.units);
      for (const row of rows.units) {
        if ((next.get(row.id)?.rev ?? -1) > row.rev) continue;
        next.set(row.id, row);
        this.seed(row);
      }
      this.units = next;
    }
  }

  private seed(unit: Unit): void {
    if (unit.lon === null || unit.lat === null || !unit.fix_at) return;
    this.fixes.set(
      unit.n,
      unit.lon,
      unit.lat,
      Date.parse(unit.fix_at),
      unit.heading_deg ?? NaN,
      unit.speed_mps ?? NaN,
    );
  }
}

export const live = new Live();

/** For tests and the curious at the browser's console: what this page holds, to be read only. */
export interface Peek {
  readonly cursor: string | null;
  readonly incidents: Incident[];
  readonly units: Unit[];
  readonly closures: Closure[];
  readonly proposals: Proposal[];
  readonly positionsSeen: number;
  readonly view: View | null;
}

declare global {
  interface Window {
    straja: Peek;
  }
}

window.straja = Object.freeze({
  get cursor() {
    return live.cursor;
  },
  get incidents() {
    return structuredClone([...live.incidents.values()]);
  },
  get units() {
    return structuredClone([...live.units.values()]);
  },
  get closures() {
    return structuredClone([...live.closures.values()]);
  },
  get proposals() {
    return structuredClone([...live.proposals.values()]);
  },
  get positionsSeen() {
    return live.positionsSeen;
  },
  get view() {
    return live.view;
  },
});
