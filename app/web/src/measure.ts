import type { Feature, FeatureCollection, Position } from 'geojson';
import type { GeoJSONSource, LayerSpecification, Map as MapLibre } from 'maplibre-gl';
import { metresBetween } from './geo';
import type { ThemeName } from './ground';
import { paint } from './marks';

/** A line measured on the map: its corners, its length beside each leg, and what it encloses as a tint. */

const INKS: Record<ThemeName, { line: string; halo: string }> = {
  night: { line: '#ffd84d', halo: '#0e1114' },
  day: { line: '#8a1c6b', halo: '#ffffff' },
};
const SOURCE = 'measure';
const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] };

function layers(theme: ThemeName): LayerSpecification[] {
  const ink = INKS[theme];
  return [
    { id: 'measure-area', type: 'fill', source: SOURCE, filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': ink.line, 'fill-opacity': 0.1 } },
    { id: 'measure-casing', type: 'line', source: SOURCE, filter: ['==', ['geometry-type'], 'LineString'], paint: { 'line-color': ink.halo, 'line-width': 5 } },
    { id: 'measure-line', type: 'line', source: SOURCE, filter: ['==', ['geometry-type'], 'LineString'], paint: { 'line-color': ink.line, 'line-width': 2.2 } },
    { id: 'measure-corner', type: 'circle', source: SOURCE, filter: ['==', ['get', 'kind'], 'corner'], paint: { 'circle-radius': 4.5, 'circle-color': ink.line, 'circle-stroke-color': ink.halo, 'circle-stroke-width': 2 } },
    {
      id: 'measure-leg', type: 'symbol', source: SOURCE, filter: ['==', ['get', 'kind'], 'leg'],
      layout: { 'text-field': ['get', 'words'], 'text-font': ['Noto Sans Medium', 'Noto Sans', 'system-ui', 'sans-serif'], 'text-size': 12, 'text-allow-overlap': true },
      paint: { 'text-color': ink.line, 'text-halo-color': ink.halo, 'text-halo-width': 2.4 },
    },
  ];
}

export class MeasureOnMap {
  constructor(
    private readonly map: MapLibre,
    theme: ThemeName,
  ) {
    map.addSource(SOURCE, { type: 'geojson', data: EMPTY });
    for (const layer of layers(theme)) map.addLayer(layer);
  }

  show(corners: readonly Position[], words: (metres: number) => string): void {
    const point = (at: Position, properties: Record<string, string>): Feature => ({ type: 'Feature', properties, geometry: { type: 'Point', coordinates: at } });
    const features: Feature[] = corners.map((at) => point(at, { kind: 'corner' }));
    if (corners.length > 1) features.unshift({ type: 'Feature', properties: {}, geometry: { type: 'LineString', coordinates: [...corners] } });
    if (corners.length > 2) features.unshift({ type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [[...corners, corners[0]!]] } });
    for (let i = 1; i < corners.length; i++) {
      const [a, b] = [corners[i - 1]!, corners[i]!];
      features.push(point([(a[0]! + b[0]!) / 2, (a[1]! + b[1]!) / 2], { kind: 'leg', words: words(metresBetween(a, b)) }));
    }
    void this.map.getSource<GeoJSONSource>(SOURCE)?.setData({ type: 'FeatureCollection', features });
  }

  repaint(theme: ThemeName): void {
    paintMeasure(this.map, theme);
  }

  remove(): void {
    if (!this.map.getStyle()) return;
    for (const layer of layers('night')) if (this.map.getLayer(layer.id)) this.map.removeLayer(layer.id);
    if (this.map.getSource(SOURCE)) this.map.removeSource(SOURCE);
  }
}

/** Gives what is on a map of it the colours of a theme. */
export const paintMeasure = (map: MapLibre, theme: ThemeName): void => paint(map, layers(theme));
