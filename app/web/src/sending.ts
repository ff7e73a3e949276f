import { api, faultWords, NoLink, Problem } from './api';
import { desk } from './desk.svelte';
import { live } from './live.svelte';
import type { Incident, Unit } from './types';
import { age, named, t, wall } from './words.svelte';

const TRIES = 5;

const numberOf = (id: string) => live.incidents.get(id)?.number ?? '?';
const statusOf = (code: string) => named(desk.statuses.get(code), code);
const personName = (label: string) => label.replace(/^[a-z_]+:/, '');

/** Whether the unit is on its way to another incident: the server then takes the order only with a reason. */
export function diverts(unit: Unit | undefined, incident: Incident): boolean {
  return Boolean(unit?.incident && unit.incident !== incident.id && desk.statuses.get(unit.status)?.sendable === 'divert');
}

/** Whether an order would change nothing: the unit is on this incident already, or asked for it. */
export function isHere(unit: Unit, incident: Incident): boolean {
  return unit.incident === incident.id || (unit.request?.state === 'asked' && unit.request.incident === incident.id);
}

/** What a dispatcher should know before sending this unit here; empty when nothing speaks against it. */
export function beforeSending(unit: Unit, incident: Incident): string[] {
  const status = statusOf(unit.status);
  if (unit.incident === incident.id) return [t('send-here-already', { unit: unit.id })];
  if (isHere(unit, incident)) return [t('send-asked-already', { unit: unit.id })];
  const said: string[] = [];
  const sendable = desk.statuses.get(unit.status)?.sendable;
  if (sendable === 'never') said.push(t('send-not-now', { unit: unit.id, status }));
  else if (unit.incident) {
    const number = unit.incident_number ?? numberOf(unit.incident);
    said.push(t(unit.command === 'requested' ? 'send-takes-off-asked' : 'send-takes-off', { unit: unit.id, status, number }));
  }
  if (unit.request?.state === 'asked') said.push(t('send-asked-elsewhere', { unit: unit.id, number: numberOf(unit.request.incident) }));
  if (unit.blocked_by) said.push(t('send-crew-with', { unit: unit.id, other: unit.blocked_by }));
  return said;
}

/**
 * Sends owned units and asks for the others in one act; the server takes all of them or none. A lost answer
 * is asked for again under the same key, and `retrying` told. Returns the words of what was done; throws
 * Problem or NoLink, which `whyNot` puts into words.
 */
export async function sendUnits(incident: string, units: string[], reason: string, retrying: () => void): Promise<string> {
  const key = crypto.randomUUID();
  for (let tries = 1; ; tries++) {
    try {
      const done = await api.send(incident, units, reason.trim() || undefined, key);
      live.take(done.incident);
      return [
        done.assigned.length ? t('send-done', { units: done.assigned.join(', ') }) : '',
        done.requested.length ? t('send-asked', { units: done.requested.join(', ') }) : '',
      ]
        .filter(Boolean)
        .join(' ');
    } catch (fault) {
      if (!(fault instanceof NoLink) || tries >= TRIES) throw fault;
      retrying();
      await new Promise((done) => setTimeout(done, 250 * 2 ** tries * (0.5 + Math.random())));
    }
  }
}

/** Why nothing was sent. The server speaks English here; what a dispatcher meets daily is said in the room's words. */
export function whyNot(fault: unknown): string {
  if (fault instanceof NoLink) return t('send-no-link');
  return (fault instanceof Problem ? refusal(fault.code, fault.extras) : null) ?? faultWords(fault);
}

/** The room's words for why a unit cannot be had, from the refusal's code and facts; null where there are none. */
export function refusal(code: string, about: Record<string, unknown>): string | null {
  const extra = (name: string) => String(about[name] ?? '?');
  const at = about['at'] ? extra('at') : null;
  const facts = {
    unit: extra('unit'),
    by: personName(extra('by')),
    number: extra('incident_number'),
    other: extra('with_unit'),
    at: at ? wall(at) : '?',
    ago: at ? age((live.serverNow() - Date.parse(at)) / 1000) : '?',
  };
  switch (code) {
    case 'unit-taken':
      return t('send-taken', facts);
    case 'divert-needs-reason':
      return t('send-refused-divert', facts);
    case 'unit-asked':
      return t('send-refused-asked', facts);
    case 'crew-out':
    case 'crew-asked':
      return t(`send-refused-${code}`, facts);
    case 'unit-not-available':
      return t('send-refused-status', { unit: facts.unit, status: statusOf(extra('unit_status')) });
    default:
      return null;
  }
}
