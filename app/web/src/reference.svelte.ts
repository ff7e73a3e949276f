import type { Feature, Position } from 'geojson';
import { api, faultWords, Problem } from './api';
import type { Density, LayerImport } from './types';
import { has, t, words } from './words.svelte';

/** West, south, east, north, degrees. */
export type Box = readonly [number, number, number, number];

const FEATURES_MAX = 10_000;
const NEAREST_MAX = 10;
/** A layer of no more than this is fetched once and whole; a larger one as the view moves. */
const WHOLE_MAX = 1_500;
const MARGIN = 0.35;
/** Where lamps stand by the thousand, a wide margin would be more than the view. */
const MARGIN_DOTS = 0.1;
const SETTLE_MS = 250;
const FRESH_MS = 10 * 60_000;
const WORLD: Box = [-180, -90, 180, 90];

/** Layers that a dispatcher sees until choosing otherwise. */
const AT_FIRST = ['stations', 'hospitals', 'hydrants', 'street_lamps', 'traffic_signals'];
/** Below these zoom levels a layer would only be a carpet. */
const FROM_ZOOM: Record<string, number> = { traffic_signals: 13, hydrants: 12 };
/** Drawn as dots from this zoom on, and below it as a glow, which tells how many there are and not which. */
export const DOTS_FROM_ZOOM = 14;
const DOTS = new Set(['street_lamps']);

/** A layer with everything that makes it up. */
export interface Layer {
  layer: string;
  title: LayerImport['title'];
  count: number;
  imports: LayerImport[];
}

export interface Held {
  box: Box;
  features: Feature[];
  truncated: boolean;
  at_ms: number;
}

export interface LayerState {
  held: Held | null;
  /** The whole layer from afar, where it is one of dots. */
  glow: Density | null;
  glow_ms: number;
  /** True while it is that which the map shows. */
  glowing: boolean;
  loading: boolean;
  /** Why the last loading failed, in words. */
  fault: string | null;
  /** True when the map shows too much ground for this layer. */
  far: boolean;
}

export interface Found {
  layer: string;
  feature: Feature;
  at: Position;
}

export const layerTitle = (layer: Layer): string => layer.title?.[words.lang] ?? layer.layer.replaceAll('_', ' ');

export const sourceName = (source: string): string => (source === 'osm' ? 'OpenStreetMap' : source);

/** What a person would call it: OpenStreetMap's own numbers say nothing to anybody, so its kind stands in for them. */
export function featureName(feature: Feature, title: string): string {
  const { name, number, ref, source, kind, type } = feature.properties ?? {};
  const kinds = [kind, type].filter((word) => word && has(`kind-${word}`)).map((word) => t(`kind-${word}`));
  return String(name || number || (source === 'osm' ? '' : ref) || kinds.join(', ') || title);
}

/** One point for a feature: its own, or the one that the server chose on its line or in its area. */
export function placeOf(feature: Feature): Position | null {
  return feature.geometry.type === 'Point' ? feature.geometry.coordinates : ((feature.properties?.['point'] as Position | undefined) ?? null);
}

const within = (inner: Box, outer: Box) =>
  inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3];

function around(box: Box, margin: number): Box {
  const x = (box[2] - box[0]) * margin;
  const y = (box[3] - box[1]) * margin;
  return [Math.max(-180, box[0] - x), Math.max(-90, box[1] - y), Math.min(180, box[2] + x), Math.min(90, box[3] + y)];
}

/**
 * The reference layers that the server has, which of them this person looks at, and what of each lies in view.
 *
 * The choice is kept in this browser under the person's name. What is fetched is bounded, waits until the map
 * rests, and stays when a later fetch fails: an old hydrant is better than none, and the fault is told.
 */
export class Reference {
  list = $state.raw<Layer[]>([]);
  fault = $state.raw<string | null>(null);
  asked = $state(false);
  chosen = $state.raw<ReadonlySet<string>>(new Set());
  states = $state.raw<ReadonlyMap<string, LayerState>>(new Map());

  private readonly key: string;
  private view: { box: Box; zoom: number } | null = null;
  private settling: ReturnType<typeof setTimeout> | undefined;
  private turns = new Map<string, number>();
  private closed = false;

  constructor(user: string) {
    this.key = `straja.layers.${user}`;
    this.chosen = new Set(this.remembered() ?? AT_FIRST);
  }

  async open(): Promise<void> {
    try {
      const rows = await api.layers();
      this.list = [...new Set(rows.map((row) => row.layer))].map((layer) => {
        const imports = rows.filter((row) => row.layer === layer);
        return { layer, imports, title: imports[0]?.title ?? null, count: imports.reduce((sum, one) => sum + one.count, 0) };
      });
      this.fault = null;
    } catch (fault) {
      // A server of an older version has no layers at all: nothing is missing then.
      this.fault = fault instanceof Problem && fault.status === 404 ? null : faultWords(fault);
    }
    this.asked = true;
    this.look();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.settling);
  }

  choose(layer: string, on: boolean): void {
    const next = new Set(this.chosen);
    if (on) next.add(layer);
    else next.delete(layer);
    this.chosen = next;
    localStorage.setItem(this.key, JSON.stringify([...next]));
    this.look();
  }

  /** Shows these for now, as a view or a link asks; the person's own choice is kept as it was. */
  show(layers: Iterable<string>): void {
    this.chosen = new Set(layers);
    this.look();
  }

  /** The map has come to rest over `box` at `zoom`. */
  moved(box: Box, zoom: number): void {
    this.view = { box, zoom };
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.look(), SETTLE_MS);
  }

  again(): void {
    if (this.fault) void this.open();
    for (const [layer, state] of this.states) if (state.fault) this.set(layer, { fault: null });
    this.look();
  }

  /** What of a layer is nearest to a point, also what the map does not show. Throws what `api` throws. */
  async nearest(layer: string, lon: number, lat: number): Promise<Found[]> {
    const answer = await api.nearest(layer, lon, lat, NEAREST_MAX);
    return answer.features.flatMap((feature) => {
      const at = placeOf(feature);
      return at ? [{ layer, feature, at }] : [];
    });
  }

  shown(layer: string): boolean {
    return this.chosen.has(layer);
  }

  state(layer: string): LayerState {
    return this.states.get(layer) ?? { held: null, glow: null, glow_ms: 0, glowing: false, loading: false, fault: null, far: false };
  }

  private remembered(): string[] | null {
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(this.key) ?? 'null');
      return Array.isArray(kept) ? kept.filter((name) => typeof name === 'string') : null;
    } catch {
      return null;
    }
  }

  private set(layer: string, change: Partial<LayerState>): void {
    this.states = new Map(this.states).set(layer, { ...this.state(layer), ...change });
  }

  /** Fetches what the view needs and is not here yet. */
  private look(): void {
    const view = this.view;
    if (!view || this.closed) return;
    for (const layer of this.list) {
      if (!this.chosen.has(layer.layer)) continue;
      const far = view.zoom < (FROM_ZOOM[layer.layer] ?? 0);
      const state = this.state(layer.layer);
      if (far !== state.far) this.set(layer.layer, { far });
      if (far) continue;
      const dots = DOTS.has(layer.layer);
      const glowing = dots && view.zoom < DOTS_FROM_ZOOM;
      if (glowing !== state.glowing) this.set(layer.layer, { glowing });
      if (glowing) {
        if (!state.glow || state.fault || Date.now() - state.glow_ms > FRESH_MS) void this.loadGlow(layer.layer);
        continue;
      }
      const { held } = state;
      const fresh = held !== null && Date.now() - held.at_ms < FRESH_MS;
      // A box that was cut short is asked for anew as soon as the view is another: nearer, it may hold all.
      if (fresh && within(view.box, held.box) && !held.truncated && !state.fault) continue;
      void this.load(layer, layer.count <= WHOLE_MAX ? WORLD : around(view.box, dots ? MARGIN_DOTS : MARGIN));
    }
  }

  private loadGlow = (name: string): Promise<void> =>
    this.fetch(name, async () => ({ glow: await api.density(name), glow_ms: Date.now() }));

  private load = (layer: Layer, box: Box): Promise<void> =>
    this.fetch(layer.layer, async () => {
      const { features, truncated } = await api.features(layer.layer, box, FEATURES_MAX);
      return { held: { box, features, truncated: truncated ?? false, at_ms: Date.now() } };
    });

  /** The last one asked for wins; what a fetch that fails would have replaced stays. */
  private async fetch(name: string, ask: () => Promise<Partial<LayerState>>): Promise<void> {
    const turn = (this.turns.get(name) ?? 0) + 1;
    this.turns.set(name, turn);
    this.set(name, { loading: true });
    try {
      const change = await ask();
      if (this.closed || this.turns.get(name) !== turn) return;
      this.set(name, { ...change, loading: false, fault: null });
    } catch (fault) {
      if (this.closed || this.turns.get(name) !== turn) return;
      this.set(name, { loading: false, fault: faultWords(fault) });
    }
  }
}
