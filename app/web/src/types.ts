import type { Feature } from 'geojson';

/** Shapes that the API and the live stream send. Times are RFC 3339 strings in UTC unless a name ends in `_s`. */

export interface Named {
  ro: string;
  en: string;
}

export interface Coded extends Named {
  code: string;
}

export interface Agency extends Coded {
  command: 'owned' | 'requested' | 'source';
}

export interface Priority extends Coded {
  rank?: number;
  target_s?: number | null;
}

export interface Status extends Coded {
  sendable: 'now' | 'divert' | 'soon' | 'never';
  next: string[];
  overdue_s?: number | null;
  par_s?: number | null;
  reason_required?: boolean;
  needs_hospital?: boolean;
  wants_ready_at?: boolean;
}

export interface UnitType extends Coded {
  agency: string;
  gives: string[];
  profile: string;
  turnout_s: number;
}

export interface IncidentType extends Coded {
  priority: string;
  medical_code?: string | null;
  needs: Record<string, number>;
  stage?: boolean;
}

export interface AlarmLevel extends Named {
  level: number;
}

export interface Catalogue {
  pack: string;
  agencies: Agency[];
  priorities: Priority[];
  medical_codes: Coded[];
  unit_types: UnitType[];
  capabilities: Coded[];
  statuses: Status[];
  status_flags: Coded[];
  alarm_levels: AlarmLevel[];
  incident_types: IncidentType[];
}

export interface City {
  name: string;
  bbox: [number, number, number, number];
  center: [number, number];
  attribution: string;
  /** The base map's file; null when this city was imported without one. Absent from servers that know none. */
  tiles?: { url: string; min_zoom: number; max_zoom: number } | null;
  node: { station: string; district: string; station_name: string };
  demo: boolean;
}

/** One source of a reference layer: things of the city that stand still, from a public map or a register. */
export interface LayerImport {
  layer: string;
  source: string;
  count: number;
  imported_at: string;
  title: Named | null;
}

export interface ReferenceFeatures {
  features: Feature[];
  /** True when the view holds more than were sent. */
  truncated?: boolean;
  imported_at?: string | null;
}

export interface User {
  name: string;
  role: string;
  districts: string[];
  display_name: string;
}

export interface Session {
  user: User;
  csrf: string;
}

export interface DemoLogin {
  name: string;
  password: string;
  role: string;
}

export interface Assignment {
  unit: string;
  status: string;
  since: string;
  by: string;
  requested: boolean;
}

export interface UnitRequest {
  unit: string;
  state: 'asked' | 'accepted' | 'refused' | 'no_answer' | 'withdrawn';
  asked_at: string;
  asked_by: string | null;
  answer_by: string | null;
  name: string | null;
  via: string | null;
  reason: string | null;
  answered_at: string | null;
}

export interface Fact {
  source: string;
  observed_at: string | null;
  received_at: string | null;
  by: string | null;
}

/** Facts from nodes that could not hear each other and that cannot both hold, until a person settles it. */
export interface Conflict {
  id: string;
  kind: string;
  at: string;
  about: Record<string, unknown>;
  resolution: string | null;
}

export interface Incident {
  id: string;
  number: string;
  type: string;
  priority: string;
  medical_code: string | null;
  state: 'open' | 'closed';
  alarm_level: number;
  lon: number | null;
  lat: number | null;
  location_precision: 'exact' | 'coarse';
  address: string | null;
  address_parts: Record<string, string> | null;
  description: string | null;
  caller: { name?: string | null; phone?: string | null } | null;
  reported_at: string;
  reported_by: string;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  closed_at: string | null;
  outcome: string | null;
  staging: boolean;
  case_numbers: { agency: string; number: string }[];
  plan: { needs: Record<string, number>; filled: Record<string, number>; missing: Record<string, number> };
  assignments: Assignment[];
  requests: UnitRequest[];
  /** The newest ones; `notes_total` counts all, which the timeline tells. */
  notes: { at: string; by: string; text: string }[];
  notes_total: number;
  facts: Record<string, Fact>;
  times: Record<string, string>;
  conflicts: Conflict[];
  district: string | null;
  station: string | null;
  rev: number;
}

export interface Unit {
  id: string;
  type: string;
  agency: string;
  command: 'owned' | 'requested';
  capabilities: string[];
  crew: number | null;
  crew_min: number | null;
  district: string | null;
  station: string | null;
  status: string;
  status_since: string;
  status_source: string | null;
  reason: string | null;
  hospital: string | null;
  ready_at: string | null;
  flags: { flag: string; since: string }[];
  incident: string | null;
  incident_number: string | null;
  request: { incident: string; state: string; asked_at: string; answer_by: string | null } | null;
  blocked_by: string | null;
  profile: string | null;
  n: number;
  lon: number | null;
  lat: number | null;
  fix_at: string | null;
  speed_mps: number | null;
  heading_deg: number | null;
  conflicts: Conflict[];
  rev: number;
}

export interface Candidate {
  unit: string;
  command: 'owned' | 'requested';
  eta_s: number;
  drive_s: number;
  turnout_s: number;
  distance_m: number | null;
  travel: 'road' | 'straight';
  fix_age_s: number | null;
  fills: string[];
  chosen: boolean;
  /** Words for each of `reasons`, in the same order. */
  why: string[];
  reasons: { code: string }[];
}

export interface NotChosen {
  unit: string;
  eta_s: number | null;
  why: string[];
  reasons: { code: string }[];
}

export interface Recommendation {
  incident: string;
  travel: 'road' | 'straight';
  /** False: there is none at all. True beside `straight`: none of the units, or not the incident, is near it. */
  road_network: boolean;
  computed_ms: number;
  complete: boolean;
  missing: Record<string, number>;
  units: Candidate[];
  not_chosen: NotChosen[];
}

export interface Place {
  label: string;
  kind: 'address' | 'street' | 'crossing' | 'landmark' | 'coordinates' | 'road_km';
  lon: number;
  lat: number;
  parts: Record<string, string>;
  match?: 'exact' | 'prefix' | 'near';
  distance_m?: number | null;
  /** Why a near match is only near. */
  note?: string;
}

export interface TimelineEntry {
  at: string;
  observed_at: string | null;
  received_at: string | null;
  type: string;
  actor: string | null;
  words: string;
}

export interface NewIncident {
  id: string;
  type: string;
  priority?: string;
  location?: { lon: number; lat: number };
  address?: string | Record<string, string>;
  description?: string;
  caller?: { name?: string; phone?: string };
  observed_at: string;
  case_numbers?: { agency: string; number: string }[];
}

export interface Rows {
  incidents: Incident[];
  units: Unit[];
  /** Ids of what this console was shown before and may see no more. */
  gone?: { incidents: string[] };
  server_time: string;
}

export interface Hello extends Rows {
  cursor: string;
  mode: 'snapshot' | 'changes';
}

export interface Changes extends Rows {
  from: string;
  to: string;
}

/** What keeps the server from recording, and since when. */
export interface Trouble {
  code: string;
  since: string;
  detail: string;
}

export interface Pulse {
  server_time: string;
  cursor: string | null;
  /** What keeps the server from saving, when something does. */
  trouble?: Trouble | null;
}
