import type { Position } from 'geojson';
import { desk } from './desk.svelte';
import { live } from './live.svelte';
import type { Closure, ClosureKind } from './types';
import { named, t, words } from './words.svelte';

/** What a closure is called and whether it counts: the same on the map, on the card and in the list. */

export const KINDS: readonly ClosureKind[] = ['closure', 'hazard', 'slow', 'flood'];
/** A line is drawn this wide for the eye alone; which roads it closes, the server says. */
const CIRCLE_CORNERS = 48;
const M_PER_DEGREE = 111_320;

/** Taken back, or its time has run out. */
export const isOver = (c: Closure, now_ms: number): boolean =>
  c.state === 'withdrawn' || c.state === 'expired' || (c.ends !== null && Date.parse(c.ends) <= now_ms);

export const isAhead = (c: Closure, now_ms: number): boolean => c.from !== null && Date.parse(c.from) > now_ms;

/** Whether crews are led around it; what was only reported warns. */
export const isBinding = (c: Closure): boolean => c.state === 'confirmed' || c.state === 'ordered';

/** Those that are not over, the binding ones first, the newest of each first. */
export function standing(now_ms: number): Closure[] {
  const rank = (c: Closure) => (isAhead(c, now_ms) ? 2 : isBinding(c) ? 0 : 1);
  return [...live.closures.values()]
    .filter((c) => !isOver(c, now_ms))
    .sort((a, b) => rank(a) - rank(b) || b.rev - a.rev);
}

export const kindWords = (kind: string): string => t(`closure-kind-${kind}`);

export const streetsOf = (c: Closure): string => c.streets.join(', ');

/** Why it is, or else where. */
export function closureTitle(c: Closure): string {
  return [kindWords(c.kind), c.reason || streetsOf(c)].filter(Boolean).join(': ');
}

export const classWords = (classes: readonly string[]): string =>
  classes.length ? classes.map((one) => t(`closure-class-${one}`)).join(', ') : t('closure-class-all');

export const capabilityWords = (codes: readonly string[]): string =>
  codes.map((code) => named(desk.capabilities.get(code), code).toLocaleLowerCase(words.lang)).join(', ');

/** 14:30, or with its day when that is not today. */
export function until(when: string): string {
  const at = new Date(when);
  const clock = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return at.toDateString() === new Date(live.now_ms).toDateString() ? clock : `${at.toLocaleDateString(words.lang, { day: 'numeric', month: 'short' })} ${clock}`;
}

/** A ring around a point, degrees, closed. */
export function circle(lon: number, lat: number, radius_m: number): Position[] {
  const k = Math.max(0.05, Math.cos((lat * Math.PI) / 180));
  return Array.from({ length: CIRCLE_CORNERS + 1 }, (_, i) => {
    const a = (i * 2 * Math.PI) / CIRCLE_CORNERS;
    return [lon + (Math.cos(a) * radius_m) / (M_PER_DEGREE * k), lat + (Math.sin(a) * radius_m) / M_PER_DEGREE];
  });
}

function flat(c: Pick<Closure, 'geometry'>): Position[] {
  const g = c.geometry;
  if (g.type === 'Point') return [g.coordinates];
  return g.type === 'LineString' ? g.coordinates : g.coordinates.flat(1);
}

/** Where its sign stands: on its point, on the middle of its line, amid its area. */
export function signAt(c: Pick<Closure, 'geometry'>): { lon: number; lat: number } {
  const points = flat(c);
  if (c.geometry.type === 'LineString') {
    const steps = points.slice(1).map((p, i) => Math.hypot(p[0]! - points[i]![0]!, p[1]! - points[i]![1]!));
    let left = steps.reduce((sum, step) => sum + step, 0) / 2;
    for (const [i, step] of steps.entries()) {
      if (left <= step && step > 0) {
        const share = left / step;
        const [a, b] = [points[i]!, points[i + 1]!];
        return { lon: a[0]! + (b[0]! - a[0]!) * share, lat: a[1]! + (b[1]! - a[1]!) * share };
      }
      left -= step;
    }
  }
  const lons = points.map((p) => p[0]!);
  const lats = points.map((p) => p[1]!);
  return { lon: (Math.min(...lons) + Math.max(...lons)) / 2, lat: (Math.min(...lats) + Math.max(...lats)) / 2 };
}

/** Opens the closures' panel, on this one or on the list. */
export function openClosure(id: string | null): void {
  desk.calling = false;
  desk.panel = 'closures';
  desk.closure = id;
  const closure = id ? live.closures.get(id) : undefined;
  if (closure) desk.show = signAt(closure);
}
