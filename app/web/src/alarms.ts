import { at, call } from './api';
import { live } from './live.svelte';
import type { Alarm, AlarmState } from './types';
import { has, t } from './words.svelte';

/** How the alarms themselves do, of the last 24 h. */
export interface AlarmFigures {
  total: number;
  per_hour: number[];
  last_10_min: number;
  peak_10_min: number;
  flood_since: string | null;
  standing: string[];
  chattering: string[];
  bad_actors: { id: string; kind: string; title: string | null; detail: string | null; count: number; share_pct: number }[];
  shelved: number;
  out_of_service: number;
}

const FLOOD_WITHIN_MS = 600_000;
const FLOOD_MORE_THAN = 10;
const FLOOD_OVER_BELOW = 5;
const PRIORITY = { high: 0, medium: 1, low: 2 };
const STATE = { unacknowledged: 0, returned: 1, acknowledged: 2, shelved: 3, out_of_service: 4, normal: 5 };

/** What an alarm is by now: time alone may have changed it since the server said so. */
export function stateOf(alarm: Alarm): AlarmState {
  return alarm.phases.findLast((phase) => Date.parse(phase.at) <= live.now_ms)?.state ?? alarm.state;
}

export const chatters = (alarm: Alarm): boolean => Date.parse(alarm.chattering_until ?? '') > live.now_ms;

export interface Seen {
  alarm: Alarm;
  state: AlarmState;
}

/** All that are to be seen, the most urgent first. */
export function present(): Seen[] {
  return [...live.alarms.values()]
    .map((alarm) => ({ alarm, state: stateOf(alarm) }))
    .filter((one) => one.state !== 'normal')
    .sort(
      (a, b) =>
        STATE[a.state] - STATE[b.state] ||
        PRIORITY[a.alarm.priority] - PRIORITY[b.alarm.priority] ||
        (b.alarm.raised_at ?? '').localeCompare(a.alarm.raised_at ?? ''),
    );
}

/** How many were announced within the last ten minutes. */
export function lately(): number {
  const from_ms = live.now_ms - FLOOD_WITHIN_MS;
  let n = 0;
  for (const alarm of live.alarms.values())
    for (const us of alarm.announced_at) if (Date.parse(us) > from_ms && Date.parse(us) <= live.now_ms) n++;
  return n;
}

/** Whether more come than a person can take in; it goes on until fewer than five do. */
export const floods = (n: number, was: boolean): boolean => (was ? n >= FLOOD_OVER_BELOW : n > FLOOD_MORE_THAN);

interface Named {
  kind: string;
  title: string | null;
  detail: string | null;
}

export const titleOf = (one: Named): string => (one.title ? one.title : has(`alarm-${one.kind}`) ? t(`alarm-${one.kind}`, { detail: one.detail ?? '' }) : one.kind);
export const meansOf = (alarm: Alarm): string => alarm.means ?? (has(`alarm-${alarm.kind}-means`) ? t(`alarm-${alarm.kind}-means`) : '');
export const todoOf = (alarm: Alarm): string => alarm.todo ?? (has(`alarm-${alarm.kind}-do`) ? t(`alarm-${alarm.kind}-do`) : '');
export const groupOf = (group: string): string => (has(`alarm-group-${group}`) ? t(`alarm-group-${group}`) : group);

const taken = async (row: Promise<Alarm>): Promise<void> => live.takeAlarm(await row);
const path = (alarm: Alarm, more: string) => `/alarms/${at(alarm.id)}/${more}`;

export const alarms = {
  acknowledge: (alarm: Alarm) => taken(call<Alarm>('POST', path(alarm, 'acknowledge'), {})),
  shelve: (alarm: Alarm, minutes: number) => taken(call<Alarm>('PUT', path(alarm, 'shelf'), { minutes })),
  unshelve: (alarm: Alarm) => taken(call<Alarm>('DELETE', path(alarm, 'shelf'))),
  takeOut: (alarm: Alarm, reason: string) => taken(call<Alarm>('PUT', path(alarm, 'out-of-service'), { reason })),
  putBack: (alarm: Alarm) => taken(call<Alarm>('DELETE', path(alarm, 'out-of-service'))),
  figures: () => call<AlarmFigures>('GET', '/alarms/figures'),
};
