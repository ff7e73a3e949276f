import type { Position } from 'geojson';

/** Lengths and areas on the ground, on a sphere: right to half a percent, which is less than a finger on the map. */
const EARTH_M = 6_371_008.8;
const rad = (deg: number): number => (deg * Math.PI) / 180;

export function metresBetween([lon, lat]: Position, [to_lon, to_lat]: Position): number {
  const a = Math.sin(rad(to_lat! - lat!) / 2) ** 2 + Math.cos(rad(lat!)) * Math.cos(rad(to_lat!)) * Math.sin(rad(to_lon! - lon!) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(a)));
}

/** From where to where, degrees clockwise from north, 0 to 359. */
export function bearingDeg([lon, lat]: Position, [to_lon, to_lat]: Position): number {
  const d = rad(to_lon! - lon!);
  const y = Math.sin(d) * Math.cos(rad(to_lat!));
  const x = Math.cos(rad(lat!)) * Math.sin(rad(to_lat!)) - Math.sin(rad(lat!)) * Math.cos(rad(to_lat!)) * Math.cos(d);
  return Math.round((Math.atan2(y, x) * 180) / Math.PI + 360) % 360;
}

/** What a ring through these points encloses, square metres; the last point need not be the first again. */
export function areaM2(ring: readonly Position[]): number {
  const middle = rad(ring.reduce((sum, [, lat]) => sum + lat!, 0) / Math.max(1, ring.length));
  let twice = 0;
  for (let i = 0; i < ring.length; i++) {
    const [ax, ay] = ring[i]!;
    const [bx, by] = ring[(i + 1) % ring.length]!;
    twice += rad(bx! - ax!) * Math.cos(middle) * (rad(ay! - ring[0]![1]!) + rad(by! - ring[0]![1]!));
  }
  return (Math.abs(twice) / 2) * EARTH_M * EARTH_M;
}
