import type { Map as MapLibre } from 'maplibre-gl';
import type { Catalogue, City, Conflict, Incident, IncidentType, Priority, Status, Unit, UnitType, User } from './types';

/** Where the report that is being written is kept, in this tab alone. */
export const DRAFT = 'straja.draft';

/** Whether a report was begun at this desk and neither sent nor thrown away. */
export const begun = (): boolean => sessionStorage.getItem(DRAFT) !== null;

/** What is fixed for a session: who sits here, which city, and the pack's words by code. */
class Desk {
  /** Nothing here is real: the server says so in its page, before anybody has signed in, and with the city. */
  demo = $state(document.querySelector<HTMLMetaElement>('meta[name="straja-demo"]')?.content === '1');
  user = $state.raw<User | null>(null);
  city = $state.raw<City | null>(null);
  catalogue = $state.raw<Catalogue | null>(null);

  readonly statuses = $derived(index<Status>(this.catalogue?.statuses));
  readonly priorities = $derived(index<Priority>(this.catalogue?.priorities));
  readonly unit_types = $derived(index<UnitType>(this.catalogue?.unit_types));
  readonly incident_types = $derived(index<IncidentType>(this.catalogue?.incident_types));
  readonly capabilities = $derived(index(this.catalogue?.capabilities));
  readonly agencies = $derived(index(this.catalogue?.agencies));
  /** Those that give their calls case numbers of their own. */
  readonly outside_agencies = $derived((this.catalogue?.agencies ?? []).filter((a) => a.command !== 'owned'));
  readonly flags = $derived(index(this.catalogue?.status_flags));
  readonly medical_codes = $derived(index(this.catalogue?.medical_codes));

  /** Those who command a room may change things; others watch. The server has the last word. */
  readonly writes = $derived(this.user !== null && ['admin', 'supervisor', 'dispatcher'].includes(this.user.role));

  /** The unit looked at on the board and the map. */
  unit = $state.raw<string | null>(null);
  /** Crews in danger, with since when, that somebody here has looked at: they are only called to mind from then on. */
  heeded = $state.raw<ReadonlySet<string>>(new Set());
  /** A report that was begun is taken up again after the page was loaded anew. */
  calling = $state(begun());
  /** The call, by its id, that the form is to be about. */
  ringing = $state.raw<string | null>(null);
  /** The call that the form is about. */
  about = $state.raw<string | null>(null);
  /** What was typed, and where the map was clicked, before the form was there. */
  early = '';
  early_place: { lon: number; lat: number } | null = null;
  /** Statuses that were set here and are not on record yet, by unit. */
  unsent = $state.raw<ReadonlyMap<string, string>>(new Map());
  /** What stands in the card's place instead of an incident. */
  panel = $state.raw<'closures' | 'unit' | 'alarms' | null>(null);
  /** The closure looked at in that panel and on the map. */
  closure = $state.raw<string | null>(null);
  /** The unit of the recommendation that is pointed at, by pointer or focus. */
  candidate = $state.raw<string | null>(null);
  /** Whose way to the selected incident is drawn along the streets. */
  ways = $state.raw<ReadonlySet<string>>(new Set());
  /** Whether the coverage layer is on, and which units it is to be thought without. */
  coverage = $state(false);
  without = $state.raw<readonly string[]>([]);
  /** By whose being there coverage is measured; empty: the first that the server names. */
  capability = $state.raw(localStorage.getItem('straja.coverage') ?? '');
  /** Whether the pages of the shift stand in the map's place. */
  shift = $state(false);
  /** The map once it can be drawn on, for the parts that come later and draw on it. */
  map = $state.raw<MapLibre | null>(null);
  /** Takes hold of a unit under the pointer, to be carried onto an incident; null while nobody may. */
  grab: ((unit: string, event: MouseEvent) => void) | null = null;
  /** Where the call being taken is pinned, and who wants to hear of a click on the map meanwhile. */
  pin = $state.raw<{ lon: number; lat: number } | null>(null);
  onMapPoint = $state.raw<((lon: number, lat: number) => void) | null>(null);
  /** What a click on the map does meanwhile, as a catalogue message. */
  mapHint = $state.raw('map-click-sets-place');
  /** Lets a form hear clicks on the map; returns how it stops. The last form to ask is the one that hears. */
  listenToMap(hear: (lon: number, lat: number) => void, hint = 'map-click-sets-place'): () => void {
    this.onMapPoint = hear;
    this.mapHint = hint;
    const early = this.early_place;
    this.early_place = null;
    if (early) queueMicrotask(() => hear(early.lon, early.lat));
    return () => {
      if (this.onMapPoint !== hear) return;
      this.onMapPoint = null;
      this.pin = null;
    };
  }

  /** Asks the map to show a point; a fresh object each time, so that the same point can be asked for again. */
  show = $state.raw<{ lon: number; lat: number } | null>(null);
}

/** Since when the crew is in danger, null when it is not. */
export const dangerSince = (unit: Unit): string | null => unit.flags.find((f) => f.flag === 'emergency')?.since ?? null;

/** What no person has settled yet. */
export const unsettled = (row: { conflicts: Conflict[] }): Conflict[] => row.conflicts.filter((k) => k.resolution === null);

export interface Clash {
  conflict: Conflict;
  /** The unit that carries it; absent when the incident itself does. */
  unit?: Unit;
}

/** Every unsettled contradiction that touches an incident: its own, and those of units sent to it or away from it. */
export function clashes(incident: Incident, units: ReadonlyMap<string, Unit>): Clash[] {
  const found: Clash[] = unsettled(incident).map((conflict) => ({ conflict }));
  for (const unit of units.values()) {
    for (const conflict of unsettled(unit)) {
      const { first, second } = conflict.about;
      if (first === incident.id || second === incident.id) found.push({ conflict, unit });
    }
  }
  return found;
}

function index<E extends { code: string }>(entries: E[] | undefined): ReadonlyMap<string, E> {
  return new Map((entries ?? []).map((entry) => [entry.code, entry]));
}

export const desk = new Desk();

const THEME = 'straja.theme';

class Look {
  theme = $state<'night' | 'day'>(localStorage.getItem(THEME) === 'day' ? 'day' : 'night');

  toggle(): void {
    this.theme = this.theme === 'night' ? 'day' : 'night';
    localStorage.setItem(THEME, this.theme);
  }
}

export const look = new Look();

/** Letter and colour name of a status, one table for the map, the board and the card. */
export const STATUS_MARK: Record<string, { letter: string; colour: MarkColour }> = {
  available: { letter: 'A', colour: 'available' },
  returning: { letter: 'B', colour: 'available' },
  assigned: { letter: 'N', colour: 'assigned' },
  acknowledged: { letter: 'C', colour: 'assigned' },
  en_route: { letter: 'R', colour: 'en-route' },
  staged: { letter: 'W', colour: 'en-route' },
  on_scene: { letter: 'S', colour: 'on-scene' },
  transporting: { letter: 'T', colour: 'transporting' },
  at_hospital: { letter: 'H', colour: 'transporting' },
  recovering: { letter: 'F', colour: 'out' },
  out_of_service: { letter: 'O', colour: 'out' },
  off_duty: { letter: '–', colour: 'out' },
};
export type MarkColour = 'available' | 'assigned' | 'en-route' | 'on-scene' | 'transporting' | 'out';
export type MarkShape = 'square' | 'circle' | 'triangle' | 'diamond';

/** Searched for distance under normal and colour-blind sight on the night ground; letters and shapes say it again. */
export const PALETTE: Record<MarkColour, string> = {
  available: '#28F483',
  assigned: '#FEE60E',
  'en-route': '#BAD9FD',
  'on-scene': '#E85417',
  transporting: '#E001F2',
  out: '#7C8288',
};

export const statusMark = (status: string) => STATUS_MARK[status] ?? { letter: '?', colour: 'out' as const };

/** Fire and rescue square, ambulance circle, police triangle, city services diamond. */
export function unitShape(unit: Pick<Unit, 'capabilities' | 'profile' | 'agency'>): MarkShape {
  const can = (code: string) => unit.capabilities.includes(code);
  if (can('police') || can('public_order') || can('local_patrol') || can('traffic_control')) return 'triangle';
  if (unit.profile === 'ambulance' || can('transport') || unit.profile === 'air') return 'circle';
  if (unit.profile === 'fire_engine' || can('fire_suppression') || can('officer') || can('water_rescue')) return 'square';
  return 'diamond';
}
