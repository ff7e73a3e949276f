import type { Feature, FeatureCollection, Position } from 'geojson';
import type { ExpressionSpecification, GeoJSONSource, LayerSpecification, Map as MapLibre } from 'maplibre-gl';
import { metresBetween } from './geo';
import type { ThemeName } from './ground';
import { paint } from './marks';
import type { TrailFix } from './types';

/** Where a unit has been: a line with the time at round minutes, dotted where it was silent. */

/** Between two fixes further apart in time than this, nobody knows which way it went. */
export const SILENT_S = 120;
const STOP_S = 120;
const STOP_M = 30;
/** So many minutes of trail have a tick every so many. */
const TICK_MIN: Record<number, number> = { 15: 1, 30: 2, 60: 5, 240: 15, 720: 60 };
export const SPANS_MIN = Object.keys(TICK_MIN).map(Number);

export interface Fix {
  at_ms: number;
  at: Position;
}

export interface Trail {
  fixes: Fix[];
  length_m: number;
  /** Where and when it stood still. */
  stops: { from_ms: number; to_ms: number; at: Position }[];
  /** How long it said nothing, at the longest; 0 where it always spoke. */
  silent_s: number;
  ticks: { at_ms: number; at: Position }[];
}

export const toFix = (row: TrailFix): Fix => ({ at_ms: Date.parse(row.observed_at), at: [row.lon, row.lat] });

/** What a list of fixes, oldest first, tells over so many minutes. */
export function trailOf(fixes: Fix[], span_min: number): Trail {
  const every_ms = (TICK_MIN[span_min] ?? 5) * 60_000;
  const trail: Trail = { fixes, length_m: 0, stops: [], silent_s: 0, ticks: [] };
  let stood = 0;
  for (let i = 1; i < fixes.length; i++) {
    const [a, b] = [fixes[i - 1]!, fixes[i]!];
    const gap_s = (b.at_ms - a.at_ms) / 1000;
    if (gap_s > SILENT_S) trail.silent_s = Math.max(trail.silent_s, gap_s);
    trail.length_m += metresBetween(a.at, b.at);
    if (metresBetween(fixes[stood]!.at, b.at) > STOP_M || i === fixes.length - 1) {
      const last = metresBetween(fixes[stood]!.at, b.at) > STOP_M ? a : b;
      if (last.at_ms - fixes[stood]!.at_ms >= STOP_S * 1000) trail.stops.push({ from_ms: fixes[stood]!.at_ms, to_ms: last.at_ms, at: fixes[stood]!.at });
      stood = i;
    }
    if (gap_s > SILENT_S) continue;
    for (let tick = Math.ceil(a.at_ms / every_ms) * every_ms; tick < b.at_ms; tick += every_ms) {
      const share = (tick - a.at_ms) / (b.at_ms - a.at_ms);
      trail.ticks.push({ at_ms: tick, at: [a.at[0]! + (b.at[0]! - a.at[0]!) * share, a.at[1]! + (b.at[1]! - a.at[1]!) * share] });
    }
  }
  return trail;
}

const INKS: Record<ThemeName, { line: string; text: string; halo: string }> = {
  night: { line: '#ffe9a8', text: '#f0f3f5', halo: '#0e1114' },
  day: { line: '#6b4e00', text: '#14181d', halo: '#ffffff' },
};
const SOURCE = 'trail';
const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] };

function layers(theme: ThemeName): LayerSpecification[] {
  const ink = INKS[theme];
  const is = (kind: string): ExpressionSpecification => ['==', ['get', 'kind'], kind];
  const round = { 'line-join': 'round', 'line-cap': 'round' } as const;
  return [
    { id: 'trail-casing', type: 'line', source: SOURCE, filter: is('way'), layout: round, paint: { 'line-color': ink.halo, 'line-width': 6, 'line-opacity': 0.7 } },
    { id: 'trail-way', type: 'line', source: SOURCE, filter: is('way'), layout: round, paint: { 'line-color': ink.line, 'line-width': 2.6 } },
    { id: 'trail-silent', type: 'line', source: SOURCE, filter: is('silent'), layout: round, paint: { 'line-color': ink.line, 'line-width': 2.2, 'line-dasharray': [0.1, 3] } },
    { id: 'trail-tick', type: 'circle', source: SOURCE, filter: is('tick'), paint: { 'circle-radius': 3.6, 'circle-color': ink.halo, 'circle-stroke-color': ink.line, 'circle-stroke-width': 2 } },
    {
      id: 'trail-time', type: 'symbol', source: SOURCE, filter: is('tick'),
      layout: { 'text-field': ['get', 'time'], 'text-font': ['Noto Sans Medium', 'Noto Sans', 'system-ui', 'sans-serif'], 'text-size': 11.5, 'text-anchor': 'left', 'text-offset': [0.7, 0] },
      paint: { 'text-color': ink.text, 'text-halo-color': ink.halo, 'text-halo-width': 2 },
    },
  ];
}

/** Puts a trail on the map, under the units; `show` fills it, `remove` takes it away. */
export class TrailOnMap {
  constructor(
    private readonly map: MapLibre,
    theme: ThemeName,
  ) {
    map.addSource(SOURCE, { type: 'geojson', data: EMPTY });
    for (const layer of layers(theme)) map.addLayer(layer);
  }

  show({ fixes, ticks }: Trail, time: (ms: number) => string): void {
    const features: Feature[] = [];
    let run: Position[] = fixes.length ? [fixes[0]!.at] : [];
    const line = (kind: string, coordinates: Position[]) => {
      if (coordinates.length > 1) features.push({ type: 'Feature', properties: { kind }, geometry: { type: 'LineString', coordinates } });
    };
    for (let i = 1; i < fixes.length; i++) {
      const [a, b] = [fixes[i - 1]!, fixes[i]!];
      if (b.at_ms - a.at_ms > SILENT_S * 1000) {
        line('way', run);
        line('silent', [a.at, b.at]);
        run = [];
      }
      run.push(b.at);
    }
    line('way', run);
    for (const tick of ticks) features.push({ type: 'Feature', properties: { kind: 'tick', time: time(tick.at_ms) }, geometry: { type: 'Point', coordinates: tick.at } });
    void this.map.getSource<GeoJSONSource>(SOURCE)?.setData({ type: 'FeatureCollection', features });
  }

  repaint(theme: ThemeName): void {
    paintTrail(this.map, theme);
  }

  remove(): void {
    if (!this.map.getStyle()) return;
    for (const layer of layers('night')) if (this.map.getLayer(layer.id)) this.map.removeLayer(layer.id);
    if (this.map.getSource(SOURCE)) this.map.removeSource(SOURCE);
  }
}

/** Gives what is on a map of it the colours of a theme. */
export const paintTrail = (map: MapLibre, theme: ThemeName): void => paint(map, layers(theme));
