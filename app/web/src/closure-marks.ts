import type { Feature, FeatureCollection, Geometry, Position } from 'geojson';
import type { ExpressionSpecification, GeoJSONSource, LayerSpecification, Map as MapLibre } from 'maplibre-gl';
import { circle, isAhead, isBinding, KINDS, signAt, until } from './closures';
import type { ThemeName } from './ground';
import { paint } from './marks';
import type { Closure, ClosureKind } from './types';
import { age, t } from './words.svelte';

/**
 * Closures, hazards, slow stretches and floods on the map, each told twice: by colour and by its sign and hatching.
 *
 * What is in force is solid. What was only reported is hollow and dashed: it warns and leads nobody around.
 */

interface Ink {
  halo: string;
  /** The sign's picture on its own colour. */
  on: string;
  label: string;
}

/** Apart under normal and colour-blind sight, by 43 (night) and 21 (day) in CIE76, and 3.7 to 1 and more from the ground. */
export const CLOSURE_COLOURS: Record<ThemeName, Record<ClosureKind, string>> = {
  night: { closure: '#E84E5F', hazard: '#D95DF6', flood: '#B7EEFD', slow: '#EDDF54' },
  day: { closure: '#7A0006', hazard: '#3B1070', flood: '#326BBE', slow: '#84690F' },
};
const INKS: Record<ThemeName, Ink> = {
  night: { halo: '#0e1114', on: '#0b0e12', label: '#f0f3f5' },
  day: { halo: '#f7f8f9', on: '#ffffff', label: '#14181d' },
};

const SOURCE = 'closures';
const PIXELS = 2;
const SIGN_PX = 28;
const HATCH_PX = 16;
/** What can be clicked, the signs first. */
export const CLOSURE_LAYERS = ['closure-sign', 'closure-line', 'closure-line-reported', 'closure-fill'];

function canvas(side: number): CanvasRenderingContext2D {
  const made = document.createElement('canvas');
  made.width = made.height = side * PIXELS;
  const ctx = made.getContext('2d', { willReadFrequently: true })!;
  ctx.scale(PIXELS, PIXELS);
  ctx.lineJoin = ctx.lineCap = 'round';
  return ctx;
}

const pixels = (ctx: CanvasRenderingContext2D): ImageData => ctx.getImageData(0, 0, ctx.canvas.width, ctx.canvas.height);

function waves(ctx: CanvasRenderingContext2D, y: number, from: number, to: number, step: number, rise: number): void {
  ctx.moveTo(from, y);
  for (let x = from; x < to; x += step) {
    ctx.quadraticCurveTo(x + step / 4, y - rise, x + step / 2, y);
    ctx.quadraticCurveTo(x + (step * 3) / 4, y + rise, x + step, y);
  }
}

/** A round bar for a closure, a triangle for a hazard, a hexagon with waves for a flood, a plate with arrows for slow. */
export function drawSign(kind: ClosureKind, solid: boolean, theme: ThemeName): ImageData {
  const ctx = canvas(SIGN_PX);
  const { halo, on } = INKS[theme];
  const colour = CLOSURE_COLOURS[theme][kind];
  ctx.translate(SIGN_PX / 2, SIGN_PX / 2);
  const r = 10.5;
  const corners: Record<ClosureKind, [number, number][]> = {
    closure: [],
    hazard: [[0, -11.5], [11.5, 9], [-11.5, 9]],
    flood: Array.from({ length: 6 }, (_, i): [number, number] => [Math.cos((i * Math.PI) / 3) * 11.5, Math.sin((i * Math.PI) / 3) * 11.5]),
    slow: [[-11.5, -8], [11.5, -8], [11.5, 8], [-11.5, 8]],
  };
  ctx.beginPath();
  if (kind === 'closure') ctx.arc(0, 0, r, 0, 2 * Math.PI);
  else for (const [x, y] of corners[kind]) ctx.lineTo(x, y);
  ctx.closePath();
  ctx.lineWidth = 4.5;
  ctx.strokeStyle = halo;
  ctx.stroke();
  ctx.fillStyle = solid ? colour : halo;
  ctx.fill();
  if (!solid) {
    ctx.lineWidth = 2;
    ctx.setLineDash([3.4, 2.8]);
    ctx.strokeStyle = colour;
    ctx.stroke();
    ctx.setLineDash([]);
  }
  ctx.strokeStyle = ctx.fillStyle = solid ? on : colour;
  ctx.lineWidth = 2.4;
  ctx.beginPath();
  if (kind === 'closure') ctx.rect(-6, -1.2, 12, 2.4);
  else if (kind === 'hazard') {
    ctx.moveTo(0, -4.5);
    ctx.lineTo(0, 2);
    ctx.moveTo(0, 5.8);
    ctx.lineTo(0, 5.9);
  } else if (kind === 'flood') {
    waves(ctx, -2.5, -6, 6, 6, 3.4);
    waves(ctx, 3.2, -6, 6, 6, 3.4);
  } else {
    for (const x of [-4.6, 1.4]) {
      ctx.moveTo(x, -3.6);
      ctx.lineTo(x + 3.4, 0);
      ctx.lineTo(x, 3.6);
    }
  }
  if (kind === 'closure') ctx.fill();
  ctx.stroke();
  return pixels(ctx);
}

function drawHatch(kind: ClosureKind, theme: ThemeName): ImageData {
  const ctx = canvas(HATCH_PX);
  ctx.strokeStyle = ctx.fillStyle = CLOSURE_COLOURS[theme][kind];
  ctx.lineWidth = 2;
  const n = HATCH_PX;
  ctx.beginPath();
  if (kind === 'closure') {
    for (const from of [-n / 2, n / 2, (n * 3) / 2]) {
      ctx.moveTo(from - n, n + n / 2);
      ctx.lineTo(from + n, -n / 2);
    }
    ctx.stroke();
  } else if (kind === 'hazard') {
    for (const [x, y] of [[n / 4, n / 4], [(n * 3) / 4, (n * 3) / 4]] as const) {
      ctx.moveTo(x, y);
      ctx.arc(x, y, 2.2, 0, 2 * Math.PI);
    }
    ctx.fill();
  } else if (kind === 'flood') {
    waves(ctx, n / 4, 0, n, n, 3);
    waves(ctx, (n * 3) / 4, 0, n, n, 3);
    ctx.stroke();
  } else {
    ctx.moveTo(n / 2, 0);
    ctx.lineTo(n / 2, n);
    ctx.stroke();
  }
  return pixels(ctx);
}

function drawStaging(theme: ThemeName): ImageData {
  const ctx = canvas(SIGN_PX);
  ctx.translate(8, 4);
  ctx.beginPath();
  ctx.moveTo(0, 20);
  ctx.lineTo(0, 0);
  ctx.lineTo(14, 5);
  ctx.lineTo(0, 10);
  ctx.lineWidth = 5;
  ctx.strokeStyle = INKS[theme].halo;
  ctx.stroke();
  ctx.lineWidth = 2;
  ctx.strokeStyle = ctx.fillStyle = CLOSURE_COLOURS[theme].hazard;
  ctx.stroke();
  ctx.fill();
  return pixels(ctx);
}

function* images(theme: ThemeName): Iterable<[string, ImageData]> {
  for (const kind of KINDS) {
    yield [`closure-${kind}-solid`, drawSign(kind, true, theme)];
    yield [`closure-${kind}-hollow`, drawSign(kind, false, theme)];
    yield [`closure-${kind}-hatch`, drawHatch(kind, theme)];
  }
  yield ['closure-staging', drawStaging(theme)];
}

function layers(theme: ThemeName): LayerSpecification[] {
  const ink = INKS[theme];
  const colour: ExpressionSpecification = ['match', ['get', 'kind'], ...KINDS.flatMap((k) => [k, CLOSURE_COLOURS[theme][k]]), ink.label] as unknown as ExpressionSpecification;
  const width: ExpressionSpecification = ['interpolate', ['linear'], ['zoom'], 11, ['case', ['get', 'selected'], 4, 2.2], 16, ['case', ['get', 'selected'], 8, 5]];
  const there: ExpressionSpecification = ['case', ['get', 'ahead'], 0.5, 1];
  const text = { 'text-font': ['Noto Sans Medium', 'Noto Sans', 'system-ui', 'sans-serif'], 'text-size': 11.5 };
  const written = { 'text-color': ink.label, 'text-halo-color': ink.halo, 'text-halo-width': 1.6 };
  return [
    { id: 'closure-fill', type: 'fill', source: SOURCE, filter: ['==', ['get', 'part'], 'area'], paint: { 'fill-color': colour, 'fill-opacity': ['case', ['get', 'solid'], 0.16, 0.05] } },
    { id: 'closure-hatch', type: 'fill', source: SOURCE, filter: ['all', ['==', ['get', 'part'], 'area'], ['get', 'solid']], paint: { 'fill-pattern': ['concat', 'closure-', ['get', 'kind'], '-hatch'], 'fill-opacity': 0.65 } },
    { id: 'closure-casing', type: 'line', source: SOURCE, filter: ['==', ['get', 'part'], 'line'], layout: { 'line-cap': 'round', 'line-join': 'round' }, paint: { 'line-color': ink.halo, 'line-width': ['interpolate', ['linear'], ['zoom'], 11, 5, 16, 10], 'line-opacity': there } },
    { id: 'closure-line', type: 'line', source: SOURCE, filter: ['all', ['in', ['get', 'part'], ['literal', ['line', 'area']]], ['get', 'solid']], layout: { 'line-join': 'round' }, paint: { 'line-color': colour, 'line-width': width, 'line-opacity': there } },
    { id: 'closure-line-reported', type: 'line', source: SOURCE, filter: ['all', ['in', ['get', 'part'], ['literal', ['line', 'area']]], ['!', ['get', 'solid']]], layout: { 'line-join': 'round' }, paint: { 'line-color': colour, 'line-width': width, 'line-dasharray': [2, 1.6], 'line-opacity': there } },
    { id: 'closure-to-staging', type: 'line', source: SOURCE, filter: ['==', ['get', 'part'], 'to-staging'], paint: { 'line-color': colour, 'line-width': 1.4, 'line-dasharray': [1, 2.5] } },
    { id: 'closure-staging', type: 'symbol', source: SOURCE, filter: ['==', ['get', 'part'], 'staging'], layout: { ...text, 'icon-image': 'closure-staging', 'icon-allow-overlap': true, 'icon-anchor': 'bottom-left', 'icon-offset': [-8, 4], 'text-field': ['step', ['zoom'], '', 14, ['get', 'label']], 'text-anchor': 'top', 'text-offset': [0, 0.4], 'text-optional': true }, paint: written },
    { id: 'closure-sign', type: 'symbol', source: SOURCE, filter: ['==', ['get', 'part'], 'sign'], layout: { ...text, 'icon-image': ['concat', 'closure-', ['get', 'kind'], ['case', ['get', 'solid'], '-solid', '-hollow']], 'icon-allow-overlap': true, 'icon-size': ['case', ['get', 'selected'], 1.25, 1], 'text-field': ['step', ['zoom'], '', 13, ['get', 'label']], 'text-anchor': 'left', 'text-offset': [1.4, 0], 'text-optional': true }, paint: { ...written, 'icon-opacity': there } },
  ];
}

/** What stands beside a sign: when it begins, or when it ends and how long ago it was said. */
function label(c: Closure, now_ms: number): string {
  if (isAhead(c, now_ms)) return t('closure-from', { at: until(c.from!) });
  const told = age((now_ms - Date.parse(c.ordered_at ?? c.confirmed_at ?? c.reported_at)) / 1000);
  return c.ends ? `${t('closure-until', { at: until(c.ends) })} · ${told}` : told;
}

function features(closures: Iterable<Closure>, selected: string | null, now_ms: number): Feature[] {
  return [...closures].flatMap((c) => {
    const common = { id: c.id, kind: c.kind, solid: isBinding(c), ahead: isAhead(c, now_ms), selected: c.id === selected };
    const at = signAt(c);
    const point: Position = [at.lon, at.lat];
    const shape: Geometry = c.geometry.type === 'Point' ? { type: 'Polygon', coordinates: [circle(at.lon, at.lat, c.geometry.radius_m)] } : c.geometry;
    const made = (part: string, geometry: Feature['geometry'], label = ''): Feature => ({ type: 'Feature', geometry, properties: { ...common, part, label } });
    return [
      made(shape.type === 'LineString' ? 'line' : 'area', shape),
      ...(c.staging
        ? [
            made('to-staging', { type: 'LineString', coordinates: [[c.staging.lon, c.staging.lat], point] }),
            made('staging', { type: 'Point', coordinates: [c.staging.lon, c.staging.lat] }, t('closure-staging-label')),
          ]
        : []),
      made('sign', { type: 'Point', coordinates: point }, label(c, now_ms)),
    ];
  });
}

/** Draws these closures and no others; safe to call again with what has changed. */
export function showClosures(map: MapLibre, theme: ThemeName, closures: readonly Closure[], selected: string | null, now_ms: number): void {
  const data: FeatureCollection = { type: 'FeatureCollection', features: features(closures, selected, now_ms) };
  const held = map.getSource<GeoJSONSource>(SOURCE);
  if (held) {
    void held.setData(data);
    return;
  }
  if (!closures.length) return;
  for (const [name, image] of images(theme)) if (!map.hasImage(name)) map.addImage(name, image, { pixelRatio: PIXELS });
  map.addSource(SOURCE, { type: 'geojson', data });
  for (const layer of layers(theme)) map.addLayer(layer);
}

export function paintClosures(map: MapLibre, theme: ThemeName): void {
  if (!map.getSource(SOURCE)) return;
  for (const [name, image] of images(theme)) map.updateImage(name, image);
  paint(map, layers(theme));
}
