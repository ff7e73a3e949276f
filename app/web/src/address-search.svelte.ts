import { api } from './api';
import type { Place } from './types';

const PAUSE_MS = 160;
const SHORTEST = 2;

/** What an address field offers for the text typed into it, asked of the server when the hands rest. */
export class AddressSearch {
  places = $state.raw<Place[]>([]);
  /** Whether the server could not be asked. */
  lost = $state(false);
  private answered = $state('');
  private asked = 0;
  private pause: ReturnType<typeof setTimeout> | undefined;

  ask(text: string): void {
    const q = text.trim();
    if (q.length < SHORTEST) return this.settle('');
    clearTimeout(this.pause);
    this.pause = setTimeout(async () => {
      const mine = ++this.asked;
      const found = await api.addresses(q).catch(() => null);
      if (mine !== this.asked) return;
      this.places = found ?? [];
      this.lost = found === null;
      this.answered = q;
    }, PAUSE_MS);
  }

  /** Takes this text for answered: no question is open any more. */
  settle(text: string): void {
    clearTimeout(this.pause);
    this.asked++;
    this.places = [];
    this.answered = text.trim();
  }

  /** Whether `places` answer the text as it stands. */
  isFresh(text: string): boolean {
    const q = text.trim();
    return q.length < SHORTEST || this.answered === q;
  }

  /** Whether this text was asked for and nothing is offered. */
  isEmpty(text: string): boolean {
    return this.answered !== '' && this.answered === text.trim() && !this.places.length;
  }
}
