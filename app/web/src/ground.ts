import { layers, type Flavor } from '@protomaps/basemaps';
import type { ExpressionSpecification, LayerSpecification } from 'maplibre-gl';
import type { Language } from './words.svelte';

/**
 * How the city's ground is drawn: the layers of @protomaps/basemaps in two greys of our own.
 *
 * Only units, incidents and what is marked on the map have colour. By night roads are lighter than the land,
 * by day white on grey; water is blue in both, because a shore must be told from a square at a glance.
 */

export type ThemeName = 'night' | 'day';

interface Ink {
  /** Where the extract ends: neither land nor water. */
  unknown: string;
  land: string;
  water: string;
  green: string;
  pavement: string;
  yard: string;
  building: string;
  building_edge: string;
  casing: string;
  path: string;
  minor: string;
  major: string;
  highway: string;
  tunnel: string;
  rail: string;
  border: string;
  name: string;
  name_strong: string;
  name_water: string;
  name_faint: string;
  halo: string;
}

const INKS: Record<ThemeName, Ink> = {
  night: {
    unknown: '#0e1114', land: '#171b20', water: '#10304a', green: '#1b2e22', pavement: '#1e242b', yard: '#1b2027',
    building: '#252c34', building_edge: '#353e48',
    casing: '#0d1013', path: '#39424c', minor: '#46525e', major: '#5b6875', highway: '#70808f', tunnel: '#2a313a',
    rail: '#3f4853', border: '#5b6570',
    name: '#aeb7c0', name_strong: '#ccd2d8', name_water: '#8db4d3', name_faint: '#8b95a0', halo: '#12161a',
  },
  day: {
    unknown: '#c9ced2', land: '#e9ebec', water: '#a9cbe2', green: '#cde0c9', pavement: '#dfe2e5', yard: '#e2e4e2',
    building: '#d6dadd', building_edge: '#b9c0c6',
    casing: '#aab2ba', path: '#c3c8cd', minor: '#ffffff', major: '#ffffff', highway: '#ffffff', tunnel: '#dde0e3',
    rail: '#a4acb4', border: '#8b949d',
    name: '#3f4a55', name_strong: '#262f38', name_water: '#235b84', name_faint: '#5c6670', halo: '#f7f8f9',
  },
};

function flavour(theme: ThemeName): Flavor {
  const ink = INKS[theme];
  return {
    background: ink.unknown,
    earth: ink.land,
    water: ink.water,
    park_a: ink.green, park_b: ink.green, wood_a: ink.green, wood_b: ink.green, scrub_a: ink.green, scrub_b: ink.green,
    hospital: ink.yard, industrial: ink.yard, school: ink.yard, zoo: ink.yard, military: ink.yard, aerodrome: ink.yard,
    sand: ink.yard, beach: ink.yard, glacier: ink.yard,
    pedestrian: ink.pavement, pier: ink.pavement, runway: ink.minor,
    buildings: ink.building,
    tunnel_other: ink.tunnel, tunnel_minor: ink.tunnel, tunnel_link: ink.tunnel, tunnel_major: ink.tunnel, tunnel_highway: ink.tunnel,
    tunnel_other_casing: ink.casing, tunnel_minor_casing: ink.casing, tunnel_link_casing: ink.casing,
    tunnel_major_casing: ink.casing, tunnel_highway_casing: ink.casing,
    other: ink.path, minor_service: ink.minor, minor_a: ink.minor, minor_b: ink.minor, link: ink.major,
    major: ink.major, highway: ink.highway,
    minor_service_casing: ink.casing, minor_casing: ink.casing, link_casing: ink.casing,
    major_casing_early: ink.casing, major_casing_late: ink.casing, highway_casing_early: ink.casing, highway_casing_late: ink.casing,
    bridges_other: ink.path, bridges_minor: ink.minor, bridges_link: ink.major, bridges_major: ink.major, bridges_highway: ink.highway,
    bridges_other_casing: ink.casing, bridges_minor_casing: ink.casing, bridges_link_casing: ink.casing,
    bridges_major_casing: ink.casing, bridges_highway_casing: ink.casing,
    railway: ink.rail,
    boundaries: ink.border,
    roads_label_minor: ink.name, roads_label_minor_halo: ink.halo,
    roads_label_major: ink.name_strong, roads_label_major_halo: ink.halo,
    ocean_label: ink.name_water,
    subplace_label: ink.name_faint, subplace_label_halo: ink.halo,
    city_label: ink.name_strong, city_label_halo: ink.halo,
    state_label: ink.name_faint, state_label_halo: ink.halo, country_label: ink.name_faint,
    address_label: ink.name_faint, address_label_halo: ink.halo,
  };
}

/** The library's font names stand for a weight each; the letters come from this computer's own fonts. */
const FONTS: Record<string, string[]> = {
  'Noto Sans Regular': ['Noto Sans', 'system-ui', 'sans-serif'],
  'Noto Sans Medium': ['Noto Sans Medium', 'Noto Sans', 'system-ui', 'sans-serif'],
  'Noto Sans Italic': ['Noto Sans Italic', 'Noto Sans', 'system-ui', 'sans-serif'],
};

/** Want a picture sheet that there is none of, or say what the console says better. */
const LEFT_OUT = new Set(['roads_shields', 'roads_oneway', 'pois', 'places_country', 'places_region', 'landcover']);

/** What people name when they cannot give an address. */
const LANDMARKS = [
  'station', 'ferry_terminal', 'aerodrome', 'hospital', 'university', 'college', 'school', 'library', 'townhall',
  'stadium', 'museum', 'theatre', 'attraction', 'marina', 'zoo', 'park', 'garden', 'peak', 'place_of_worship',
];

const width = (...stops: [zoom: number, px: number][]): ExpressionSpecification => [
  'interpolate', ['exponential', 1.6], ['zoom'], ...stops.flat(),
];

/** Rooms are dim and screens far: streets are drawn a little wider than the library does. */
const WIDTHS: Record<string, ExpressionSpecification> = {
  minor: width([11, 0.3], [12.5, 0.8], [15, 3.2], [18, 14], [20, 40]),
  minor_service: width([13, 0.3], [15, 1.4], [18, 8], [20, 22]),
  major: width([6, 0], [12, 1.8], [15, 5], [18, 18], [20, 50]),
  highway: width([3, 0], [6, 1.1], [12, 2.2], [15, 6.5], [18, 22], [20, 60]),
  link: width([13, 0.5], [15, 2.4], [18, 12], [20, 34]),
  other: width([14, 0.5], [16, 1.4], [20, 7]),
};
const CASING = width([11, 0], [12.5, 0.7], [16, 1.2], [20, 2]);

function widen(layer: LayerSpecification): void {
  if (layer.type !== 'line') return;
  const road = /^roads_(?:tunnels_|bridges_)?(minor_service|minor|major|highway|link|other)(_casing\w*)?$/.exec(layer.id);
  const wide = road && WIDTHS[road[1]!];
  if (!wide) return;
  layer.paint = road[2]
    ? { ...layer.paint, 'line-gap-width': wide, 'line-width': CASING }
    : { ...layer.paint, 'line-width': wide };
  layer.layout = { ...layer.layout, 'line-join': 'round', 'line-cap': road[2] ? 'butt' : 'round' };
}

/** Every layer of the base map, bottom first, from the vector source `source`. */
export function ground(source: string, theme: ThemeName, lang: Language): LayerSpecification[] {
  const ink = INKS[theme];
  const from = (part: string) => ({ source, 'source-layer': part });
  const name: ExpressionSpecification = ['coalesce', ['get', `name:${lang}`], ['get', 'name']];
  const made = JSON.parse(JSON.stringify(layers(source, flavour(theme), { lang })), (_, value: unknown) =>
    Array.isArray(value) && value.length === 1 && typeof value[0] === 'string' ? (FONTS[value[0]] ?? value) : value,
  ) as LayerSpecification[];
  const drawn: LayerSpecification[] = [];
  for (const layer of made) {
    if (LEFT_OUT.has(layer.id)) continue;
    widen(layer);
    if (layer.type === 'symbol') {
      const { 'icon-image': _, ...layout } = layer.layout ?? {};
      layer.layout = layout;
      layer.paint = { ...layer.paint, 'text-halo-width': 1.5 };
    }
    if (layer.id === 'buildings' && layer.type === 'fill') {
      layer.minzoom = 13;
      layer.paint = {
        'fill-color': ink.building,
        'fill-outline-color': ink.building_edge,
        // From afar blocks would outshine the streets between them.
        'fill-opacity': ['interpolate', ['linear'], ['zoom'], 13, 0.25, 15.5, 1],
      };
    } else if (layer.id === 'roads_rail' && layer.type === 'line') {
      layer.paint = { 'line-color': ink.rail, 'line-width': width([11, 0.6], [15, 1.3], [20, 3.5]), 'line-dasharray': [4, 1.6] };
    } else if (layer.id === 'address_label') {
      layer.minzoom = 17;
      layer.layout = { ...layer.layout, 'text-size': ['interpolate', ['linear'], ['zoom'], 17, 9.5, 19, 12.5] };
    } else if (layer.id === 'roads_labels_minor' || layer.id === 'roads_labels_major') {
      layer.layout = {
        ...layer.layout,
        'text-size': ['interpolate', ['linear'], ['zoom'], 12, 10.5, 15, 12, 18, 14.5],
        'symbol-spacing': 300,
        'text-letter-spacing': 0.02,
      };
      if (layer.id === 'roads_labels_minor') layer.minzoom = 14.5;
    } else if (layer.id === 'places_subplace') {
      layer.maxzoom = 16;
      layer.layout = { ...layer.layout, 'text-size': ['interpolate', ['linear'], ['zoom'], 11, 10, 15, 13.5] };
    }
    if (layer.id === 'address_label') {
      drawn.push({
        id: 'oneway', type: 'symbol', ...from('roads'), minzoom: 16,
        filter: ['in', ['to-string', ['get', 'oneway']], ['literal', ['yes', 'true', '1', '-1', 'reverse']]],
        layout: {
          'symbol-placement': 'line', 'symbol-spacing': 140, 'text-keep-upright': false, 'text-padding': 1,
          'text-field': ['case', ['in', ['to-string', ['get', 'oneway']], ['literal', ['-1', 'reverse']]], '←', '→'],
          'text-font': FONTS['Noto Sans Medium']!, 'text-size': ['interpolate', ['linear'], ['zoom'], 16, 11, 19, 18],
        },
        paint: { 'text-color': ink.name, 'text-halo-color': ink.halo, 'text-halo-width': 0.6 },
      });
    }
    drawn.push(layer);
    if (layer.id === 'roads_labels_major') {
      drawn.push({
        id: 'landmarks', type: 'symbol', ...from('pois'), minzoom: 14.5,
        filter: ['all', ['in', ['get', 'kind'], ['literal', LANDMARKS]], ['has', 'name'], ['>=', ['zoom'], ['coalesce', ['get', 'min_zoom'], 15]]],
        layout: {
          'text-field': name, 'text-font': FONTS['Noto Sans Italic']!, 'text-size': 11.5, 'text-max-width': 8, 'text-padding': 6,
          'symbol-sort-key': ['coalesce', ['get', 'min_zoom'], 15],
        },
        paint: { 'text-color': ink.name_faint, 'text-halo-color': ink.halo, 'text-halo-width': 1.5 },
      });
    }
  }
  return drawn;
}
