import type { Feature, FeatureCollection, LineString, Point, Polygon } from 'geojson';

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
  acknowledge_s?: number | null;
}

export interface Status extends Coded {
  sendable: 'now' | 'divert' | 'soon' | 'never';
  next: string[];
  overdue_s?: number | null;
  silent_s?: number | null;
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
  /** Codes of the questions to ask the caller, in order. */
  protocol?: string[];
  no_callback?: boolean;
}

/** What to ask a caller. */
export interface Question extends Coded {
  answers: Record<string, Coded & { priority: string | null }>;
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
  questions?: Question[];
  partners?: Coded[];
  checks?: (Coded & { from_level: number; within_s: number | null })[];
}

export interface City {
  name: string;
  bbox: [number, number, number, number];
  center: [number, number];
  attribution: string;
  /** The base map's file; null when this city was imported without one. Absent from servers that know none. */
  tiles?: { url: string; min_zoom: number; max_zoom: number } | null;
  node: { station: string; district: string; station_name: string };
  /** What the room and its crews talk over when this link is gone, in the operator's words. */
  fallback_radio?: string | null;
  demo: boolean;
}

/** A row of `GET /units/{id}/trail`, oldest first. */
export interface TrailFix {
  observed_at: string;
  lon: number;
  lat: number;
}

/** How many of a layer stand where: longitude, latitude, count. */
export interface Density {
  count: number;
  cells: [number, number, number][];
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
  check?: CrewCheck | null;
  unit: string;
  status: string;
  since: string;
  by: string;
  requested: boolean;
  /** What came or went in its way last, and how long it then had still to drive; null seconds: no way by road. */
  eta_change?: { at: string; before_s: number | null; after_s: number | null; closures: string[] } | null;
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

/** Whether a crew is well: asked every `every_s` seconds, next at `due_at`; `tries` in vain since they last said so. */
export interface CrewCheck {
  every_s: number | null;
  due_at: string | null;
  at: string | null;
  by: string | null;
  result: 'well' | 'no_answer' | null;
  tries: number;
  well_at: string | null;
  note: string | null;
}

export interface CheckItem {
  check: string;
  state: 'open' | 'done' | 'not_needed';
  at: string | null;
  by: string | null;
}

/** Somebody who was told, or is to be; every try in `words`. */
export interface Notice {
  id: string;
  partner: string | null;
  person: { name?: string; role?: string; number?: string } | null;
  via: string;
  state: 'answered' | 'waiting' | 'no_answer';
  remind_at: string | null;
  words: { at: string; by: string; state: string; note: string | null }[];
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
  notes: { at: string; by: string; text: string; struck_at?: string | null }[];
  notes_total: number;
  /** What it is tied to; `of`: of a duplicate the one of the two where the work is done. */
  talkgroup?: string | null;
  owner?: { name: string; since: string; by: string } | null;
  checklist?: CheckItem[];
  to_tell?: string[];
  notices?: Notice[];
  /** When somebody has to see to it again: a crew to be asked, somebody to be rung again. */
  due?: { crew_check_at: string | null; notice_at: string | null };
  links?: { incident: string; number: string | null; kind: 'duplicate' | 'related'; of: string | null; at: string; by: string }[];
  duplicate_of?: string | null;
  calls?: string[];
  protocol?: { answers: Record<string, string>; priority: string | null; because: string[] };
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
  shift_ends_at?: string | null;
  flags: { flag: string; since: string }[];
  incident: string | null;
  incident_number: string | null;
  request: { incident: string; state: string; asked_at: string; answer_by: string | null } | null;
  blocked_by: string | null;
  /** What its crew was told and somebody took back, until it has acknowledged that. */
  cancelled?: { incident: string | null; incident_number: string | null; what: string; at: string; by: string } | null;
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

/** What a choice costs, in late calls: the measure by which the server compares plans. */
export interface Cost {
  late: number;
  uncovered: number;
  total: number;
}

export interface Candidate {
  unit: string;
  command: 'owned' | 'requested';
  eta_s: number;
  /** Between these it arrives eight times in ten. */
  eta_low_s?: number | null;
  eta_high_s?: number | null;
  priority_signals?: boolean;
  /** Its way ends at the staging point. */
  staging?: boolean;
  cost?: Cost | null;
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
  eta_low_s?: number | null;
  eta_high_s?: number | null;
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
  /** Whom to ask for what nobody here can fill, in words. */
  ask?: { capability: string; words: string }[];
  units: Candidate[];
  not_chosen: NotChosen[];
  /** How fresh the answer about what stays covered is. */
  coverage?: { fresh: boolean; as_of: string | null } | null;
  /** Closures that change a way or an arrival here. */
  closures?: string[];
}

/** What the server says of a choice before it is made. */
export interface WhatIf {
  cost: Cost;
  etas: { unit: string; eta_s: number | null; eta_low_s?: number | null; eta_high_s?: number | null }[];
  uncovered: { capability: string; zone: string; zone_name: string | null; before_pct: number; after_pct: number }[];
  /** Rules that the choice breaks; those that `person_may` break need a reason. */
  faults: { code: string; unit: string; person_may: boolean; why: string }[];
}

export type ClosureKind = 'closure' | 'hazard' | 'slow' | 'flood';
export type ClosureState = 'reported' | 'confirmed' | 'ordered' | 'withdrawn' | 'expired';

/** A point has a radius; a line may be about one direction only, that in which it is drawn. */
export type Shape = (Point & { radius_m: number }) | (LineString & { direction?: 'both' | 'along' }) | Polygon;

/** A place where the roads are not as the city's map has them. */
export interface Closure {
  id: string;
  kind: ClosureKind;
  state: ClosureState;
  geometry: Shape;
  /** The names of the streets where it is. */
  streets: string[];
  /** Travel profiles that it is about: held up or kept out, none named: all; of a flood, those that still pass. */
  classes: string[];
  from: string | null;
  until: string | null;
  /** When it ends by itself, a report that nobody has confirmed included. */
  ends: string | null;
  speed_pct: number | null;
  entry_capabilities: string[];
  staging: { lon: number; lat: number } | null;
  reason: string | null;
  source: string;
  /** The crew that reported it. */
  unit: string | null;
  reported_at: string;
  reported_by: string;
  confirmed_at: string | null;
  confirmed_by: string | null;
  confirmed_unit: string | null;
  ordered_at: string | null;
  authority: string | null;
  ordered_by: string | null;
  agreed_by: string | null;
  withdrawn_at: string | null;
  withdrawn_by: string | null;
  withdrawn_reason: string | null;
  rev: number;
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
  /** It counts no more. */
  taken_back?: boolean;
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
  answers?: Record<string, string>;
  call?: string;
}

/** Somebody who rings. `needs`: what somebody has still to do about it. */
export interface Call {
  id: string;
  state: 'ringing' | 'answered' | 'ended' | 'abandoned' | 'called_back' | 'closed';
  needs: 'answer' | 'record' | 'call_back' | null;
  line: string | null;
  number: string | null;
  recording: string | null;
  location: { lon: number; lat: number; radius_m: number | null } | null;
  received_at: string;
  answered_at: string | null;
  answered_by: string | null;
  abandoned_at: string | null;
  ended_at: string | null;
  incidents: string[];
  tries: number;
  tried_at: string | null;
  tried_by: string | null;
  rev: number;
}

export type AlarmState = 'unacknowledged' | 'acknowledged' | 'returned' | 'normal' | 'shelved' | 'out_of_service';

/** Something wrong with the system or a device; `phases` say what time alone makes of its state. */
export interface Alarm {
  id: string;
  kind: string;
  group: string;
  priority: 'high' | 'medium' | 'low';
  state: AlarmState;
  phases: { at: string; state: AlarmState }[];
  title: string | null;
  means: string | null;
  todo: string | null;
  detail: string | null;
  source: string;
  raised_by: string;
  raised_at: string | null;
  cleared_at: string | null;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  shelved_by: string | null;
  shelved_until: string | null;
  shelf_reason: string | null;
  out_of_service_at: string | null;
  out_of_service_by: string | null;
  out_of_service_reason: string | null;
  chattering_until: string | null;
  announced_at: string[];
  count_24h: number;
  rev: number;
}

export interface Rows {
  incidents: Incident[];
  units: Unit[];
  closures?: Closure[];
  proposals?: Proposal[];
  calls?: Call[];
  alarms?: Alarm[];
  /** Ids of what this console was shown before and may see no more. */
  gone?: { incidents: string[]; closures?: string[]; proposals?: string[] };
  server_time: string;
}

export interface Hello extends Rows {
  as_of?: string;
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

/** Its time, and up to when everything on record has been read and sent. */
export interface Canary {
  server_time: string;
  as_of?: string;
}

export interface Pulse extends Canary {
  cursor: string | null;
  /** What keeps the server from saving, when something does. */
  trouble?: Trouble | null;
}

/** What the computer would change about crews that are out or waiting, for a person to accept. */
export interface Proposal {
  id: string;
  kind: 'reassign' | 'move_up';
  state: 'open' | 'accepted' | 'declined' | 'expired' | 'superseded';
  /** What gave rise to it. */
  trigger: string;
  made_at: string;
  expires_at: string;
  unit: string;
  incident: string | null;
  leaves: string | null;
  /** Whether accepting it only asks an agency. */
  asks: boolean;
  words: Named;
  decided_at: string | null;
  decided_by: string | null;
  rule: string | null;
  /** Why it holds no more, as a code, and the facts of it. */
  why: string | null;
  about: Record<string, unknown>;
  rev: number;
}

export interface NewClosure {
  id: string;
  kind: ClosureKind;
  geometry: Shape;
  classes: string[];
  from?: string | null;
  until?: string | null;
  state: ClosureState;
  speed_pct?: number;
  entry_capabilities?: string[];
  staging?: { lon: number; lat: number } | null;
  reason?: string;
  unit?: string;
  authority?: string;
  ordered_by?: string;
  agreed_by?: string;
}

/** The ways of units to one incident; `streets` are the first names on each. */
export interface WaysAnswer {
  version: string | null;
  without_way: { unit: string; why: 'no-position' | 'unreachable' | 'no-place' }[];
  features: Feature<LineString, {
    unit: string;
    staging: boolean;
    eta_s: number | null;
    distance_m: number;
    travel: 'road' | 'straight';
    streets: string[];
  }>[];
}

/** Cells of the city: `demand` calls an hour, `covered_by` how many idle crews would be in time, `gap` that none would. */
export interface CoverageAnswer extends FeatureCollection {
  capability: string;
  standards: { capability: string; within_s: number }[];
  fresh?: boolean;
  as_of?: string | null;
}
