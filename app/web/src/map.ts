import {
  Map as MapLibre,
  setWorkerUrl,
  type ExpressionSpecification,
  type LayerSpecification,
  type StyleSpecification,
} from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import 'maplibre-gl/dist/maplibre-gl.css';
import type { City } from './types';

setWorkerUrl(workerUrl);

export type ThemeName = 'night' | 'day';

const INK = {
  night: {
    ground: '#14181d', water: '#152433', park: '#17251c', building: '#1d232a', building_edge: '#262d35',
    casing: '#101317', major: '#434d59', middle: '#38424d', minor: '#2c343d', path: '#262d35', rail: '#2f363f',
    label: '#8b95a1', halo: '#14181d',
  },
  day: {
    ground: '#e4e6e8', water: '#c3d3de', park: '#d5dfd2', building: '#d8dbde', building_edge: '#cbcfd3',
    casing: '#c6cace', major: '#ffffff', middle: '#fbfbfb', minor: '#f3f4f5', path: '#d3d6d9', rail: '#bfc4c9',
    label: '#525b66', halo: '#f3f4f5',
  },
} as const;

const CLASS: ExpressionSpecification = ['get', 'class'];
const oneOf = (...names: string[]): ExpressionSpecification => ['in', CLASS, ['literal', names]];
const isRoad: ExpressionSpecification = ['==', ['coalesce', ['get', 'layer'], 'road'], 'road'];
const both = (...all: ExpressionSpecification[]): ExpressionSpecification => ['all', ...all];
const layerIs = (name: string): ExpressionSpecification => ['==', ['get', 'layer'], name];
const polygon: ExpressionSpecification = ['==', ['geometry-type'], 'Polygon'];
const line: ExpressionSpecification = ['==', ['geometry-type'], 'LineString'];

const RANKS = {
  major: ['motorway', 'motorway_link', 'trunk', 'trunk_link', 'primary', 'primary_link'],
  middle: ['secondary', 'secondary_link', 'tertiary', 'tertiary_link'],
  path: ['footway', 'path', 'cycleway', 'steps', 'pedestrian', 'track', 'bridleway', 'corridor'],
};
const major = oneOf(...RANKS.major);
const middle = oneOf(...RANKS.middle);
const path = oneOf(...RANKS.path);
const minor: ExpressionSpecification = ['!', oneOf(...RANKS.major, ...RANKS.middle, ...RANKS.path)];

const width = (at13: number, at16: number, at19: number): ExpressionSpecification => [
  'interpolate', ['exponential', 1.5], ['zoom'], 13, at13, 16, at16, 19, at19,
];

function layers(theme: ThemeName): LayerSpecification[] {
  const ink = INK[theme];
  const road = (id: string, rank: ExpressionSpecification, colour: string, w: [number, number, number]) =>
    [
      {
        id: `${id}-casing`, type: 'line', source: 'city', filter: both(isRoad, line, rank),
        layout: { 'line-cap': 'butt', 'line-join': 'round' },
        paint: { 'line-color': ink.casing, 'line-width': width(w[0] + 1, w[1] + 2, w[2] + 2) },
      },
      {
        id, type: 'line', source: 'city', filter: both(isRoad, line, rank),
        layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: { 'line-color': colour, 'line-width': width(...w) },
      },
    ] satisfies LayerSpecification[];
  const [minor_casing, minor_line] = road('road-minor', minor, ink.minor, [1.2, 5, 22]);
  const [middle_casing, middle_line] = road('road-middle', middle, ink.middle, [1.8, 7, 28]);
  const [major_casing, major_line] = road('road-major', major, ink.major, [2.4, 9, 34]);
  return [
    { id: 'ground', type: 'background', paint: { 'background-color': ink.ground } },
    { id: 'park', type: 'fill', source: 'city', filter: both(layerIs('park'), polygon), paint: { 'fill-color': ink.park } },
    { id: 'water', type: 'fill', source: 'city', filter: both(layerIs('water'), polygon), paint: { 'fill-color': ink.water } },
    {
      id: 'waterway', type: 'line', source: 'city', filter: both(layerIs('water'), line),
      paint: { 'line-color': ink.water, 'line-width': width(1, 3, 8) },
    },
    {
      id: 'building', type: 'fill', source: 'city', minzoom: 14, filter: both(layerIs('building'), polygon),
      paint: { 'fill-color': ink.building, 'fill-outline-color': ink.building_edge },
    },
    {
      id: 'rail', type: 'line', source: 'city', filter: both(layerIs('rail'), line),
      paint: { 'line-color': ink.rail, 'line-width': width(0.6, 1.4, 3), 'line-dasharray': [4, 2] },
    },
    {
      id: 'path', type: 'line', source: 'city', minzoom: 14.5, filter: both(isRoad, line, path),
      paint: { 'line-color': ink.path, 'line-width': width(0.4, 1.2, 5) },
    },
    minor_casing!, middle_casing!, major_casing!,
    minor_line!, middle_line!, major_line!,
    {
      id: 'road-name', type: 'symbol', source: 'city', minzoom: 14,
      filter: both(isRoad, line, ['has', 'name'], ['any', ['!', path], ['>=', ['zoom'], 16]]),
      layout: {
        'symbol-placement': 'line',
        'text-field': ['get', 'name'],
        'text-font': ['system-ui', 'sans-serif'],
        'text-size': ['interpolate', ['linear'], ['zoom'], 14, 10, 17, 12.5],
        'text-letter-spacing': 0.02,
        'text-padding': 12,
        'symbol-spacing': 280,
      },
      paint: { 'text-color': ink.label, 'text-halo-color': ink.halo, 'text-halo-width': 1.6 },
    },
  ];
}

/** The base map: quiet greys over the city's own GeoJSON, nothing from outside this server. */
export function baseMap(container: HTMLElement, city: City, theme: ThemeName, title: string): MapLibre {
  const style: StyleSpecification = {
    version: 8,
    sources: { city: { type: 'geojson', data: new URL('/api/v1/city/roads', location.href).href, tolerance: 0.3 } },
    layers: layers(theme),
  };
  const map = new MapLibre({
    container,
    style,
    bounds: city.bbox,
    fitBoundsOptions: { padding: 8 },
    minZoom: 8,
    maxZoom: 20,
    maxPitch: 0, // the overlay counts on a flat map, and a tilted one misleads about distance
    attributionControl: false, // shown by the console itself, always open
    fadeDuration: 0,
    locale: { 'Map.Title': title },
  });
  map.touchZoomRotate.disableRotation();
  map.dragRotate.disable();
  map.keyboard.disableRotation();
  return map;
}

/** Recolours every layer in place; the map and its data stay. */
export function paintMap(map: MapLibre, theme: ThemeName): void {
  for (const layer of layers(theme)) {
    for (const [name, value] of Object.entries(layer.paint ?? {})) {
      map.setPaintProperty(layer.id, name as Parameters<MapLibre['setPaintProperty']>[1], value);
    }
  }
}

/** True when WebGL is drawn by the processor, false by a graphics card, null when there is no WebGL at all. */
export function softwareDrawn(): boolean | null {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl) return null;
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}
