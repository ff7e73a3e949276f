import type { Map as MapLibre } from 'maplibre-gl';
import type { Theme } from './overlay';
import type { Incident } from './types';
import { priorityDigit } from './words.svelte';

/** What only paper has: its sizes, a grid by which two people name the same square over the radio, a scale. */

export type Paper = 'A4' | 'A3';
const SIDES_MM: Record<Paper, [short: number, long: number]> = { A4: [210, 297], A3: [297, 420] };
const MARGIN_MM = 10;
const HEAD_MM = 10;
const FOOT_MM = 30;

/** How units are drawn on white. */
export const PAPER: Theme = { ink: '#11151a', halo: '#ffffff', hollow: '#ffffff', hollow_letter: '#11151a', way: '#0b4a8f' };

/** The map's side lengths on a sheet, millimetres. */
export function sheetMm(paper: Paper, upright: boolean): { map_w: number; map_h: number } {
  const [short, long] = SIDES_MM[paper];
  const [w, h] = upright ? [short, long] : [long, short];
  return { map_w: w - 2 * MARGIN_MM, map_h: h - 2 * MARGIN_MM - HEAD_MM - FOOT_MM };
}

/** A round length of 20 to 60 mm on paper. */
export function scaleBar(metres_per_mm: number): { metres: number; mm: number } {
  const most = metres_per_mm * 60;
  const power = 10 ** Math.floor(Math.log10(most));
  const metres = [5, 2, 1].map((n) => n * power).find((n) => n <= most) ?? power;
  return { metres, mm: metres / metres_per_mm };
}

/** Between grid lines, seconds of arc. */
const STEPS_S = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600];
const COLUMNS = 8;

export function stepS(span_deg: number, lines: number): number {
  return STEPS_S.find((step) => (span_deg * 3600) / step <= lines) ?? STEPS_S.at(-1)!;
}

/** 60°10′15″ */
export function degrees(value: number): string {
  const s = Math.round(Math.abs(value) * 3600);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${Math.floor(s / 3600)}°${two(Math.floor((s % 3600) / 60))}′${two(s % 60)}″`;
}

const lettered = (n: number): string => (n < 26 ? '' : String.fromCharCode(64 + Math.floor(n / 26))) + String.fromCharCode(65 + (n % 26));

/** Meridians and parallels with their degrees, and a letter or number for each column and row of squares between. */
export function drawGrid(ctx: CanvasRenderingContext2D, map: MapLibre, ratio: number): void {
  const bounds = map.getBounds();
  const [west, east, south, north] = [bounds.getWest(), bounds.getEast(), bounds.getSouth(), bounds.getNorth()];
  const { width, height } = ctx.canvas;
  const step = stepS(east - west, COLUMNS) / 3600;
  // Squares on the ground: a degree of longitude is shorter than one of latitude.
  const rows = Math.max(2, Math.round(((north - south) / step) * (1 / Math.cos((north * Math.PI) / 180))));
  const step_lat = stepS(north - south, rows) / 3600;
  const lines = (from: number, to: number, by: number) => Array.from({ length: Math.floor(to / by) - Math.ceil(from / by) + 1 }, (_, i) => (Math.ceil(from / by) + i) * by);
  const xs = lines(west, east, step).map((lon) => ({ at: map.project([lon, north]).x * ratio, words: degrees(lon) + (lon < 0 ? 'W' : 'E') }));
  const ys = lines(south, north, step_lat).map((lat) => ({ at: map.project([west, lat]).y * ratio, words: degrees(lat) + (lat < 0 ? 'S' : 'N') })).reverse();
  ctx.save();
  ctx.lineWidth = 0.7 * ratio;
  ctx.strokeStyle = 'rgba(20, 24, 29, 0.55)';
  ctx.beginPath();
  for (const { at } of xs) {
    ctx.moveTo(at, 0);
    ctx.lineTo(at, height);
  }
  for (const { at } of ys) {
    ctx.moveTo(0, at);
    ctx.lineTo(width, at);
  }
  ctx.stroke();
  ctx.textBaseline = 'middle';
  ctx.lineJoin = 'round';
  const write = (words: string, x: number, y: number, strong: boolean) => {
    ctx.font = `${strong ? 700 : 400} ${(strong ? 13 : 9) * ratio}px system-ui, sans-serif`;
    ctx.lineWidth = 3 * ratio;
    ctx.strokeStyle = '#ffffff';
    ctx.strokeText(words, x, y);
    ctx.fillStyle = '#14181d';
    ctx.fillText(words, x, y);
  };
  ctx.textAlign = 'center';
  for (const { at, words } of xs) write(words, Math.min(width - 34 * ratio, Math.max(34 * ratio, at)), height - 8 * ratio, false);
  const between = (marks: { at: number }[], end: number) => {
    const edges = [0, ...marks.map(({ at }) => at), end];
    return edges.slice(1).map((to, i) => ({ at: (to + edges[i]!) / 2, wide: to - edges[i]! }));
  };
  between(xs, width).forEach(({ at, wide }, i) => wide > 24 * ratio && write(lettered(i), at, 10 * ratio, true));
  ctx.textAlign = 'left';
  between(ys, height).forEach(({ at, wide }, i) => wide > 24 * ratio && write(String(i + 1), 5 * ratio, at, true));
  ctx.textAlign = 'right';
  for (const { at, words } of ys) write(words, width - 4 * ratio, Math.min(height - 20 * ratio, Math.max(8 * ratio, at)), false);
  ctx.restore();
}

const COLOURS: Record<string, string> = { '1': '#c8322f', '2': '#b06a08', '3': '#2f6fd0' };

/** Incidents as the screen marks them, with their number: on paper there is nothing to point at. */
export function drawIncidents(ctx: CanvasRenderingContext2D, map: MapLibre, incidents: readonly Incident[], ratio: number): void {
  for (const incident of incidents) {
    const { x, y } = map.project([incident.lon!, incident.lat!]);
    const digit = priorityDigit(incident.priority);
    const r = 15 * ratio;
    ctx.save();
    ctx.translate(x * ratio, y * ratio);
    ctx.beginPath();
    if (digit === '1') {
      ctx.moveTo(0, -r);
      ctx.lineTo(r, r * 0.8);
      ctx.lineTo(-r, r * 0.8);
    } else if (digit === '2') {
      ctx.moveTo(0, -r);
      ctx.lineTo(r, 0);
      ctx.lineTo(0, r);
      ctx.lineTo(-r, 0);
    } else if (digit === '3') ctx.rect(-r * 0.8, -r * 0.8, 1.6 * r, 1.6 * r);
    else ctx.arc(0, 0, r * 0.85, 0, 2 * Math.PI);
    ctx.closePath();
    ctx.lineWidth = 3 * ratio;
    ctx.strokeStyle = '#ffffff';
    ctx.stroke();
    ctx.fillStyle = COLOURS[digit] ?? '#5d6670';
    ctx.fill();
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = '#ffffff';
    ctx.font = `700 ${14 * ratio}px system-ui, sans-serif`;
    ctx.fillText(digit, 0, digit === '1' ? r * 0.3 : r * 0.06);
    ctx.font = `700 ${11 * ratio}px system-ui, sans-serif`;
    ctx.lineWidth = 3 * ratio;
    ctx.lineJoin = 'round';
    ctx.strokeText(incident.number, 0, r * 1.5);
    ctx.fillStyle = '#14181d';
    ctx.fillText(incident.number, 0, r * 1.5);
    ctx.restore();
  }
}
