/** Views of the map that a person keeps, and links that open one at another desk. */

export interface MapView {
  lon: number;
  lat: number;
  zoom: number;
  layers: string[];
  /** By whose being there coverage is shown; null where it is not. */
  coverage: string | null;
}

export interface SavedView extends MapView {
  name: string;
}

/** What a link may point at beside the view. */
export interface Linked {
  incident: string | null;
  unit: string | null;
}

export const VIEWS_MAX = 50;
export const NAME_MAX = 40;
const CODE = /^[\w.-]{1,64}$/;

const isView = (v: Partial<SavedView> | null): v is SavedView =>
  typeof v?.name === 'string' && [v.lon, v.lat, v.zoom].every(Number.isFinite) && Array.isArray(v.layers) && v.layers.every((l) => typeof l === 'string');

const keyOf = (user: string): string => `straja.views.${user}`;

/** Those that this person keeps in this browser, in the order in which the keys open them. */
export function keptViews(user: string): SavedView[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(keyOf(user)) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isView).map((v) => ({ ...v, coverage: typeof v.coverage === 'string' ? v.coverage : null })) : [];
  } catch {
    return [];
  }
}

export const keepViews = (user: string, views: readonly SavedView[]): void => localStorage.setItem(keyOf(user), JSON.stringify(views));

/** The part of an address behind `#` that opens this view. It names no person and no place in words. */
export function linkOf(view: MapView, { incident, unit }: Linked): string {
  const parts = [`map=${view.zoom.toFixed(2)}/${view.lat.toFixed(5)}/${view.lon.toFixed(5)}`, `layers=${view.layers.map(encodeURIComponent).join()}`];
  if (view.coverage) parts.push(`coverage=${encodeURIComponent(view.coverage)}`);
  if (incident) parts.push(`incident=${encodeURIComponent(incident)}`);
  if (unit) parts.push(`unit=${encodeURIComponent(unit)}`);
  return `#${parts.join('&')}`;
}

/** What such a part says; null where it is none of ours. What makes no sense in it is left out. */
export function readLink(hash: string): (Partial<MapView> & Linked) | null {
  const found = new URLSearchParams(hash.replace(/^#/, ''));
  const place = found.get('map')?.split('/').map(Number) ?? [];
  const [zoom, lat, lon] = place;
  const here = place.length === 3 && place.every(Number.isFinite) && Math.abs(lat!) <= 85 && Math.abs(lon!) <= 180;
  const named = (name: string): string | null => (CODE.test(found.get(name) ?? '') ? found.get(name) : null);
  const layers = found.get('layers');
  const link = {
    ...(here ? { zoom: Math.min(20, Math.max(8, zoom!)), lat: lat!, lon: lon! } : {}),
    ...(layers !== null ? { layers: layers.split(',').filter((name) => CODE.test(name)) } : {}),
    ...(found.has('map') ? { coverage: named('coverage') } : {}),
    incident: named('incident'),
    unit: named('unit'),
  };
  return here || link.incident || link.unit ? link : null;
}
