import { desk, unsettled } from './desk.svelte';
import { live } from './live.svelte';
import type { Incident, Unit } from './types';

/** What waits for somebody's hand, by the pack's limits: one reading for the queue, the board and the sound. */

export type Wait = 'unacknowledged' | 'contradiction' | 'nobody' | 'refused' | 'late';

const secondsTo = (at: string, from: string) => (Date.parse(at) - Date.parse(from)) / 1000;

/** Seconds from the report to the first crew on scene; null while nobody is there. */
export function reachedAfter(incident: Incident): number | null {
  const at = incident.times['unit_arrived'];
  return at ? secondsTo(at, incident.reported_at) : null;
}

/** Part of the target that has run: 1 when it is used up; null where the priority has none. */
export function partOfTarget(incident: Incident): number | null {
  const target_s = desk.priorities.get(incident.priority)?.target_s;
  return target_s ? (reachedAfter(incident) ?? live.seconds(incident.reported_at)) / target_s : null;
}

/** Whether it has waited longer to be taken over than its priority may. */
export function calledOut(incident: Incident): boolean {
  const limit_s = desk.priorities.get(incident.priority)?.acknowledge_s;
  return incident.state === 'open' && !incident.acknowledged_at && Boolean(limit_s) && live.seconds(incident.reported_at) > limit_s!;
}

/** Why somebody must look at an incident; null when nothing of it waits. `clash`: a unit of it contradicts itself. */
export function waitsFor(incident: Incident, clash: boolean): Wait | null {
  if (!incident.acknowledged_at) return 'unacknowledged';
  if (clash || unsettled(incident).length) return 'contradiction';
  const asked = incident.requests.some((r) => r.state === 'asked');
  if (!asked && Object.keys(incident.plan.missing).length && incident.requests.some((r) => r.state === 'refused' || r.state === 'no_answer')) return 'refused';
  if (!asked && !incident.assignments.length && reachedAfter(incident) === null) return 'nobody';
  return reachedAfter(incident) === null && (partOfTarget(incident) ?? 0) >= 1 ? 'late' : null;
}

/** Whether a crew has been in its status for longer than the pack lets it, or is not ready when it said it would be. */
export function overdue(unit: Unit): boolean {
  const limit_s = desk.statuses.get(unit.status)?.overdue_s;
  if (limit_s && live.seconds(unit.status_since) > limit_s) return true;
  return unit.ready_at !== null && live.seconds(unit.ready_at) > 0;
}

/** For how long nothing was heard of a crew whose position was known; null while that is no longer than the pack allows. */
export function silentFor(unit: Unit): number | null {
  const limit_s = desk.statuses.get(unit.status)?.silent_s;
  const fix_s = live.fixAge(unit);
  // What does not come here says nothing about a crew.
  if (!limit_s || fix_s === null || live.lost) return null;
  const heard_s = Math.min(fix_s, live.seconds(unit.status_since));
  return heard_s > limit_s ? heard_s : null;
}

/** Seconds until the crew's shift ends, negative afterwards; null where nobody said when. */
export const shiftLeft = (unit: Unit): number | null => (unit.shift_ends_at ? (Date.parse(unit.shift_ends_at) - live.now_ms) / 1000 : null);
const ENDS_SOON_S = 30 * 60;
export const endsSoon = (unit: Unit): boolean => (shiftLeft(unit) ?? Infinity) < ENDS_SOON_S && unit.status !== 'off_duty';

/** Flags that stand for something to be done; others only note what was. */
const CALLING = new Set(['emergency', 'lost_contact', 'request_refused']);
export const needsEyes = (unit: Unit): boolean =>
  overdue(unit) || silentFor(unit) !== null || unsettled(unit).length > 0 || unit.request?.state === 'no_answer' || unit.flags.some((f) => CALLING.has(f.flag));
