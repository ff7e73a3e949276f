import type { FeatureCollection } from 'geojson';
import { has, t, words } from './words.svelte';
import type {
  Catalogue,
  City,
  Closure,
  CoverageAnswer,
  Density,
  Incident,
  LayerImport,
  NewClosure,
  NewIncident,
  Place,
  Proposal,
  Recommendation,
  ReferenceFeatures,
  Session,
  TimelineEntry,
  TrailFix,
  Unit,
  WaysAnswer,
  WhatIf,
} from './types';

export interface FieldError {
  field: string;
  message: string;
}

/** A refusal by the server, in the shape of RFC 9457. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: FieldError[];
  readonly extras: Record<string, unknown>;

  constructor(status: number, body: Record<string, unknown>) {
    super(String(body['detail'] ?? body['title'] ?? status));
    this.status = status;
    this.code = String(body['code'] ?? status);
    this.errors = Array.isArray(body['errors']) ? (body['errors'] as FieldError[]) : [];
    this.extras = body;
  }
}

/** The request may or may not have reached the server: nothing is known of its outcome. */
export class NoLink extends Error {
  /** The code with which a server said that it cannot answer now; null where nobody said anything. */
  code: string | null = null;
}

/** What went wrong, in the room's words; where the catalogue has none for it, as the server said it. An error
 * of the server's own ends with the number under which its log has it, for whoever reports it. */
export function faultWords(fault: unknown): string {
  const words = plainWords(fault);
  const number = fault instanceof Problem && fault.status >= 500 ? fault.extras['request_id'] : undefined;
  return typeof number === 'string' ? `${words} ${t('problem-number', { number })}` : words;
}

function plainWords(fault: unknown): string {
  if (fault instanceof NoLink) return t('write-no-link');
  if (fault instanceof Problem && has(`problem-${fault.code}`)) {
    const facts = Object.entries(fault.extras).filter(([, value]) => typeof value === 'string' || typeof value === 'number');
    return t(`problem-${fault.code}`, Object.fromEntries(facts) as Record<string, string | number>);
  }
  return fault instanceof Error ? fault.message : String(fault);
}

export interface Sent {
  incident: Incident;
  assigned: string[];
  requested: string[];
}

export type IncidentChange = Partial<Pick<NewIncident, 'type' | 'priority' | 'location' | 'address' | 'description'>>;

export interface StatusChange {
  status: string;
  reason?: string;
  hospital?: string;
  ready_at?: string;
  force?: true;
  observed_at?: string;
}

const ANSWER_WITHIN_MS = 15_000;
let csrf = '';
let onSignedOut: () => void = () => {};

/** Called when the server no longer knows this session. */
export function whenSignedOut(run: () => void): void {
  onSignedOut = run;
}

let onWritten: (answer: unknown) => void = () => {};

/** Called with the answer to every write; gives back what ends that. */
export function whenWritten(run: (answer: unknown) => void): () => void {
  onWritten = run;
  return () => (onWritten = () => {});
}

/** One call of the API. Throws Problem where it is refused and NoLink where nobody answers. */
export async function call<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': words.lang };
  if (method !== 'GET') {
    headers['X-CSRF-Token'] = csrf;
    headers['Idempotency-Key'] = key ?? crypto.randomUUID();
  }
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  let text: string;
  try {
    response = await fetch('/api/v1' + path, {
      method,
      headers,
      credentials: 'same-origin',
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    text = await response.text();
  } catch (cause) {
    throw new NoLink('no answer', { cause });
  }
  let parsed: unknown = undefined;
  if (text) {
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = { detail: text.slice(0, 200) };
    }
  }
  if (response.status >= 502 && response.status <= 504) {
    const fault = new NoLink(`gateway ${response.status}`);
    fault.code = String((parsed as { code?: string } | undefined)?.code ?? '') || null;
    throw fault;
  }
  if (!response.ok) {
    const problem = new Problem(response.status, (parsed ?? {}) as Record<string, unknown>);
    if (response.status === 401 && !path.startsWith('/session')) onSignedOut();
    throw problem;
  }
  if (method !== 'GET') onWritten(parsed);
  return parsed as T;
}

function keep(session: Session): Session {
  csrf = session.csrf;
  return session;
}

export const at = encodeURIComponent;

export const api = {
  session: async () => keep(await call<Session>('GET', '/session')),
  signIn: async (name: string, password: string) =>
    keep(await call<Session>('POST', '/session', { name, password })),
  signOut: () => call<void>('DELETE', '/session'),
  catalogue: () => call<Catalogue>('GET', '/catalogue'),
  city: () => call<City>('GET', '/city'),
  layers: () => call<LayerImport[]>('GET', '/layers'),
  /** What a reference layer holds in a box of west, south, east, north degrees; at most `limit`. */
  features: (layer: string, box: readonly number[], limit: number) =>
    call<ReferenceFeatures>('GET', `/layers/${at(layer)}?bbox=${box.map((x) => x.toFixed(6)).join()}&limit=${limit}`),
  density: (layer: string) => call<Density>('GET', `/layers/${at(layer)}/density`),
  /** What of a layer lies nearest to a point, within ten kilometres; each with its `distance_m`. */
  nearest: (layer: string, lon: number, lat: number, limit: number) =>
    call<ReferenceFeatures>('GET', `/layers/${at(layer)}/nearest?lon=${lon.toFixed(6)}&lat=${lat.toFixed(6)}&limit=${limit}`),

  addresses: (q: string) => call<Place[]>('GET', `/addresses?q=${at(q)}&limit=8`),
  reverse: (lon: number, lat: number) =>
    call<Place>('GET', `/addresses/reverse?lon=${lon.toFixed(6)}&lat=${lat.toFixed(6)}`),

  /** Incidents, open and closed, one of whose numbers contains the text; the newest twelve. */
  find: (q: string) => call<Incident[]>('GET', `/incidents?state=all&limit=12&q=${at(q)}`),
  incident: (id: string) => call<Incident>('GET', `/incidents/${at(id)}`),
  report: (incident: NewIncident) => call<Incident>('POST', '/incidents', incident, incident.id),
  change: (id: string, change: IncidentChange) => call<Incident>('PATCH', `/incidents/${at(id)}`, change),
  acknowledge: (id: string) => call<Incident>('POST', `/incidents/${at(id)}/acknowledge`, {}),
  note: (id: string, text: string, key: string) =>
    call<Incident>('POST', `/incidents/${at(id)}/notes`, { text }, key),
  close: (id: string, outcome: string) => call<Incident>('POST', `/incidents/${at(id)}/close`, { outcome }),
  reopen: (id: string, reason: string) => call<Incident>('POST', `/incidents/${at(id)}/reopen`, { reason }),
  linkCase: (id: string, agency: string, number: string) =>
    call<Incident>('POST', `/incidents/${at(id)}/case-numbers`, { agency, number }),
  settle: (id: string, conflict: string, resolution: string, key: string) =>
    call<Incident>('POST', `/incidents/${at(id)}/resolve`, { conflict, resolution }, key),
  alarmLevel: (id: string, level: number) =>
    call<Incident>('POST', `/incidents/${at(id)}/alarm-level`, { level }),
  recommendation: (id: string) => call<Recommendation>('GET', `/incidents/${at(id)}/recommendation`),
  /** What sending just these units would mean; nothing is sent. */
  whatIf: (id: string, units: readonly string[]) => call<WhatIf>('POST', `/incidents/${at(id)}/what-if`, { units }),
  /** By which streets the crews on their way drive there, and how these units would. */
  ways: (id: string, units: readonly string[]) =>
    call<WaysAnswer>('GET', `/incidents/${at(id)}/ways${units.length ? `?units=${at(units.join())}` : ''}`),
  timeline: (id: string) => call<TimelineEntry[]>('GET', `/incidents/${at(id)}/timeline`),
  send: (id: string, units: string[], override_reason: string | undefined, key: string) =>
    call<Sent>('POST', `/incidents/${at(id)}/assignments`, { units, override_reason }, key),
  recall: (id: string, unit: string, reason: string) =>
    call<Incident>('DELETE', `/incidents/${at(id)}/assignments/${at(unit)}?reason=${at(reason)}`),
  answer: (id: string, unit: string, answer: 'accepted' | 'refused', name: string, reason: string) =>
    call<Incident>('POST', `/incidents/${at(id)}/requests/${at(unit)}/answer`, {
      answer,
      name,
      via: 'phone',
      ...(reason ? { reason } : {}),
    }),

  draw: (closure: NewClosure) => call<Closure>('POST', '/closures', closure, closure.id),
  redraw: (id: string, change: Partial<NewClosure>) => call<Closure>('PATCH', `/closures/${at(id)}`, change),
  decideClosure: (id: string, step: 'confirm' | 'order' | 'withdraw', why: Record<string, string>) =>
    call<Closure>('POST', `/closures/${at(id)}/${step}`, why),

  coverage: (capability: string, without: readonly string[]) =>
    call<CoverageAnswer>('GET', `/coverage?capability=${at(capability)}${without.length ? `&without=${at(without.join())}` : ''}`),
  isochrones: (from: { unit: string } | { station: string }, minutes: readonly number[]) =>
    call<FeatureCollection>('GET', `/isochrones?${new URLSearchParams({ ...from, minutes: minutes.join() })}`),

  accept: (proposal: string) => call<Proposal>('POST', `/proposals/${at(proposal)}/accept`, {}),
  decline: (proposal: string, reason: string) => call<Proposal>('POST', `/proposals/${at(proposal)}/decline`, reason ? { reason } : {}),

  /** Where a unit has been since then, oldest first, at most `limit`. */
  trail: (unit: string, since: string, limit: number) => call<TrailFix[]>('GET', `/units/${at(unit)}/trail?since=${at(since)}&limit=${limit}`),
  status: (unit: string, change: StatusChange, key: string) =>
    call<Unit>('POST', `/units/${at(unit)}/status`, change, key),
  settleUnit: (unit: string, conflict: string, resolution: string, key: string) =>
    call<Unit>('POST', `/units/${at(unit)}/resolve`, { conflict, resolution }, key),
  flag: (unit: string, flag: string, on: boolean) =>
    call<Unit>('POST', `/units/${at(unit)}/flags`, { flag, on }),
};
