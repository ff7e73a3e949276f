import { FluentBundle, FluentResource, type FluentVariable } from '@fluent/bundle';
import type { IncidentType, Named } from './types';

export type Language = 'ro' | 'en';
const REMEMBERED = 'straja.language';

type Source = () => Promise<{ default: string }>;
/** A console starts with half the words of one language: the other half belongs to parts that come later. */
const SOURCES: Record<Language, { start: Source; later: Source }> = {
  ro: { start: () => import('../../locales/ro.ftl?start'), later: () => import('../../locales/ro.ftl?later') },
  en: { start: () => import('../../locales/en.ftl?start'), later: () => import('../../locales/en.ftl?later') },
};
const bundles: Partial<Record<Language, FluentBundle>> = {};
const whole = new Set<Language>();
let all = false;

function add(to: FluentBundle, source: string): void {
  for (const fault of to.addResource(new FluentResource(source))) console.error(fault);
}

async function load(lang: Language): Promise<void> {
  if (!bundles[lang]) {
    const { default: source } = await SOURCES[lang].start();
    // Isolation marks would end up in titles and labels that are compared and copied; all text here runs left to right.
    const made = new FluentBundle(lang, { useIsolating: false });
    add(made, source);
    bundles[lang] ??= made;
  }
  if (all && !whole.has(lang)) {
    const { default: source } = await SOURCES[lang].later();
    if (!whole.has(lang)) add(bundles[lang]!, source);
    whole.add(lang);
  }
}

function firstLanguage(): Language {
  const kept = localStorage.getItem(REMEMBERED);
  if (kept === 'ro' || kept === 'en') return kept;
  return navigator.language.toLowerCase().startsWith('ro') ? 'ro' : 'en';
}

class Words {
  lang = $state<Language>(firstLanguage());

  /** Changes the language once its words are here; without them the screen stays as it is. */
  async use(lang: Language): Promise<void> {
    await load(lang);
    this.lang = lang;
    localStorage.setItem(REMEMBERED, lang);
  }

  /** The words of the language to start with. Nothing can be said before. */
  ready = (): Promise<void> => load(this.lang);
  /** The rest of this language's words, which every part but those of the start needs. */
  later = (): Promise<void> => {
    all = true;
    return load(this.lang);
  };
  /** The other language's words, so that changing to it needs no server. */
  others = (): Promise<unknown> => Promise.all((['ro', 'en'] as const).map(load));
}

export const words = new Words();

/** The text of a catalogue message in the chosen language; the bare key when the catalogue lacks it. */
export function t(key: string, args?: Record<string, FluentVariable>): string {
  const from = bundles[words.lang];
  const message = from?.getMessage(key);
  if (!from || !message?.value) return key;
  const faults: Error[] = [];
  const text = from.formatPattern(message.value, args, faults);
  for (const fault of faults) console.error(key, fault);
  return text;
}

export function has(key: string): boolean {
  return bundles[words.lang]?.hasMessage(key) ?? false;
}

export function named(entry: Named | undefined, otherwise: string): string {
  return entry ? entry[words.lang] : otherwise;
}

/** Lower case without diacritics, so that "ș", "ş" and "s" find each other. */
export function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}

const two = (n: number) => String(n).padStart(2, '0');

/** A running timer: 0:38, 21:50, 1:12:40. */
export function timer(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** A short age: 4 s, 3 min, 2 h, 5 d. */
export function age(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 60) return t('age-seconds', { n: Math.round(s) });
  if (s < 3600) return t('age-minutes', { n: Math.round(s / 60) });
  if (s < 172800) return t('age-hours', { n: Math.round(s / 3600) });
  return t('age-days', { n: Math.round(s / 86400) });
}

export function distance(metres: number): string {
  if (metres < 995) return t('distance-m', { n: Math.round(metres / 10) * 10 });
  const km = new Intl.NumberFormat(words.lang, { maximumFractionDigits: 1 }).format(metres / 1000);
  return t('distance-km', { n: km });
}

export function number(value: number, digits: number): string {
  return new Intl.NumberFormat(words.lang, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}

function clock(ms: number, zone: string | undefined): string {
  return new Date(ms).toLocaleTimeString('en-GB', { hour12: false, timeZone: zone });
}

/** Local wall-clock time of an instant, 14:02:11; with the day when it is not today's. */
export function wall(when: string | number): string {
  const ms = typeof when === 'number' ? when : Date.parse(when);
  const day = new Date(ms).toLocaleDateString('en-CA');
  const text = clock(ms, undefined);
  return day === new Date().toLocaleDateString('en-CA') ? text : `${day} ${text}`;
}

export function utc(ms: number): string {
  return clock(ms, 'UTC') + 'Z';
}

/** Priority words without the digit some packs lead with: the digit stands in the shape beside them. */
export function priorityWords(entry: Named | undefined, code: string): string {
  return named(entry, code).replace(/^\d\s+/, '');
}

export const priorityDigit = (code: string) => code.replace(/\D/g, '') || '?';

/**
 * Incident types whose code or name the typed words fit, best first, at most nine. Every word must begin a
 * word of the code or of either language's name; the screen's own language weighs more.
 */
export function searchTypes(types: IncidentType[], typed: string): IncidentType[] {
  const parts = fold(typed).split(/\s+/).filter(Boolean);
  if (!parts.length) return [];
  const other = words.lang === 'ro' ? 'en' : 'ro';
  const split = (name: string) => fold(name).split(/[^\p{L}\p{N}]+/u);
  const score = (type: IncidentType): number => {
    const code = fold(type.code);
    const own = split(type[words.lang]);
    const foreign = split(type[other]);
    let sum = 0;
    for (const part of parts) {
      if (code === part) sum += 20;
      else if (code.startsWith(part)) sum += 8;
      else if (own[0]?.startsWith(part)) sum += 6;
      else if (own.some((w) => w.startsWith(part))) sum += 4;
      else if (foreign.some((w) => w.startsWith(part))) sum += 2;
      else return 0;
    }
    return sum;
  };
  return types
    .map((type) => ({ type, score: score(type) }))
    .filter((found) => found.score > 0)
    .sort((a, b) => b.score - a.score || a.type.code.localeCompare(b.type.code))
    .slice(0, 9)
    .map((found) => found.type);
}
