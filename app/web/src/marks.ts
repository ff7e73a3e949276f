import type { FeatureCollection } from 'geojson';
import type { GeoJSONSource, LayerSpecification, Map as MapLibre } from 'maplibre-gl';
import type { ThemeName } from './ground';
import { DOTS_FROM_ZOOM, placeOf, type Held } from './reference.svelte';
import type { Density } from './types';

/** How reference layers are marked: grey plates told apart by outline and letter, lamps and signals as dots. */

type Outline = 'house' | 'cross' | 'drop' | 'hexagon' | 'shield' | 'arch' | 'octagon' | 'plate' | 'signal' | 'dot';

interface Mark {
  outline: Outline;
  letter: string;
  /** Joined into one mark with a count while they would touch. */
  joined: boolean;
}

const MARKS: Record<string, Mark> = {
  stations: { outline: 'house', letter: 'S', joined: false },
  hospitals: { outline: 'cross', letter: '+', joined: false },
  hydrants: { outline: 'drop', letter: 'H', joined: true },
  schools: { outline: 'hexagon', letter: 'E', joined: true },
  heritage: { outline: 'shield', letter: 'M', joined: true },
  underpasses: { outline: 'arch', letter: 'U', joined: true },
  shelters: { outline: 'octagon', letter: 'C', joined: true },
  traffic_signals: { outline: 'signal', letter: '', joined: false },
  street_lamps: { outline: 'dot', letter: '', joined: false },
};

const KNOWN = Object.keys(MARKS);
/** Layers in the order in which a dispatcher looks for them: the known ones, then the operator's own. */
export const inOrder = <L extends { layer: string }>(layers: readonly L[]): L[] => {
  const place = (layer: L) => (KNOWN.indexOf(layer.layer) + KNOWN.length + 1) % (KNOWN.length + 1);
  return [...layers].sort((a, b) => place(a) - place(b) || a.layer.localeCompare(b.layer));
};

export const markOf = (layer: string, title: string): Mark =>
  MARKS[layer] ?? { outline: 'plate', letter: (/\p{L}|\p{N}/u.exec(title)?.[0] ?? '?').toUpperCase(), joined: true };

interface Ink {
  plate: string;
  edge: string;
  letter: string;
  halo: string;
  lamp: string;
  lamp_edge: string;
  heat: string;
}

const INKS: Record<ThemeName, Ink> = {
  night: { plate: '#2c3540', edge: '#aeb8c2', letter: '#f0f3f5', halo: '#0e1114', lamp: '#c3b68c', lamp_edge: '#0e1114', heat: '195,182,140' },
  day: { plate: '#ffffff', edge: '#4a5560', letter: '#14181d', halo: '#f7f8f9', lamp: '#8a6f1d', lamp_edge: '#ffffff', heat: '138,111,29' },
};

const ICON_PX = 24;
const PIXELS = 2;

function trace(ctx: CanvasRenderingContext2D, outline: Outline, r: number): void {
  const polygon = (...points: [number, number][]) => {
    ctx.beginPath();
    for (const [x, y] of points) ctx.lineTo(x * r, y * r);
    ctx.closePath();
  };
  const ring = (sides: number, turn: number) =>
    polygon(...Array.from({ length: sides }, (_, i): [number, number] => {
      const a = turn + (i * 2 * Math.PI) / sides;
      return [Math.cos(a), Math.sin(a)];
    }));
  if (outline === 'house') polygon([0, -1.05], [0.95, -0.25], [0.95, 0.9], [-0.95, 0.9], [-0.95, -0.25]);
  else if (outline === 'cross') {
    const a = 0.42;
    polygon([-a, -1], [a, -1], [a, -a], [1, -a], [1, a], [a, a], [a, 1], [-a, 1], [-a, a], [-1, a], [-1, -a], [-a, -a]);
  } else if (outline === 'drop') {
    ctx.beginPath();
    ctx.arc(0, 0.25 * r, 0.8 * r, -0.25 * Math.PI, 1.25 * Math.PI);
    ctx.lineTo(0, -1.15 * r);
    ctx.closePath();
  } else if (outline === 'hexagon') ring(6, 0);
  else if (outline === 'octagon') ring(8, Math.PI / 8);
  else if (outline === 'shield') {
    ctx.beginPath();
    ctx.moveTo(-0.85 * r, -0.9 * r);
    ctx.lineTo(0.85 * r, -0.9 * r);
    ctx.lineTo(0.85 * r, 0.1 * r);
    ctx.quadraticCurveTo(0.75 * r, 0.75 * r, 0, 1.05 * r);
    ctx.quadraticCurveTo(-0.75 * r, 0.75 * r, -0.85 * r, 0.1 * r);
    ctx.closePath();
  } else if (outline === 'arch') {
    ctx.beginPath();
    ctx.arc(0, -0.05 * r, 0.95 * r, Math.PI, 0);
    ctx.lineTo(0.95 * r, 0.9 * r);
    ctx.lineTo(-0.95 * r, 0.9 * r);
    ctx.closePath();
  } else if (outline === 'signal') {
    ctx.beginPath();
    ctx.roundRect(-0.36 * r, -0.8 * r, 0.72 * r, 1.6 * r, 0.2 * r);
  } else if (outline === 'dot') {
    ctx.beginPath();
    ctx.arc(0, 0, 0.4 * r, 0, 2 * Math.PI);
  } else {
    ctx.beginPath();
    ctx.roundRect(-1.05 * r, -0.75 * r, 2.1 * r, 1.5 * r, 0.3 * r);
  }
}

/** A layer's mark, drawn at twice its size on screen. */
export function drawMark(mark: Mark, theme: ThemeName): ImageData {
  const ink = INKS[theme];
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = ICON_PX * PIXELS;
  const ctx = canvas.getContext('2d', { willReadFrequently: true })!;
  ctx.scale(PIXELS, PIXELS);
  ctx.translate(ICON_PX / 2, ICON_PX / 2);
  ctx.lineJoin = 'round';
  const r = 8.6;
  const dot = mark.outline === 'dot';
  trace(ctx, mark.outline, r);
  ctx.lineWidth = dot ? 2 : 4;
  ctx.strokeStyle = dot ? ink.lamp_edge : ink.halo;
  ctx.stroke();
  ctx.fillStyle = dot ? ink.lamp : ink.plate;
  ctx.fill();
  if (dot) return ctx.getImageData(0, 0, canvas.width, canvas.height);
  ctx.lineWidth = 1.3;
  ctx.strokeStyle = ink.edge;
  ctx.stroke();
  ctx.fillStyle = ink.letter;
  if (mark.outline === 'signal') {
    for (const y of [-0.46, 0, 0.46]) {
      ctx.beginPath();
      ctx.arc(0, y * r, 0.17 * r, 0, 2 * Math.PI);
      ctx.fill();
    }
  } else {
    ctx.font = '700 10px system-ui, sans-serif';
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.fillText(mark.letter, 0, { house: 1.6, drop: 2.4, arch: 1.2, shield: -0.4 }[mark.outline as string] ?? 0.6);
  }
  return ctx.getImageData(0, 0, canvas.width, canvas.height);
}

const source = (layer: string) => `ref-${layer}`;
const SHAPES = 'ref-shapes';
/** Layers of the map whose marks can be clicked. */
export const clickable = (layer: string): string[] => [`ref-${layer}`, `ref-${layer}-far`];

function styled(layer: string, mark: Mark, theme: ThemeName): LayerSpecification[] {
  const ink = INKS[theme];
  const id = source(layer);
  if (mark.outline === 'dot') {
    return [
      {
        id, type: 'circle', source: id, minzoom: DOTS_FROM_ZOOM,
        paint: {
          'circle-radius': ['interpolate', ['linear'], ['zoom'], 14, 1.3, 15, 1.7, 17, 2.8, 20, 5],
          'circle-color': ink.lamp,
          'circle-stroke-color': ink.lamp_edge,
          'circle-stroke-width': ['interpolate', ['linear'], ['zoom'], 15, 0.4, 18, 1],
        },
      },
    ];
  }
  const icon = { 'icon-image': id, 'icon-allow-overlap': true, 'icon-size': 1 } as const;
  if (mark.outline === 'signal') {
    return [
      {
        id, type: 'symbol', source: id, minzoom: 15,
        layout: { ...icon, 'icon-size': ['interpolate', ['linear'], ['zoom'], 15, 0.55, 17, 0.85, 19, 1.1] },
      },
    ];
  }
  const text = { 'text-font': ['Noto Sans Medium', 'Noto Sans', 'system-ui', 'sans-serif'], 'text-size': 11, 'text-optional': true };
  const paint = { 'text-color': ink.letter, 'text-halo-color': ink.halo, 'text-halo-width': 1.5 };
  const own: LayerSpecification = {
    id, type: 'symbol', source: id, ...(mark.joined ? { filter: ['!', ['has', 'point_count']] } : {}),
    layout: {
      ...icon, ...text,
      'text-field': ['step', ['zoom'], '', layer === 'underpasses' ? 14 : 16.5, ['coalesce', ['get', 'label'], '']],
      'text-anchor': 'top', 'text-offset': [0, 1], 'text-max-width': 9,
    },
    paint,
  };
  if (!mark.joined) return [own];
  return [
    own,
    {
      id: `${id}-far`, type: 'symbol', source: id, filter: ['has', 'point_count'],
      layout: { ...icon, ...text, 'text-optional': false, 'text-allow-overlap': true, 'text-field': ['get', 'point_count_abbreviated'], 'text-anchor': 'left', 'text-offset': [0.95, 0] },
      paint,
    },
  ];
}

/** A layer of dots from afar: brighter where more of them stand. A square of 150 m is as wide as its blur. */
function glowLayer(layer: string, theme: ThemeName): LayerSpecification {
  const ink = INKS[theme];
  const id = `${source(layer)}-glow`;
  return {
    id, type: 'heatmap', source: id, maxzoom: DOTS_FROM_ZOOM,
    paint: {
      'heatmap-weight': ['get', 'n'],
      'heatmap-radius': ['interpolate', ['exponential', 2], ['zoom'], 8, 2.5, 14, 72],
      'heatmap-intensity': 0.55,
      'heatmap-opacity': theme === 'night' ? 0.6 : 0.35,
      'heatmap-color': [
        'interpolate', ['linear'], ['heatmap-density'],
        0, `rgba(${ink.heat},0)`, 0.15, `rgba(${ink.heat},0.2)`, 1, `rgba(${ink.heat},0.8)`,
      ],
    },
  };
}

/** Shows a layer of dots as it looks from afar. */
export function showGlow(map: MapLibre, layer: string, theme: ThemeName, { cells }: Density): void {
  const made = glowLayer(layer, theme);
  if (!map.getSource(made.id)) {
    map.addSource(made.id, { type: 'geojson', data: EMPTY });
    map.addLayer(made, map.getStyle().layers.find((one) => one.id.startsWith('ref-'))?.id);
  }
  const most = cells.reduce((so_far, [, , n]) => Math.max(so_far, n), 1);
  void map.getSource<GeoJSONSource>(made.id)!.setData({
    type: 'FeatureCollection',
    features: cells.map(([lon, lat, n]) => ({ type: 'Feature', geometry: { type: 'Point', coordinates: [lon, lat] }, properties: { n: n / most } })),
  });
}

const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] };

/** Puts a layer on the map, or shows what it now holds; `label` says what stands beside a mark, if anything. */
export function showMarks(
  map: MapLibre,
  layer: string,
  title: string,
  theme: ThemeName,
  held: Held | null,
  label: (properties: Record<string, unknown>) => string,
): void {
  const id = source(layer);
  const mark = markOf(layer, title);
  if (!map.getSource(id)) {
    const joining = mark.joined ? { cluster: true, clusterRadius: 30, clusterMaxZoom: 16 } : {};
    map.addSource(id, { type: 'geojson', data: EMPTY, ...joining });
    if (!map.hasImage(id)) map.addImage(id, drawMark(mark, theme), { pixelRatio: PIXELS });
    for (const made of styled(layer, mark, theme)) map.addLayer(made);
  }
  const features = (held?.features ?? []).flatMap((feature, i) => {
    const at = placeOf(feature);
    if (!at) return [];
    return { type: 'Feature' as const, geometry: { type: 'Point' as const, coordinates: at }, properties: { i, label: label(feature.properties ?? {}) } };
  });
  void map.getSource<GeoJSONSource>(id)!.setData({ type: 'FeatureCollection', features });
}

/** Lines and areas of all layers shown, drawn under their marks. */
export function showShapes(map: MapLibre, theme: ThemeName, layers: Iterable<Held>): void {
  const features = [...layers].flatMap((held) => held.features.filter((f) => f.geometry && !/Point$/.test(f.geometry.type)));
  if (!map.getSource(SHAPES)) {
    if (!features.length) return;
    map.addSource(SHAPES, { type: 'geojson', data: EMPTY });
    const under = map.getStyle().layers.find((made) => made.id.startsWith('ref-'))?.id;
    map.addLayer(shapeLayer(theme), under);
  }
  void map.getSource<GeoJSONSource>(SHAPES)!.setData({
    type: 'FeatureCollection',
    features: features.map((f) => ({ type: 'Feature', geometry: f.geometry, properties: {} })),
  });
}

const shapeLayer = (theme: ThemeName): LayerSpecification => ({
  id: SHAPES, type: 'line', source: SHAPES, minzoom: 14,
  paint: { 'line-color': INKS[theme].edge, 'line-width': 1.6, 'line-dasharray': [2, 1.5], 'line-opacity': 0.8 },
});

export function hideMarks(map: MapLibre, layer: string): void {
  for (const id of [source(layer), `${source(layer)}-glow`]) {
    if (!map.getSource(id)) continue;
    for (const made of map.getStyle().layers) {
      if ('source' in made && made.source === id) map.removeLayer(made.id);
    }
    map.removeSource(id);
  }
}

/** Recolours every mark in place. */
export function paintMarks(map: MapLibre, theme: ThemeName, titles: ReadonlyMap<string, string>): void {
  for (const [layer, title] of titles) {
    const id = source(layer);
    paint(map, [glowLayer(layer, theme)]);
    if (!map.getSource(id)) continue;
    const mark = markOf(layer, title);
    map.updateImage(id, drawMark(mark, theme));
    paint(map, styled(layer, mark, theme));
  }
  if (map.getLayer(SHAPES)) paint(map, [shapeLayer(theme)]);
}

/** Gives layers that are on the map already the colours and words of these. */
export function paint(map: MapLibre, layers: LayerSpecification[]): void {
  for (const layer of layers) {
    if (!map.getLayer(layer.id)) continue;
    for (const [name, value] of Object.entries(layer.paint ?? {})) {
      map.setPaintProperty(layer.id, name as Parameters<MapLibre['setPaintProperty']>[1], value);
    }
    if (layer.type === 'symbol' && layer.layout?.['text-field'] !== undefined) {
      map.setLayoutProperty(layer.id, 'text-field', layer.layout['text-field']);
    }
  }
}
