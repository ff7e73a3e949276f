import type { Feature, FeatureCollection } from 'geojson';
import type { ExpressionSpecification, GeoJSONSource, LayerSpecification, Map as MapLibre } from 'maplibre-gl';
import { CLOSURE_LAYERS } from './closure-marks';
import type { ThemeName } from './ground';
import { paint } from './marks';

/**
 * The ways of units to the selected incident: of a crew that was sent a whole line along the streets, of a
 * candidate a thin dashed one, of a straight estimate dots; pale from an old fix.
 */

const INKS: Record<ThemeName, { crew: string; candidate: string; halo: string }> = {
  night: { crew: '#bad9fd', candidate: '#f0f3f5', halo: '#0e1114' },
  day: { crew: '#0b4a8f', candidate: '#14181d', halo: '#ffffff' },
};

export interface DrawnWay {
  crew: boolean;
  straight: boolean;
  stale: boolean;
}

const SOURCE = 'ways';
const PALE = 0.38;

function layers(theme: ThemeName): LayerSpecification[] {
  const ink = INKS[theme];
  const colour: ExpressionSpecification = ['case', ['get', 'crew'], ink.crew, ink.candidate];
  const there: ExpressionSpecification = ['case', ['get', 'stale'], PALE, 1];
  const wide = (crew: number, candidate: number): ExpressionSpecification => {
    const at = (share: number): ExpressionSpecification => ['case', ['get', 'crew'], crew * share, candidate * share];
    return ['interpolate', ['linear'], ['zoom'], 11, at(0.7), 16, at(1.2)];
  };
  const along: ExpressionSpecification = ['!', ['get', 'straight']];
  const rest = (id: string, filter: ExpressionSpecification, width: ExpressionSpecification, dash: number[] | null, cap: 'round' | 'butt'): LayerSpecification => ({
    id, type: 'line', source: SOURCE, filter, layout: { 'line-join': 'round', 'line-cap': cap },
    paint: { 'line-color': colour, 'line-width': width, 'line-opacity': there, ...(dash ? { 'line-dasharray': dash } : {}) },
  });
  return [
    { id: 'way-casing', type: 'line', source: SOURCE, filter: along, layout: { 'line-join': 'round', 'line-cap': 'round' }, paint: { 'line-color': ink.halo, 'line-width': wide(7.5, 5.5), 'line-opacity': ['case', ['get', 'stale'], 0.3, 0.8] } },
    rest('way-candidate', ['all', along, ['!', ['get', 'crew']]], wide(2.4, 2.4), [3, 2], 'butt'),
    rest('way-crew', ['all', along, ['get', 'crew']], wide(4.2, 4.2), null, 'round'),
    rest('way-straight', ['get', 'straight'], wide(4, 3.2), [0, 2.4], 'round'),
  ];
}

const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] };

/** Puts the layers on the map, beneath closures and marks; `show` fills them, `remove` takes them away. */
export class WaysOnMap {
  constructor(
    private readonly map: MapLibre,
    theme: ThemeName,
  ) {
    map.addSource(SOURCE, { type: 'geojson', data: EMPTY });
    const above = map.getStyle().layers.find((layer) => layer.id.startsWith('ref-') || layer.id === CLOSURE_LAYERS.at(-1))?.id;
    for (const layer of layers(theme)) map.addLayer(layer, above);
  }

  show(features: Feature[]): void {
    void this.map.getSource<GeoJSONSource>(SOURCE)?.setData({ type: 'FeatureCollection', features });
  }

  repaint(theme: ThemeName): void {
    paintWays(this.map, theme);
  }

  remove(): void {
    if (!this.map.getStyle()) return;
    for (const layer of layers('night')) if (this.map.getLayer(layer.id)) this.map.removeLayer(layer.id);
    if (this.map.getSource(SOURCE)) this.map.removeSource(SOURCE);
  }
}

/** Gives the ways on a map the colours of a theme. */
export const paintWays = (map: MapLibre, theme: ThemeName): void => paint(map, layers(theme));
