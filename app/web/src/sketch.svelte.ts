import { Marker, type GeoJSONSource, type Map as MapLibre } from 'maplibre-gl';
import type { Position } from 'geojson';
import { SvelteMap } from 'svelte/reactivity';
import { circle } from './closures';
import { t } from './words.svelte';
import type { Closure, ClosureKind, ClosureState } from './types';

/** What is being drawn, kept until it is sent or thrown away; and how it stands on the map, to be moved corner by corner. */

export type Tool = 'Point' | 'LineString' | 'Polygon';

export interface Draft {
  id: string;
  /** The closure that is being changed, and its state when that began; null while a new one is drawn. */
  changes: string | null;
  rev: number | null;
  kind: ClosureKind;
  tool: Tool;
  points: Position[];
  radius_m: number;
  /** Of a line: only the direction in which it is drawn. */
  along: boolean;
  classes: string[];
  from: string;
  until: string;
  state: ClosureState;
  unit: string;
  authority: string;
  ordered_by: string;
  agreed_by: string;
  speed_pct: number;
  entry: string[];
  staging: { lon: number; lat: number } | null;
  reason: string;
}

/** A time as a field of date and time takes it: local, to the minute. */
export function localTime(ms: number): string {
  const at = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 16);
}

function freshDraft(): Draft {
  return {
    id: crypto.randomUUID(), changes: null, rev: null, kind: 'closure', tool: 'Point', points: [], radius_m: 60, along: false, classes: [], from: '', until: '',
    state: 'reported', unit: '', authority: 'police', ordered_by: '', agreed_by: '', speed_pct: 50, entry: [], staging: null, reason: '',
  };
}

function draftOf(c: Closure): Draft {
  const g = c.geometry;
  const time = (when: string | null) => (when ? localTime(Date.parse(when)) : '');
  return {
    ...freshDraft(),
    id: c.id, changes: c.id, rev: c.rev, kind: c.kind, state: c.state, classes: [...c.classes], from: time(c.from), until: time(c.until),
    speed_pct: c.speed_pct ?? 50, entry: [...c.entry_capabilities], staging: c.staging, reason: c.reason ?? '',
    radius_m: g.type === 'Point' ? g.radius_m : 60, along: g.type === 'LineString' && g.direction === 'along',
    tool: g.type,
    points: g.type === 'Point' ? [g.coordinates] : g.type === 'LineString' ? g.coordinates : (g.coordinates[0] ?? []).slice(0, -1),
  };
}

class Sketch {
  /** What the form shows; null while there is none. */
  draft = $state<Draft | null>(null);
  private readonly hidden = new SvelteMap<string | null, Draft>();

  /** Whether a new one was begun and put aside. */
  get has_new(): boolean {
    return this.hidden.has(null);
  }

  /** Goes on with what was put aside, of this closure or of a new one, else begins. */
  open(closure: Closure | null): void {
    const kept = this.hidden.get(closure?.id ?? null);
    // What was begun on an older state would take back what others have changed since.
    if (kept && kept.rev === (closure?.rev ?? null)) this.draft = kept;
    else this.draft = closure ? draftOf(closure) : freshDraft();
  }

  hide(): void {
    const draft = $state.snapshot(this.draft) as Draft | null;
    this.drop();
    if (draft && (draft.changes || draft.points.length || draft.staging || draft.reason.trim())) this.hidden.set(draft.changes, draft);
  }

  /** It was sent, or is not wanted any more. */
  drop(): void {
    if (this.draft) this.hidden.delete(this.draft.changes);
    this.draft = null;
  }
}
export const sketch = new Sketch();

const SOURCE = 'sketch';
const NUDGE_PX = 4;
const ARROWS: Record<string, [number, number]> = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/** The draft on the map. `moved` hears of a corner (its place among them), or of the staging point (-1). */
export class SketchOnMap {
  private corners: Marker[] = [];
  private staging: Marker | null = null;

  constructor(
    private readonly map: MapLibre,
    private readonly moved: (corner: number, lon: number, lat: number) => void,
  ) {
    map.addSource(SOURCE, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } });
    map.addLayer({ id: 'sketch-fill', type: 'fill', source: SOURCE, filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': '#ffd84d', 'fill-opacity': 0.18 } });
    map.addLayer({ id: 'sketch-casing', type: 'line', source: SOURCE, paint: { 'line-color': '#0b0e12', 'line-width': 5 } });
    map.addLayer({ id: 'sketch-line', type: 'line', source: SOURCE, paint: { 'line-color': '#ffd84d', 'line-width': 2.5 } });
    map.doubleClickZoom.disable();
  }

  show(draft: Draft): void {
    const { tool, points } = draft;
    const shape =
      tool === 'Point'
        ? points[0] && { type: 'Polygon' as const, coordinates: [circle(points[0][0]!, points[0][1]!, Math.max(1, draft.radius_m || 1))] }
        : tool === 'Polygon' && points.length > 2
          ? { type: 'Polygon' as const, coordinates: [[...points, points[0]!]] }
          : points.length > 1 && { type: 'LineString' as const, coordinates: points };
    void this.map.getSource<GeoJSONSource>(SOURCE)?.setData({
      type: 'FeatureCollection',
      features: shape ? [{ type: 'Feature', properties: {}, geometry: shape }] : [],
    });
    while (this.corners.length > points.length) this.corners.pop()!.remove();
    points.forEach((at, i) => {
      this.corners[i] ??= this.marker('sketch-corner', t('closure-corner', { n: i + 1 }), i, at);
      this.corners[i]!.setLngLat([at[0]!, at[1]!]);
    });
    if (!draft.staging) {
      this.staging?.remove();
      this.staging = null;
    } else {
      this.staging ??= this.marker('sketch-staging', t('closure-staging'), -1, [draft.staging.lon, draft.staging.lat]);
      this.staging.setLngLat([draft.staging.lon, draft.staging.lat]);
    }
  }

  private marker(kind: string, words: string, corner: number, at: Position): Marker {
    const element = document.createElement('button');
    element.type = 'button';
    element.className = kind;
    element.dataset['testid'] = kind;
    element.textContent = corner < 0 ? 'P' : String(corner + 1);
    element.setAttribute('aria-label', words);
    const marker = new Marker({ element, draggable: true }).setLngLat([at[0]!, at[1]!]).addTo(this.map);
    // Set by the map library to words of its own.
    element.setAttribute('aria-label', words);
    marker.on('drag', () => this.moved(corner, marker.getLngLat().lng, marker.getLngLat().lat));
    element.addEventListener('click', (event) => event.stopPropagation());
    element.addEventListener('keydown', (event) => {
      const step = ARROWS[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const p = this.map.project(marker.getLngLat());
      const to = this.map.unproject([p.x + step[0] * NUDGE_PX, p.y + step[1] * NUDGE_PX]);
      this.moved(corner, to.lng, to.lat);
    });
    return marker;
  }

  remove(): void {
    for (const marker of this.corners) marker.remove();
    this.staging?.remove();
    // The map may be gone already, with everything on it.
    if (!this.map.getStyle()) return;
    for (const id of ['sketch-line', 'sketch-casing', 'sketch-fill']) if (this.map.getLayer(id)) this.map.removeLayer(id);
    if (this.map.getSource(SOURCE)) this.map.removeSource(SOURCE);
    this.map.doubleClickZoom.enable();
  }
}
