import { api, at, call } from './api';
import { live } from './live.svelte';
import type { Incident } from './types';

export interface Colleague {
  name: string;
  display_name: string;
  role: string;
}

export interface Person {
  name?: string | undefined;
  role?: string | undefined;
  number?: string | undefined;
}

/** Somebody on a duty list, on duty now unless `on_duty` says otherwise. */
export interface OnDuty {
  id: string;
  list: string;
  partner: string | null;
  name: string;
  role: string;
  numbers: string[];
  note: string;
  on_duty: boolean;
}

export type NoticeState = 'answered' | 'waiting' | 'no_answer';

const of = (id: string, rest: string) => `/incidents/${at(id)}${rest}`;

export const care = {
  colleagues: () => call<Colleague[]>('GET', '/colleagues'),
  own: (id: string, owner: string | null, was: string | null) => call<Incident>('PUT', of(id, '/owner'), { owner, was }),
  check: (id: string, check: string, state: string) => call<Incident>('PUT', of(id, `/checks/${at(check)}`), { state }),
  crews: (id: string, units: string[], result: 'well' | 'no_answer') => call<Incident>('POST', of(id, '/crew-checks'), { units, result }),
  tell: (id: string, notice: { id: string; person: Person; partner: string | null; via: string; state: NoticeState; note: string }) =>
    call<Incident>('POST', of(id, '/notices'), notice, notice.id),
  follow: (id: string, notice: string, state: NoticeState, note: string, key: string) =>
    call<Incident>('POST', of(id, `/notices/${at(notice)}`), { state, note }, key),
  link: (id: string, other: string, kind: string) => call<Incident>('POST', of(id, '/links'), { other, kind }),
  unlink: (id: string, other: string) => call<Incident>('DELETE', of(id, `/links/${at(other)}`)),
  set: (id: string, change: { staging: boolean } | { talkgroup: string | null }) => call<Incident>('PATCH', of(id, ''), change),
  onDuty: () => call<OnDuty[]>('GET', '/duty'),
};

/** Shows another incident's card; one that is closed for long is asked for first. */
export async function openIncident(id: string): Promise<void> {
  if (!live.incidents.has(id)) live.take(await api.incident(id));
  live.selected = id;
}

/** Who is called so is on the screen; a number that is none is written, not dialled. */
export function dials(number: string | null | undefined): string | null {
  const plain = (number ?? '').replace(/[^\d+]/g, '').replace(/(?!^)\+/g, '');
  return plain.replace('+', '').length >= 3 ? `tel:${plain}` : null;
}
