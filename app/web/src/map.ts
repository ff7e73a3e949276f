import { Map as MapLibre, setWorkerUrl, type StyleSpecification } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import 'maplibre-gl/dist/maplibre-gl.css';
import { ground, type ThemeName } from './ground';
import type { View } from './live.svelte';
import { paint } from './marks';
import { CityTiles } from './tiles';
import type { City } from './types';
import type { Language } from './words.svelte';

setWorkerUrl(workerUrl);

const SOURCE = 'city';
const WIDEST_ZOOM = 8;
/** What the attribution and a note above it cover of the map's foot: no unit of the whole city's view is under it. */
export const FOOT_PX = 72;

/** The map, its camera where it stood before in this city, else over all of it; without tiles it is an empty ground for units and incidents. */
export function baseMap(
  container: HTMLElement,
  city: City,
  theme: ThemeName,
  lang: Language,
  title: string,
  view: View | null,
  missing: (is_missing: boolean) => void,
): { map: MapLibre; close: () => void } {
  const { tiles } = city;
  const style: StyleSpecification = {
    version: 8,
    sources: tiles
      ? { [SOURCE]: { type: 'vector', tiles: [CityTiles.template], minzoom: tiles.min_zoom, maxzoom: tiles.max_zoom, bounds: city.bbox } }
      : {},
    layers: ground(SOURCE, theme, lang).filter((layer) => tiles || layer.type === 'background'),
  };
  const map = new MapLibre({
    container,
    style,
    ...(view?.city === city.name ? { center: [view.lon, view.lat], zoom: view.zoom } : { bounds: city.bbox, fitBoundsOptions: { padding: { top: 8, left: 8, right: 8, bottom: FOOT_PX } } }),
    minZoom: WIDEST_ZOOM,
    maxZoom: 20,
    maxPitch: 0, // the overlay counts on a flat map, and a tilted one misleads about distance
    attributionControl: false, // shown by the console itself, always open
    fadeDuration: 0,
    locale: { 'Map.Title': title },
  });
  map.touchZoomRotate.disableRotation();
  map.dragRotate.disable();
  map.keyboard.disableRotation();
  if (!tiles) {
    missing(true);
    return { map, close: () => map.remove() };
  }
  const archive = new CityTiles(new URL(tiles.url, location.href).href, missing);
  return {
    map,
    close() {
      archive.close();
      map.remove();
    },
  };
}

/** Recolours and renames every layer of the base map in place; the camera and the data stay. */
export const paintMap = (map: MapLibre, theme: ThemeName, lang: Language): void => paint(map, ground(SOURCE, theme, lang));

/** True when WebGL is drawn by the processor, false by a graphics card, null when there is no WebGL at all. */
export function softwareDrawn(): boolean | null {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl) return null;
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}
