import { call, NoLink } from './api';
import { desk } from './desk.svelte';
import { live } from './live.svelte';
import type { Incident, Unit } from './types';

/** A line for the server to read: what it means, and then to do. Positions count as JavaScript does. */

export interface LineFault {
  code: string;
  start: number;
  end: number;
  words: string;
  meant: string[];
}

export interface Completion {
  start: number;
  end: number;
  text: string;
  kind: string;
  about: string;
  words: string;
}

export interface Look {
  what: 'incident' | 'unit' | 'place' | 'why' | 'closures' | 'help';
  incident: string | null;
  unit: string | null;
  lon: number | null;
  lat: number | null;
  label: string | null;
}

export interface Meaning {
  text: string;
  state: 'empty' | 'missing' | 'wrong' | 'refused' | 'ready';
  meaning: string | null;
  echo: { words: string } | null;
  notices: { words: string }[];
  faults: LineFault[];
  refusal: Record<string, unknown> | null;
  completions: Completion[];
  look: Look | null;
}

export interface Done {
  echo: string;
  refused: Record<string, unknown>[];
  incidents: Incident[];
  units: Unit[];
  look: Look | null;
  lines: string[];
}

const TRIES = 5;

/** What is chosen on the screen, for lines that name nothing themselves. */
export const chosen = () => ({
  incident: live.selected && live.incidents.has(live.selected) ? live.selected : null,
  unit: desk.unit && live.units.has(desk.unit) ? desk.unit : null,
});

export const readLine = (text: string, about: { incident: string | null; unit: string | null }) =>
  call<Meaning>('POST', '/commands/parse', { text, ...about });

/**
 * Does what `meaning` echoed and nothing else; a lost answer is asked for again under the same id, and `retrying`
 * told. Throws Problem or NoLink.
 */
export async function doLine(text: string, about: { incident: string | null; unit: string | null }, meaning: string, retrying: () => void): Promise<Done> {
  const line = { id: crypto.randomUUID(), text, ...about, meaning, said_at: new Date(live.serverNow()).toISOString() };
  for (let tries = 1; ; tries++) {
    try {
      const done = await call<Done>('POST', '/commands', line);
      for (const row of done.incidents) live.take(row);
      for (const row of done.units) live.takeUnit(row);
      return done;
    } catch (fault) {
      if (!(fault instanceof NoLink) || tries >= TRIES) throw fault;
      retrying();
      await new Promise((done) => setTimeout(done, 250 * 2 ** tries * (0.5 + Math.random())));
    }
  }
}

/** The line that sends a unit to an incident: what dragging and clicking write. */
export const sendingLine = (unit: string, incident: Incident) => `D ${incident.number} ${unit}`;
