import { call } from './api';

/** What the pages of the shift ask the server for; shapes as in the API's description. */
export interface Wait {
  kind: 'unacknowledged' | 'units_missing' | 'request_asked' | 'request_no_answer';
  incident: string;
  number: string;
  priority: string;
  unit: string | null;
  since: string;
  waiting_s: number;
}

export interface Spread {
  n: number;
  p50_s: number | null;
  p90_s: number | null;
  max_s: number | null;
  within_pct: number | null;
}

export interface Figures {
  at: string;
  since: string;
  hours: number;
  open: number;
  priorities: { priority: string; target_s: number | null; incidents: number; answer: Spread; response: Spread; not_reached: number; late: number }[];
  waits: Wait[];
  coverage: { capability: string; target_s: number; covered_pct: number | null }[];
  people: { person: string; role: string; open: number; calls: number; acknowledged: number; sent: number; statuses: number; notes: number; closed: number; other: number; total: number; last_at: string }[] | null;
}

export interface HandOver {
  id: string;
  state: 'written' | 'taken';
  written_at: string;
  written_by: string;
  notes: string | null;
  incidents: { id: string; number: string }[];
  units: string[];
  closures: string[];
  requests: { incident: string; number: string; unit: string }[];
  taken_at: string | null;
  taken_by: string | null;
  remark: string | null;
}

export interface Planned {
  id: string;
  kind: 'works' | 'event' | 'outage' | 'exercise';
  state: 'ahead' | 'now' | 'over' | 'withdrawn';
  title: string;
  where: string | null;
  from: string;
  until: string;
  details: string | null;
  entered_by: string;
  withdrawn_by: string | null;
  reason: string | null;
}

export interface Brief {
  at: string;
  incidents: {
    id: string;
    number: string;
    type: string;
    priority: string;
    address: string | null;
    reported_at: string;
    acknowledged_at: string | null;
    owner: string;
    units: string[];
    missing: Record<string, number>;
    last_note: string | null;
  }[];
  waits: Wait[];
  units: { unit: string; status: string; since: string; incident: string | null; reason: string | null }[];
  closures: string[];
  planned: Planned[];
  handovers: HandOver[];
}

export interface PaperEntry {
  id: string;
  report?: { type: string; at: string; address?: string; location?: { lon: number; lat: number }; description?: string; caller?: { phone: string } };
  incident?: string;
  sendings: Record<string, string>[];
  notes: { at: string; text: string }[];
  closed?: { at: string; outcome: string };
}

const at = encodeURIComponent;

export const shift = {
  brief: () => call<Brief>('GET', '/handover'),
  handOver: (id: string, notes: string) => call<HandOver>('POST', '/handovers', { id, notes }, id),
  take: (id: string, remark: string) => call<HandOver>('POST', `/handovers/${at(id)}/take`, { remark }),
  figures: (hours: number) => call<Figures>('GET', `/performance?hours=${hours}`),
  planned: () => call<Planned[]>('GET', '/planned'),
  plan: (entry: Record<string, string>) => call<Planned>('POST', '/planned', entry, entry['id']),
  withdraw: (id: string, reason: string) => call<Planned>('POST', `/planned/${at(id)}/withdraw`, { reason }),
  enter: (entry: PaperEntry) => call<{ id: string; number: string }>('POST', '/catch-up', entry, entry.id),
};

/** The instant of a local date and time as an input of the browser gives it; null when it is none. */
export function instant(local: string): string | null {
  const ms = Date.parse(local);
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** An instant as such an input takes it, to the minute, local time. */
export function localInput(ms: number): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`;
}

/**
 * The instant of an hour written on paper ("14:05", "1405", "14.05") that is the last such moment before `now`
 * and not before `from`; null when it is no hour.
 */
export function paperTime(text: string, now_ms: number, from_ms: number | null): number | null {
  const found = /^\s*(\d{1,2})[:.\s]?(\d{2})\s*$/.exec(text);
  if (!found) return null;
  const [hours, minutes] = [Number(found[1]), Number(found[2])];
  if (hours > 23 || minutes > 59) return null;
  const day = new Date(from_ms ?? now_ms);
  day.setHours(hours, minutes, 0, 0);
  // Past midnight the hand writes a smaller hour; the first line is of the last day on which it was that late.
  if (from_ms !== null && day.getTime() < from_ms) day.setDate(day.getDate() + 1);
  if (from_ms === null && day.getTime() > now_ms) day.setDate(day.getDate() - 1);
  return day.getTime();
}
