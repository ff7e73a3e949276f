import { words } from './words.svelte';

/**
 * The parts of the console that not every hour needs. They are no part of what a console starts with, and are
 * taken in when it rests, so that a link that breaks later takes nothing away.
 */
export const parts = {
  call: withWords(() => import('./CallForm.svelte')),
  calls: withWords(() => import('./Calls.svelte')),
  card: withWords(() => import('./IncidentCard.svelte')),
  closures: withWords(() => import('./ClosurePanel.svelte')),
  coverage: withWords(() => import('./Coverage.svelte')),
  ways: withWords(() => import('./Ways.svelte')),
  proposals: withWords(() => import('./Proposals.svelte')),
  contradiction: withWords(() => import('./Contradiction.svelte')),
  owner: withWords(() => import('./CardOwner.svelte')),
  care: withWords(() => import('./CardCare.svelte')),
  edit: withWords(() => import('./EditForm.svelte')),
  undo: withWords(() => import('./UndoChip.svelte')),
  help: withWords(() => import('./Help.svelte')),
  tools: withWords(() => import('./MapTools.svelte')),
  print: withWords(() => import('./MapPrint.svelte')),
  shift: withWords(() => import('./ShiftPages.svelte')),
  command: withWords(() => import('./CommandLine.svelte')),
  truth: withWords(() => import('./Truth.svelte')),
  outbox: withWords(() => import('./outbox.svelte')),

  alarm_chip: withWords(() => import('./AlarmChip.svelte')),
  alarms: withWords(() => import('./AlarmPanel.svelte')),
  sound: withWords(() => import('./Sound.svelte')),
  unit: withWords(() => import('./UnitCard.svelte')),
};

/** A part together with the words that only later parts say. */
function withWords<Part>(part: () => Promise<Part>): () => Promise<Part> {
  return async () => (await Promise.all([part(), words.later()]))[0];
}

/** Takes all of them in; one that does not come is asked for again when it is wanted. */
export async function takeIn(): Promise<void> {
  for (const part of Object.values(parts)) await part().catch(() => {});
}
