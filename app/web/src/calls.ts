import { at, call } from './api';
import { desk } from './desk.svelte';
import { live } from './live.svelte';
import type { Call, Closure, Incident, IncidentType, Question } from './types';

/** An incident that may be the one that is told of, with its reasons in words. */
export interface Similar {
  incident: string;
  number: string;
  type: string;
  priority: string;
  state: 'open' | 'closed';
  address: string | null;
  reported_at: string;
  distance_m: number;
  score_pct: number;
  probable: boolean;
  reasons: { code: string; words: string }[];
}

export interface Told {
  lon: number;
  lat: number;
  radius_m?: number | undefined;
  type?: string | undefined;
  phone?: string | undefined;
}

export interface PlaceNote {
  id: string;
  kind: 'danger' | 'access' | 'contact' | 'other';
  text: string | null;
  noted_at: string;
  noted_by: string;
  until: string | null;
}

/** What is known about a place before anybody calls from there. */
export interface Known {
  notes: PlaceNote[];
  earlier: { incident: string; number: string; type: string; priority: string; state: 'open' | 'closed'; reported_at: string; outcome: string | null; distance_m: number }[];
  complete: boolean;
  in_the_way: { closure: Closure; distance_m: number }[];
  near: { layer: string; title: string; name: string | null; distance_m: number }[];
}

export type LinkKind = 'duplicate' | 'related';

const taken = async (row: Promise<Call>): Promise<Call> => {
  const now = await row;
  live.takeCalls([now]);
  return now;
};

export const calls = {
  answer: (id: string) => taken(call<Call>('POST', `/calls/${at(id)}/answer`, {})),
  about: (id: string, incident: string) => taken(call<Call>('POST', `/calls/${at(id)}/incidents`, { incident })),
  back: (id: string, reached: boolean, key: string) => taken(call<Call>('POST', `/calls/${at(id)}/back`, { reached }, key)),
  close: (id: string, why: string, note: string) => taken(call<Call>('POST', `/calls/${at(id)}/close`, { why, ...(note ? { note } : {}) })),
  similar: (told: Told) => {
    const asked = Object.entries(told).filter(([, value]) => value !== undefined && value !== '');
    return call<Similar[]>('GET', `/incidents/similar?${new URLSearchParams(asked.map(([name, value]) => [name, String(value)]))}`);
  },
  known: (lon: number, lat: number) => call<Known>('GET', `/premises?lon=${lon}&lat=${lat}&limit=5`),
  noteAbout: (note: { id: string; kind: string; text: string; location: { lon: number; lat: number }; address?: string }) =>
    call<PlaceNote>('POST', '/premises/notes', note, note.id),
  dropNote: (id: string) => call<PlaceNote>('DELETE', `/premises/notes/${at(id)}`),
  link: (incident: string, other: string, kind: LinkKind, key: string) =>
    call<Incident>('POST', `/incidents/${at(incident)}/links`, { other, kind }, key),
};

export const WHYS = ['no_emergency', 'passed_on', 'wrong_number', 'silent', 'prank', 'test', 'not_reached'] as const;

/** What a telephone dials; null for what is no number. */
export function dialled(number: string | null | undefined): string | null {
  const plain = (number ?? '').replace(/[^\d+]/g, '').replace(/(?!^)\+/g, '');
  return plain.replace('+', '').length >= 3 ? `tel:${plain}` : null;
}

/** Whether the call is the signed-in person's own. */
export const isMine = (row: Call): boolean => row.answered_by !== null && row.answered_by === desk.user?.name;

export function questionsOf(type: IncidentType | undefined): Question[] {
  const all = new Map((desk.catalogue?.questions ?? []).map((one) => [one.code, one]));
  return (type?.protocol ?? []).flatMap((code) => all.get(code) ?? []);
}

/**
 * The priority that follows from the answers, and from which questions: the most urgent one at once; below the type's
 * own only when no question that is still open could raise it. The server reckons the same.
 */
export function triage(type: IncidentType | undefined, answers: Record<string, string>): { priority: string | null; because: Question[] } {
  const none = { priority: null, because: [] };
  const asked = questionsOf(type);
  const said = asked.flatMap((one) => {
    const priority = one.answers[answers[one.code] ?? '']?.priority;
    return priority ? [{ one, priority }] : [];
  });
  const urgent = said.map(({ priority }) => priority).sort()[0];
  if (!type || !urgent) return none;
  const can_raise = asked.some(
    (one) => !one.answers[answers[one.code] ?? ''] && Object.values(one.answers).some(({ priority }) => priority && priority < urgent),
  );
  if (urgent > type.priority && can_raise) return none;
  return { priority: urgent, because: said.filter(({ priority }) => priority === urgent).map(({ one }) => one) };
}
