import type { Map as MapLibre } from 'maplibre-gl';
import { PALETTE, statusMark, unitShape, type MarkColour, type MarkShape } from './desk.svelte';
import { STALE_FIX_S, type Fixes } from './live.svelte';
import type { Unit } from './types';

/** Labels are drawn for at most this many units in view; beyond it they would only be a carpet. */
const LABELS_MAX = 300;
const GLYPH_PX = 30;
const CHAR_PX = 18;
const LABEL_FROM_PX = 17;
const APART_PX = 23;
/** Half the room an incident's own mark takes, plus half a unit's. */
const OFF_INCIDENT_PX = 29;
const ASIDE_MAX_PX = 4 * APART_PX;
const PICK_WITHIN_PX = 18;
const ATLAS_PX = 2048;
const POINTER_PX = 44;
/** A heading is drawn in one of this many directions, and from this speed on: slower, it is mostly noise. */
const DIRECTIONS = 32;
const HEADING_FROM_MPS = 1;
/** How far a label moves aside for a ring or for a pointer to the right. */
const LABEL_ASIDE_PX = 8;
/** Dots from a unit to its incident where its way is not drawn: a straight line that says whose it is, not which streets. */
const WAY_STEP_PX = 18;
const WAY_STEP_SELECTED_PX = 8;
const WAY_DOT_PX = 6;
const WAY_DOTS_MAX = 240;
const WAYS_MAX = 60;
const FLOATS_PER_SPRITE = 7;

type Fill = 'solid' | 'asked' | 'stale';

export interface Theme {
  ink: string;
  halo: string;
  /** Inside of a hollow mark, and its letter; null takes the status's own colour. */
  hollow: string;
  hollow_letter: string | null;
  /** Dots from a unit to where it is going. */
  way: string;
}

const VERTEX = `#version 300 es
in vec2 offset;   // Web Mercator offset from the local origin, world units
in vec2 shift;    // device pixels on screen
in vec3 tile;     // left, top and side in the atlas, device pixels
uniform vec2 origin_px;   // where the local origin stands, device pixels from the centre of the canvas
uniform vec2 turn;        // cosine and sine of the bearing
uniform float scale_px;   // device pixels per world unit
uniform vec2 half_px;
out vec3 v_tile;
void main() {
  vec2 p = offset * scale_px + origin_px;
  p = vec2(turn.x * p.x + turn.y * p.y, turn.x * p.y - turn.y * p.x);
  p = floor(p + half_px + shift + 0.5);   // whole pixels keep letters sharp
  gl_Position = vec4(p.x / half_px.x - 1.0, 1.0 - p.y / half_px.y, 0.0, 1.0);
  gl_PointSize = tile.z;
  v_tile = tile;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D atlas;
uniform float atlas_px;
in vec3 v_tile;
out vec4 colour;
void main() {
  colour = texture(atlas, (v_tile.xy + gl_PointCoord * v_tile.z) / atlas_px);
}`;

export function mercatorX(lon: number): number {
  return (lon + 180) / 360;
}

export function mercatorY(lat: number): number {
  return (1 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / Math.PI) / 2;
}

/** Traces a unit's shape around (0, 0); `r` is half the side of the square. */
export function traceShape(ctx: CanvasRenderingContext2D, shape: MarkShape, r: number): void {
  ctx.beginPath();
  if (shape === 'circle') ctx.arc(0, 0, r * 1.06, 0, Math.PI * 2);
  else if (shape === 'square') ctx.roundRect(-r, -r, 2 * r, 2 * r, r * 0.22);
  else if (shape === 'diamond') {
    const d = r * 1.3;
    ctx.moveTo(0, -d);
    ctx.lineTo(d, 0);
    ctx.lineTo(0, d);
    ctx.lineTo(-d, 0);
  } else {
    ctx.moveTo(0, -r * 1.3);
    ctx.lineTo(r * 1.32, r);
    ctx.lineTo(-r * 1.32, r);
  }
  ctx.closePath();
}

interface Tile {
  u: number;
  v: number;
  side: number;
  advance: number;
}

/** Square pictures and single characters, drawn once on a canvas and then sampled as sprites. */
class Atlas {
  readonly canvas = document.createElement('canvas');
  private readonly ctx: CanvasRenderingContext2D;
  private readonly tiles = new Map<string, Tile>();
  private readonly pointers: Tile[] = [];
  private next_u = 0;
  private next_v = 0;
  private row = 0;
  dirty = true;

  constructor(
    private readonly ratio: number,
    private readonly theme: Theme,
  ) {
    this.canvas.width = this.canvas.height = ATLAS_PX;
    this.ctx = this.canvas.getContext('2d', { willReadFrequently: false })!;
    this.ctx.textBaseline = 'middle';
    this.ctx.lineJoin = 'round';
  }

  private place(key: string, css_px: number, draw: (side: number) => number): Tile {
    const known = this.tiles.get(key);
    if (known) return known;
    const side = 2 * Math.ceil((css_px * this.ratio) / 2);
    if (this.next_u + side > ATLAS_PX) {
      this.next_u = 0;
      this.next_v += this.row;
      this.row = 0;
    }
    this.row = Math.max(this.row, side);
    this.ctx.save();
    this.ctx.translate(this.next_u + side / 2, this.next_v + side / 2);
    const advance = draw(side);
    this.ctx.restore();
    const made = { u: this.next_u, v: this.next_v, side, advance };
    this.tiles.set(key, made);
    this.next_u += side + 2;
    this.dirty = true;
    return made;
  }

  glyph(shape: MarkShape, fill: Fill, colour: MarkColour, letter: string) {
    return this.place(`${shape}|${fill}|${colour}|${letter}`, GLYPH_PX, (side) => {
      const ctx = this.ctx;
      const r = side * 0.29;
      ctx.globalAlpha = fill === 'stale' ? 0.85 : 1;
      // A dark rim keeps the mark apart from roads and from its neighbours, by day too.
      const asked = fill === 'asked';
      traceShape(ctx, shape, asked ? r * 1.08 : r);
      ctx.lineWidth = side * 0.15;
      ctx.strokeStyle = '#0b0e12';
      ctx.stroke();
      ctx.fillStyle = asked ? '#0b0e12' : fill === 'solid' ? PALETTE[colour] : this.theme.hollow;
      ctx.fill();
      if (fill !== 'solid') {
        ctx.lineWidth = side * 0.05;
        if (fill === 'stale') ctx.setLineDash([side * 0.1, side * 0.075]);
        ctx.strokeStyle = PALETTE[colour];
        traceShape(ctx, shape, r * (asked ? 1.12 : 0.98));
        ctx.stroke();
        ctx.setLineDash([]);
      }
      if (asked) {
        traceShape(ctx, shape, r * 0.8);
        ctx.fillStyle = PALETTE[colour];
        ctx.fill();
      }
      ctx.font = `700 ${Math.round(side * (shape === 'triangle' ? 0.36 : 0.42) * (asked ? 0.84 : 1))}px system-ui, sans-serif`;
      ctx.textAlign = 'center';
      ctx.fillStyle = fill !== 'stale' ? '#0b0e12' : (this.theme.hollow_letter ?? PALETTE[colour]);
      ctx.fillText(letter, 0, side * (shape === 'triangle' ? 0.1 : 0.03));
      return 0;
    });
  }

  ring(kind: 'selected' | 'emergency') {
    return this.place(`ring|${kind}`, GLYPH_PX + 14, (side) => {
      const ctx = this.ctx;
      ctx.beginPath();
      ctx.arc(0, 0, side / 2 - 2 * this.ratio, 0, Math.PI * 2);
      ctx.lineWidth = (kind === 'emergency' ? 3.5 : 2) * this.ratio;
      ctx.strokeStyle = kind === 'emergency' ? '#FF3B30' : this.theme.ink;
      ctx.stroke();
      return 0;
    });
  }

  /** A point on the rim of a mark, towards where the unit drives; `turn` counts clockwise from up. */
  pointer(turn: number): Tile {
    return (this.pointers[turn] ??= this.place(`pointer|${turn}`, POINTER_PX, (side) => {
      const ctx = this.ctx;
      ctx.rotate((turn / DIRECTIONS) * 2 * Math.PI);
      const tip = -side * 0.46;
      const root = -side * 0.3;
      ctx.beginPath();
      ctx.moveTo(0, tip);
      ctx.lineTo(side * 0.13, root);
      ctx.quadraticCurveTo(0, root - side * 0.05, -side * 0.13, root);
      ctx.closePath();
      ctx.lineWidth = 2.4 * this.ratio;
      ctx.strokeStyle = this.theme.halo;
      ctx.stroke();
      ctx.fillStyle = this.theme.ink;
      ctx.fill();
      return 0;
    }));
  }

  dot() {
    return this.place('way', WAY_DOT_PX, (side) => {
      const ctx = this.ctx;
      ctx.beginPath();
      ctx.arc(0, 0, side * 0.27, 0, Math.PI * 2);
      ctx.lineWidth = 1.4 * this.ratio;
      ctx.strokeStyle = this.theme.halo;
      ctx.stroke();
      ctx.fillStyle = this.theme.way;
      ctx.fill();
      return 0;
    });
  }

  character(char: string, strong: boolean) {
    return this.place(`${strong ? 'b' : 'a'}${char}`, CHAR_PX, (side) => {
      const ctx = this.ctx;
      ctx.font = `${strong ? 650 : 400} ${Math.round((strong ? 12 : 11) * this.ratio)}px system-ui, sans-serif`;
      ctx.textAlign = 'center';
      ctx.lineWidth = 3 * this.ratio;
      ctx.strokeStyle = this.theme.halo;
      ctx.strokeText(char, 0, 0);
      ctx.fillStyle = this.theme.ink;
      ctx.fillText(char, 0, 0);
      return ctx.measureText(char).width;
    });
  }
}

/** What of a unit stays the same from fix to fix. */
interface Row {
  unit: Unit;
  fresh: Tile;
  stale: Tile;
  endangered: boolean;
  under_way: boolean;
}

/**
 * Units over the base map on a canvas of their own, so that the base map sleeps while they move.
 *
 * Everything (marks, rings, the characters of labels) is a point sprite out of one atlas, drawn in one call
 * from one typed array. Positions are 32-bit offsets from the city's centre in Web Mercator world units; at
 * zoom 20 their rounding stays under a tenth of a pixel.
 */
export class UnitOverlay {
  readonly canvas = document.createElement('canvas');
  selected: string | null = null;
  /** Units whose way is drawn along the streets, and needs no dots. */
  drawn: ReadonlySet<string> = new Set();
  private gl: WebGL2RenderingContext | null = null;
  private program: WebGLProgram | null = null;
  private atlas!: Atlas;
  private texture: WebGLTexture | null = null;
  private uniforms: Record<string, WebGLUniformLocation | null> = {};
  private sprites = new Float32Array(4096 * FLOATS_PER_SPRITE);
  private sprite_count = 0;
  private scenes: { id: string; selected: boolean; x: number; y: number }[] = [];
  private units: Unit[] = [];
  private rows: Row[] = [];
  private old_rows = true;
  /**
   * Who stands where, the first `count` of each, in Web Mercator world units from the local origin and in CSS
   * pixels aside of it. Flat, since with thousands of units moving four times a second objects would be most of
   * the work.
   */
  private count = 0;
  private who = new Uint32Array(0);
  private x = new Float64Array(0);
  private y = new Float64Array(0);
  private aside_x = new Float32Array(0);
  private aside_y = new Float32Array(0);
  private age_s = new Float32Array(0);
  private zoom_built = -1;
  private ratio = 1;
  private queued = 0;
  private stale_rows = true;
  private readonly watcher: ResizeObserver;

  constructor(
    private readonly map: MapLibre,
    private readonly fixes: Fixes,
    private readonly origin: { lon: number; lat: number },
    private readonly now_ms: () => number,
    private readonly ageWords: (seconds: number) => string,
    private theme: Theme,
    told: (lost: boolean) => void = () => {},
  ) {
    this.canvas.className = 'unit-overlay';
    // Here and not in a component's styles: it fills any map's container, also that of a sheet of paper.
    Object.assign(this.canvas.style, { position: 'absolute', inset: '0', width: '100%', height: '100%', pointerEvents: 'none', zIndex: '2' });
    this.canvas.setAttribute('aria-hidden', 'true');
    map.getCanvasContainer().after(this.canvas);
    this.canvas.addEventListener('webglcontextlost', (event) => {
      event.preventDefault();
      this.gl = null;
      told(true);
    });
    this.canvas.addEventListener('webglcontextrestored', () => {
      this.start();
      this.refresh();
      told(false);
    });
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.canvas);
    this.start();
    this.resize();
    map.on('move', this.moved);
  }

  setUnits(units: Iterable<Unit>): void {
    this.units = [...units];
    this.old_rows = true;
    this.refresh();
  }

  /** Where incidents are marked: crews that stand there are drawn beside the mark, not under it. */
  setScenes(scenes: Iterable<{ id: string; selected: boolean; lon: number; lat: number }>): void {
    const x = mercatorX(this.origin.lon);
    const y = mercatorY(this.origin.lat);
    this.scenes = [...scenes].map((s) => ({ id: s.id, selected: s.selected, x: mercatorX(s.lon) - x, y: mercatorY(s.lat) - y }));
    this.refresh();
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    this.atlas = new Atlas(this.ratio, theme);
    this.old_rows = true;
    this.refresh();
  }

  /** Rows, fixes or the clock changed: build the sprites again before the next paint. */
  refresh(): void {
    this.stale_rows = true;
    this.queued ||= requestAnimationFrame(() => {
      this.queued = 0;
      this.draw();
    });
  }

  /** The unit whose mark lies nearest to a point of the map's container, CSS pixels, if one is near. */
  pick(x: number, y: number): string | null {
    const { scale, ox, oy, cos, sin } = this.camera();
    const half_w = this.canvas.clientWidth / 2;
    const half_h = this.canvas.clientHeight / 2;
    let best: string | null = null;
    let best_d = PICK_WITHIN_PX;
    for (let k = 0; k < this.count; k++) {
      const ax = this.x[k]! * scale + ox;
      const ay = this.y[k]! * scale + oy;
      const dx = cos * ax + sin * ay + half_w + this.aside_x[k]! - x;
      const dy = cos * ay - sin * ax + half_h + this.aside_y[k]! - y;
      if (Math.abs(dx) > best_d || Math.abs(dy) > best_d) continue;
      const d = Math.hypot(dx, dy);
      if (d < best_d) {
        best_d = d;
        best = this.rows[this.who[k]!]!.unit.id;
      }
    }
    return best;
  }

  /** The canvas as it is now, to be copied before anything else runs: what it holds is gone with the frame. */
  snapshot(): HTMLCanvasElement {
    this.draw();
    return this.canvas;
  }

  destroy(): void {
    cancelAnimationFrame(this.queued);
    this.watcher.disconnect();
    this.map.off('move', this.moved);
    this.canvas.remove();
    this.gl?.getExtension('WEBGL_lose_context')?.loseContext();
    this.gl = null;
  }

  private readonly moved = () => this.draw();

  private start(): void {
    const gl = this.canvas.getContext('webgl2', { alpha: true, antialias: false, depth: false });
    this.gl = gl;
    if (!gl) return;
    const shader = (kind: number, source: string) => {
      const made = gl.createShader(kind)!;
      gl.shaderSource(made, source);
      gl.compileShader(made);
      if (!gl.getShaderParameter(made, gl.COMPILE_STATUS) && !gl.isContextLost()) {
        throw new Error(gl.getShaderInfoLog(made) ?? 'shader');
      }
      return made;
    };
    const program = gl.createProgram()!;
    gl.attachShader(program, shader(gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, shader(gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    gl.useProgram(program);
    this.program = program;
    for (const name of ['origin_px', 'turn', 'scale_px', 'half_px', 'atlas', 'atlas_px']) {
      this.uniforms[name] = gl.getUniformLocation(program, name);
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    const stride = FLOATS_PER_SPRITE * 4;
    for (const [name, size, from] of [
      ['offset', 2, 0],
      ['shift', 2, 8],
      ['tile', 3, 16],
    ] as const) {
      const at = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, size, gl.FLOAT, false, stride, from);
    }
    this.texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
      gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    }
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    if (this.atlas) this.atlas.dirty = true;
  }

  private resize(): void {
    const ratio = this.map.getPixelRatio() || 1;
    if (ratio !== this.ratio || !this.atlas) {
      this.ratio = ratio;
      this.atlas = new Atlas(ratio, this.theme);
      this.old_rows = true;
    }
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.stale_rows = true;
    this.draw();
  }

  /** Camera in CSS pixels: the local origin's place before turning, measured from the centre of the canvas. */
  private camera() {
    const centre = this.map.getCenter();
    const scale = 512 * 2 ** this.map.getZoom();
    const bearing = (this.map.getBearing() * Math.PI) / 180;
    return {
      scale,
      ox: (mercatorX(this.origin.lon) - mercatorX(centre.lng)) * scale,
      oy: (mercatorY(this.origin.lat) - mercatorY(centre.lat)) * scale,
      cos: Math.cos(bearing),
      sin: Math.sin(bearing),
    };
  }

  /** Looks up what a unit is drawn with, once for each of its rows and not for each of its fixes. */
  private look(): void {
    this.rows = this.units
      .filter((unit) => unit.status !== 'off_duty')
      .map((unit) => {
        const { colour, letter } = statusMark(unit.status);
        const shape = unitShape(unit);
        return {
          unit,
          fresh: this.atlas.glyph(shape, unit.command === 'requested' ? 'asked' : 'solid', colour, letter),
          stale: this.atlas.glyph(shape, 'stale', colour, letter),
          endangered: unit.flags.some((f) => f.flag === 'emergency'),
          under_way: unit.status === 'en_route' && unit.incident !== null,
        };
      });
    const n = this.rows.length;
    if (n > this.who.length) {
      this.who = new Uint32Array(n);
      this.x = new Float64Array(n);
      this.y = new Float64Array(n);
      this.aside_x = new Float32Array(n);
      this.aside_y = new Float32Array(n);
      this.age_s = new Float32Array(n);
    }
    this.old_rows = false;
  }

  private build(): void {
    if (this.old_rows) this.look();
    const scale = 512 * 2 ** this.map.getZoom();
    const now_ms = this.now_ms();
    const origin_x = mercatorX(this.origin.lon);
    const origin_y = mercatorY(this.origin.lat);
    const { lon, lat, at_ms } = this.fixes;
    this.sprite_count = 0;
    let count = 0;
    for (let i = 0; i < this.rows.length; i++) {
      const n = this.rows[i]!.unit.n;
      const fixed_ms = at_ms[n] ?? 0;
      if (!fixed_ms) continue;
      this.who[count] = i;
      this.x[count] = mercatorX(lon[n]!) - origin_x;
      this.y[count] = mercatorY(lat[n]!) - origin_y;
      this.aside_x[count] = this.aside_y[count] = 0;
      this.age_s[count] = (now_ms - fixed_ms) / 1000;
      count++;
    }
    this.count = count;
    const seen = this.inView(scale);
    if (seen.length <= LABELS_MAX) this.setApart(seen, scale);
    this.ways(scale);
    const bearing_deg = this.map.getBearing();
    for (let k = 0; k < count; k++) {
      const row = this.rows[this.who[k]!]!;
      const turn = this.turnOf(k, bearing_deg);
      if (turn !== null) this.beside(k, this.atlas.pointer(turn));
      this.beside(k, this.age_s[k]! > STALE_FIX_S ? row.stale : row.fresh);
    }
    for (let k = 0; k < count; k++) {
      const { endangered, unit } = this.rows[this.who[k]!]!;
      if (endangered || unit.id === this.selected) this.beside(k, this.atlas.ring(endangered ? 'emergency' : 'selected'));
    }
    this.label(seen, scale, bearing_deg);
    this.zoom_built = this.map.getZoom();
    this.stale_rows = false;
  }

  /** Those in the view and half as far again around it, which keeps labels steady while the map is panned. */
  private inView(scale: number): number[] {
    const { ox, oy, cos, sin } = this.camera();
    const reach_x = this.canvas.clientWidth * 0.75;
    const reach_y = this.canvas.clientHeight * 0.75;
    const seen: number[] = [];
    for (let k = 0; k < this.count; k++) {
      const ax = this.x[k]! * scale + ox;
      const ay = this.y[k]! * scale + oy;
      if (Math.abs(cos * ax + sin * ay) < reach_x && Math.abs(cos * ay - sin * ax) < reach_y) seen.push(k);
    }
    return seen;
  }

  /** Which way a unit drives on screen, in steps of a full turn clockwise from up; null when it is not known to. */
  private turnOf(k: number, bearing_deg: number): number | null {
    const { n } = this.rows[this.who[k]!]!.unit;
    const heading_deg = this.fixes.heading_deg[n]!;
    if (this.age_s[k]! > STALE_FIX_S || !(this.fixes.speed_mps[n]! >= HEADING_FROM_MPS) || Number.isNaN(heading_deg)) return null;
    const steps = Math.round(((heading_deg - bearing_deg) / 360) * DIRECTIONS);
    return ((steps % DIRECTIONS) + DIRECTIONS) % DIRECTIONS;
  }

  /** Dots from each unit that is under way to its incident, within and a little around the view. */
  private ways(scale: number): void {
    const { ox, oy } = this.camera();
    const reach = Math.max(this.canvas.clientWidth, this.canvas.clientHeight);
    const to = new Map(this.scenes.map((scene) => [scene.id, scene]));
    let drawn = 0;
    for (let k = 0; k < this.count && drawn < WAYS_MAX; k++) {
      const { unit, under_way } = this.rows[this.who[k]!]!;
      const goal = under_way && !this.drawn.has(unit.id) && this.age_s[k]! <= STALE_FIX_S ? to.get(unit.incident!) : undefined;
      if (!goal) continue;
      const from_x = this.x[k]!;
      const from_y = this.y[k]!;
      const length = Math.hypot((goal.x - from_x) * scale, (goal.y - from_y) * scale);
      const step = goal.selected || unit.id === this.selected ? WAY_STEP_SELECTED_PX : WAY_STEP_PX;
      let dots = 0;
      for (let d = OFF_INCIDENT_PX; d < length - OFF_INCIDENT_PX && dots < WAY_DOTS_MAX; d += step) {
        const x = from_x + ((goal.x - from_x) * d) / length;
        const y = from_y + ((goal.y - from_y) * d) / length;
        if (Math.abs(x * scale + ox) > reach || Math.abs(y * scale + oy) > reach) continue;
        this.add(x, y, 0, 0, this.atlas.dot());
        dots++;
      }
      drawn++;
    }
  }

  /** Crews standing close together are set beside each other, so that none hides another. Moving ones stay where they are. */
  private setApart(seen: readonly number[], scale: number): void {
    const cells = new Map<number, { x: number; y: number }[]>();
    const cellOf = (cx: number, cy: number) => cx * 1_000_003 + cy;
    const scenes = this.scenes.map((s) => ({ x: s.x * scale, y: s.y * scale }));
    const free = (x: number, y: number): boolean => {
      if (scenes.some((s) => Math.abs(s.x - x) < OFF_INCIDENT_PX && Math.abs(s.y - y) < OFF_INCIDENT_PX)) return false;
      const cx = Math.floor(x / APART_PX);
      const cy = Math.floor(y / APART_PX);
      for (let i = -1; i <= 1; i++) {
        for (let j = -1; j <= 1; j++) {
          for (const o of cells.get(cellOf(cx + i, cy + j)) ?? []) {
            if (Math.abs(o.x - x) < APART_PX && Math.abs(o.y - y) < APART_PX) return false;
          }
        }
      }
      return true;
    };
    const take = (x: number, y: number): void => {
      const key = cellOf(Math.floor(x / APART_PX), Math.floor(y / APART_PX));
      const held = cells.get(key);
      if (held) held.push({ x, y });
      else cells.set(key, [{ x, y }]);
    };
    const moving = (k: number) => this.fixes.speed_mps[this.rows[this.who[k]!]!.unit.n]! > 1;
    for (const k of seen) if (moving(k)) take(this.x[k]! * scale, this.y[k]! * scale);
    for (const k of seen) {
      if (moving(k)) continue;
      const x = this.x[k]! * scale;
      const y = this.y[k]! * scale;
      let shift = { x: 0, y: 0 };
      search: for (let r = 0; r <= ASIDE_MAX_PX; r += APART_PX) {
        for (let dy = -r; dy <= r; dy += APART_PX) {
          for (let dx = -r; dx <= r; dx += APART_PX) {
            if (Math.max(Math.abs(dx), Math.abs(dy)) !== r || !free(x + dx, y + dy)) continue;
            shift = { x: dx, y: dy };
            break search;
          }
        }
      }
      this.aside_x[k] = shift.x;
      this.aside_y[k] = shift.y;
      take(x + shift.x, y + shift.y);
    }
  }

  private label(seen: readonly number[], scale: number, bearing_deg: number): void {
    const { ox, oy, cos, sin } = this.camera();
    const ids = (k: number) => this.rows[this.who[k]!]!.unit.id;
    const labelled = seen.length <= LABELS_MAX ? seen : seen.filter((k) => ids(k) === this.selected);
    if (!labelled.length) return;
    const place = (k: number): [number, number] => {
      const ax = this.x[k]! * scale + ox;
      const ay = this.y[k]! * scale + oy;
      return [cos * ax + sin * ay + this.aside_x[k]!, cos * ay - sin * ax + this.aside_y[k]!];
    };
    const taken = seen.length > LABELS_MAX ? [] : seen.map((k) => {
      const [sx, sy] = place(k);
      return { l: sx - 10, t: sy - 9, r: sx + 10, b: sy + 9 };
    });
    for (const k of labelled) {
      const { unit, endangered } = this.rows[this.who[k]!]!;
      const [sx, sy] = place(k);
      const tail = this.age_s[k]! > STALE_FIX_S ? ' ' + this.ageWords(this.age_s[k]!) : '';
      const width = unit.id.length * 8 + tail.length * 6;
      const box = { l: sx + LABEL_FROM_PX - 3, t: sy - 6, r: sx + LABEL_FROM_PX + width, b: sy + 6 };
      const free = taken.every((o) => box.l > o.r || box.r < o.l || box.t > o.b || box.b < o.t);
      if (!free && unit.id !== this.selected) continue;
      taken.push(box);
      const ringed = unit.id === this.selected || endangered;
      const turn = this.turnOf(k, bearing_deg);
      const pointed = turn !== null && turn > DIRECTIONS / 8 && turn < (DIRECTIONS * 3) / 8;
      let x = (LABEL_FROM_PX + (ringed || pointed ? LABEL_ASIDE_PX : 0) + this.aside_x[k]!) * this.ratio;
      const run = (text: string, strong: boolean) => {
        for (const char of text) {
          const tile = this.atlas.character(char, strong);
          x += tile.advance / 2;
          this.add(this.x[k]!, this.y[k]!, x, this.aside_y[k]! * this.ratio, tile);
          x += tile.advance / 2;
        }
      };
      run(unit.id, true);
      run(tail, false);
    }
  }

  private beside(k: number, tile: Tile): void {
    this.add(this.x[k]!, this.y[k]!, this.aside_x[k]! * this.ratio, this.aside_y[k]! * this.ratio, tile);
  }

  private add(x: number, y: number, shift_x: number, shift_y: number, tile: Tile): void {
    const from = this.sprite_count++ * FLOATS_PER_SPRITE;
    if (from + FLOATS_PER_SPRITE > this.sprites.length) {
      const grown = new Float32Array(this.sprites.length * 2);
      grown.set(this.sprites);
      this.sprites = grown;
    }
    const s = this.sprites;
    s[from] = x;
    s[from + 1] = y;
    s[from + 2] = shift_x;
    s[from + 3] = shift_y;
    s[from + 4] = tile.u;
    s[from + 5] = tile.v;
    s[from + 6] = tile.side;
  }

  private draw(): void {
    const gl = this.gl;
    if (!gl || gl.isContextLost() || !this.canvas.width) return;
    const rebuilt = this.stale_rows || Math.abs(this.map.getZoom() - this.zoom_built) > 0.02;
    if (rebuilt) this.build();
    if (this.atlas.dirty) {
      gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, this.atlas.canvas);
      this.atlas.dirty = false;
    }
    const { scale, ox, oy, cos, sin } = this.camera();
    const { width, height } = this.canvas;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    gl.uniform2f(this.uniforms['origin_px']!, ox * this.ratio, oy * this.ratio);
    gl.uniform2f(this.uniforms['turn']!, cos, sin);
    gl.uniform1f(this.uniforms['scale_px']!, scale * this.ratio);
    gl.uniform2f(this.uniforms['half_px']!, width / 2, height / 2);
    gl.uniform1f(this.uniforms['atlas_px']!, ATLAS_PX);
    gl.uniform1i(this.uniforms['atlas']!, 0);
    if (rebuilt) {
      const used = this.sprites.subarray(0, this.sprite_count * FLOATS_PER_SPRITE);
      gl.bufferData(gl.ARRAY_BUFFER, used, gl.DYNAMIC_DRAW);
    }
    gl.drawArrays(gl.POINTS, 0, this.sprite_count);
  }
}
