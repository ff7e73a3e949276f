import type { Feature, FeatureCollection } from 'geojson';
import type { ExpressionSpecification, GeoJSONSource, LayerSpecification, Map as MapLibre } from 'maplibre-gl';
import { CLOSURE_LAYERS } from './closure-marks';
import type { ThemeName } from './ground';
import { paint } from './marks';

/**
 * Where idle crews would come in time and where nobody would, quiet where all is well: what is covered twice is a
 * shade, what hangs on one crew is dotted, what nobody reaches in time is hatched. Where that is everywhere, the
 * shade tells how many calls each cell has. Isochrones are lines.
 */

interface Ink {
  gap: string;
  covered: string;
  line: string;
  halo: string;
}

const INKS: Record<ThemeName, Ink> = {
  night: { gap: '#ff9d5c', covered: '#4fb6c9', line: '#f0f3f5', halo: '#0e1114' },
  day: { gap: '#9a3b00', covered: '#0b6b7d', line: '#14181d', halo: '#ffffff' },
};

export type Fill = 'gap' | 'new-gap' | 'one' | 'some' | 'nobody';
const PATTERNS = ['gap', 'new-gap', 'one'] as const;
const CELLS = 'coverage';
const RINGS = 'isochrones';
const PIXELS = 2;
const HATCH_PX = 12;

export function drawFill(fill: (typeof PATTERNS)[number], theme: ThemeName, side = HATCH_PX): ImageData {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = side * PIXELS;
  const ctx = canvas.getContext('2d', { willReadFrequently: true })!;
  ctx.scale(PIXELS, PIXELS);
  ctx.strokeStyle = ctx.fillStyle = INKS[theme].gap;
  const n = HATCH_PX;
  for (let x = 0; x < side; x += n) {
    for (let y = 0; y < side; y += n) {
      ctx.beginPath();
      if (fill === 'one') {
        ctx.arc(x + n / 2, y + n / 2, 1.1, 0, 2 * Math.PI);
        ctx.fill();
        continue;
      }
      ctx.lineWidth = fill === 'gap' ? 1.6 : 2;
      for (const d of [-n, 0, n]) {
        ctx.moveTo(x + d, y + n);
        ctx.lineTo(x + d + n, y);
        if (fill === 'new-gap') {
          ctx.moveTo(x + d, y);
          ctx.lineTo(x + d + n, y + n);
        }
      }
      ctx.stroke();
    }
  }
  return ctx.getImageData(0, 0, canvas.width, canvas.height);
}

function layers(theme: ThemeName): LayerSpecification[] {
  const ink = INKS[theme];
  const is = (fill: Fill): ExpressionSpecification => ['==', ['get', 'fill'], fill];
  const minutes: ExpressionSpecification = ['get', 'minutes'];
  const ring = (id: string, which: ExpressionSpecification, dash: number[] | null): LayerSpecification => ({
    id, type: 'line', source: RINGS, filter: which, layout: { 'line-join': 'round' },
    paint: { 'line-color': ink.line, 'line-width': 1.8, ...(dash ? { 'line-dasharray': dash } : {}) },
  });
  return [
    { id: 'coverage-some', type: 'fill', source: CELLS, filter: is('some'), paint: { 'fill-color': ink.covered, 'fill-antialias': false, 'fill-opacity': ['interpolate', ['linear'], ['get', 'covered_by'], 2, 0.06, 5, 0.17] } },
    { id: 'coverage-nobody', type: 'fill', source: CELLS, filter: is('nobody'), paint: { 'fill-color': ink.gap, 'fill-antialias': false, 'fill-opacity': ['interpolate', ['linear'], ['get', 'calls'], 0, 0.03, 1, 0.5] } },
    ...PATTERNS.map((fill): LayerSpecification => ({ id: `coverage-${fill}`, type: 'fill', source: CELLS, filter: is(fill), paint: { 'fill-pattern': `coverage-${fill}`, 'fill-opacity': 0.85 } })),
    { id: 'isochrone-casing', type: 'line', source: RINGS, layout: { 'line-join': 'round' }, paint: { 'line-color': ink.halo, 'line-width': 4.5, 'line-opacity': 0.7 } },
    ring('isochrone-near', ['==', minutes, 4], null),
    ring('isochrone-mid', ['==', minutes, 8], [4, 2]),
    ring('isochrone-far', ['!', ['in', minutes, ['literal', [4, 8]]]], [1.2, 2]),
    {
      id: 'isochrone-label', type: 'symbol', source: RINGS,
      layout: { 'symbol-placement': 'line', 'symbol-spacing': 170, 'text-field': ['concat', ['to-string', minutes], ' min'], 'text-font': ['Noto Sans Medium', 'Noto Sans', 'system-ui', 'sans-serif'], 'text-size': 12 },
      paint: { 'text-color': ink.line, 'text-halo-color': ink.halo, 'text-halo-width': 2 },
    },
  ];
}

const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] };

/** Puts the layers on the map, beneath closures and marks; `show` fills them, `remove` takes them away. */
export class CoverageOnMap {
  constructor(
    private readonly map: MapLibre,
    theme: ThemeName,
  ) {
    for (const fill of PATTERNS) map.addImage(`coverage-${fill}`, drawFill(fill, theme), { pixelRatio: PIXELS });
    map.addSource(CELLS, { type: 'geojson', data: EMPTY });
    map.addSource(RINGS, { type: 'geojson', data: EMPTY });
    const above = map.getStyle().layers.find((layer) => layer.id.startsWith('ref-') || layer.id === CLOSURE_LAYERS.at(-1))?.id;
    for (const layer of layers(theme)) map.addLayer(layer, above);
  }

  show(cells: readonly Feature[], fills: readonly Fill[]): void {
    const calls = cells.map((cell) => Number(cell.properties?.['demand'] ?? 0));
    const most = calls.reduce((a, b) => Math.max(a, b), 0) || 1;
    void this.map.getSource<GeoJSONSource>(CELLS)?.setData({
      type: 'FeatureCollection',
      features: cells.map((cell, i) => ({ type: 'Feature', geometry: cell.geometry, properties: { fill: fills[i], covered_by: Number(cell.properties?.['covered_by'] ?? 0), calls: calls[i]! / most } })),
    });
  }

  rings(found: FeatureCollection | null): void {
    void this.map.getSource<GeoJSONSource>(RINGS)?.setData(found ?? EMPTY);
  }

  repaint(theme: ThemeName): void {
    paintCoverage(this.map, theme);
  }

  remove(): void {
    if (!this.map.getStyle()) return;
    for (const layer of layers('night')) if (this.map.getLayer(layer.id)) this.map.removeLayer(layer.id);
    for (const source of [CELLS, RINGS]) if (this.map.getSource(source)) this.map.removeSource(source);
    for (const fill of PATTERNS) if (this.map.hasImage(`coverage-${fill}`)) this.map.removeImage(`coverage-${fill}`);
  }
}

/** Gives the coverage on a map, where it is shown, the colours of a theme. */
export function paintCoverage(map: MapLibre, theme: ThemeName): void {
  for (const fill of PATTERNS) if (map.hasImage(`coverage-${fill}`)) map.updateImage(`coverage-${fill}`, drawFill(fill, theme));
  paint(map, layers(theme));
}
