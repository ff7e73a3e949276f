import { untrack } from 'svelte';
import { api, faultWords, NoLink, Problem, type StatusChange } from './api';
import { desk } from './desk.svelte';
import { live } from './live.svelte';

/** What was decided here and is not yet known to be on record. */
export interface Kept {
  /** The Idempotency-Key of every attempt: however often it is sent, it is recorded once. */
  key: string;
  what: { status: StatusChange } | { note: string };
  /** The unit of a status, the incident of a note, by id, and as people call it. */
  about: string;
  name: string;
  /** Server time when it was decided. */
  at_ms: number;
  /** Which window sends it while that window lives. */
  window: string;
  /** Why the server would not have it; null while it has not said so. */
  refused: string | null;
}

const BOX = 'straja.outbox.';
const WINDOW = 'straja.window';
const AGAIN_MS = 4_000;
/** What another window has not sent by then, this one sends. */
const ABANDONED_MS = 20_000;

const isWaiting = (kept: Kept) => kept.refused === null;

/**
 * Statuses and notes on their way to the log. Each is put down in this browser before it is sent and stays
 * until the server has answered, over a lost link and a page loaded anew; what waited tells the server when
 * it was decided. Each login has a box of its own, shared by its windows: one file an entry, so that no
 * window can overwrite another's.
 */
class Outbox {
  kept = $state.raw<readonly Kept[]>([]);
  readonly waiting = $derived(this.kept.filter(isWaiting));
  readonly refused = $derived(this.kept.filter((k) => !isWaiting(k)));

  private readonly window = (sessionStorage[WINDOW] ??= crypto.randomUUID()) as string;
  private sending = new Set<string>();
  private draining = false;

  constructor() {
    addEventListener('storage', (event) => event.key?.startsWith(BOX) && this.read());
    $effect.root(() => {
      $effect(() => {
        if (desk.user) untrack(() => this.read());
      });
      $effect(() => {
        if (live.connected && !live.lost && this.waiting.length) untrack(() => void this.drain());
      });
    });
    setInterval(() => void this.drain(), AGAIN_MS);
  }

  /** Sets a unit's status. Returns whether it is on record; throws the server's Problem when it will not be. */
  status(unit: string, change: StatusChange): Promise<boolean> {
    return this.put({ status: change }, unit, unit);
  }

  /** Adds a note to an incident; otherwise as `status`. */
  note(incident: string, number: string, text: string): Promise<boolean> {
    return this.put({ note: text }, incident, number);
  }

  /** Throws away what the server refused, or what need not be sent any more. */
  drop(key: string): void {
    localStorage.removeItem(this.place(key));
    this.read();
  }

  private async put(what: Kept['what'], about: string, name: string): Promise<boolean> {
    // What was decided first about the same unit goes first.
    const behind = this.waiting.some((k) => k.about === about);
    const kept: Kept = { key: crypto.randomUUID(), what, about, name, at_ms: live.serverNow(), window: this.window, refused: null };
    this.write(kept);
    if (live.lost || behind) {
      void this.drain();
      return false;
    }
    try {
      return await this.send(kept, false);
    } catch (fault) {
      if (fault instanceof NoLink) return false;
      this.drop(kept.key);
      throw fault;
    }
  }

  /** `late`: it has waited, and says when it was decided. */
  private async send(kept: Kept, late: boolean): Promise<boolean> {
    this.sending.add(kept.key);
    try {
      if ('note' in kept.what) live.take(await api.note(kept.about, kept.what.note, kept.key));
      else {
        const observed = late ? { observed_at: new Date(kept.at_ms).toISOString() } : {};
        live.takeUnit(await api.status(kept.about, { ...kept.what.status, ...observed }, kept.key));
      }
    } catch (fault) {
      // The key is ours alone: an attempt whose answer was lost, or another window's, has been recorded.
      if (!(fault instanceof Problem && fault.code === 'id-reused')) throw fault;
    } finally {
      this.sending.delete(kept.key);
    }
    this.drop(kept.key);
    return true;
  }

  private async drain(): Promise<void> {
    if (this.draining || !desk.user) return;
    this.draining = true;
    try {
      for (const kept of this.waiting) {
        const another = kept.window !== this.window && live.serverNow() - kept.at_ms < ABANDONED_MS;
        if (another || this.sending.has(kept.key)) continue;
        try {
          await this.send(kept, true);
        } catch (fault) {
          if (!(fault instanceof Problem) || fault.status >= 500 || [401, 408, 429].includes(fault.status)) return;
          this.write({ ...kept, refused: faultWords(fault) });
        }
      }
    } finally {
      this.draining = false;
    }
  }

  private place(key: string): string {
    return `${BOX}${desk.user?.name}.${key}`;
  }

  private write(kept: Kept): void {
    localStorage.setItem(this.place(kept.key), JSON.stringify(kept));
    this.read();
  }

  private read(): void {
    const mine = this.place('');
    const kept = Object.entries(localStorage)
      .filter(([place]) => place.startsWith(mine))
      .map(([, text]) => JSON.parse(text as string) as Kept);
    this.kept = kept.sort((a, b) => a.at_ms - b.at_ms);
    desk.unsent = new Map(this.waiting.flatMap((k) => ('status' in k.what ? [[k.about, k.what.status.status]] : [])));
  }
}

export const outbox = new Outbox();
