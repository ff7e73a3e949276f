/**
 * The parts of the console that not every hour needs. They are no part of what a console starts with, and are
 * taken in when it rests, so that a link that breaks later takes nothing away.
 */
export const parts = {
  closures: () => import('./ClosurePanel.svelte'),
  coverage: () => import('./Coverage.svelte'),
  ways: () => import('./Ways.svelte'),
  proposals: () => import('./Proposals.svelte'),
  contradiction: () => import('./Contradiction.svelte'),
  edit: () => import('./EditForm.svelte'),
  help: () => import('./Help.svelte'),
};

/** Takes all of them in; one that does not come is asked for again when it is wanted. */
export async function takeIn(): Promise<void> {
  for (const part of Object.values(parts)) await part().catch(() => {});
}
