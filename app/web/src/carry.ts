import { desk } from './desk.svelte';
import { live } from './live.svelte';
import type { Incident } from './types';
import { named, t } from './words.svelte';

/** Units carried with the pointer, from the board or the map, onto an incident in the queue, on the map or its card. */

const THRESHOLD_PX = 6;

interface Carried {
  unit: string;
  x: number;
  y: number;
  ghost: HTMLElement | null;
  over: HTMLElement | null;
}

function incidentUnder(x: number, y: number): [HTMLElement, Incident] | null {
  const under = document.elementFromPoint(x, y);
  const row = under?.closest<HTMLElement>('[data-incident]');
  const card = under?.closest<HTMLElement>('[data-testid="incident-card"]');
  const id = row?.dataset['incident'] ?? (card && live.selected);
  const incident = id ? live.incidents.get(id) : undefined;
  return incident?.state === 'open' ? [(row ?? card)!, incident] : null;
}

/** Listens until the returned function is called; `drop` is told which unit was let go over which incident. */
export function carryUnits(drop: (unit: string, incident: Incident) => void): () => void {
  let carried: Carried | null = null;
  const stopping = new AbortController();
  const { signal } = stopping;

  function mark(over: HTMLElement | null): void {
    if (!carried || carried.over === over) return;
    carried.over?.removeAttribute('data-drop');
    over?.setAttribute('data-drop', '');
    carried.over = over;
  }

  function let_go(): void {
    mark(null);
    carried?.ghost?.remove();
    carried = null;
    document.documentElement.removeAttribute('data-carrying');
  }

  const grab = (unit: string, event: MouseEvent): void => {
    carried = { unit, x: event.clientX, y: event.clientY, ghost: null, over: null };
  };

  function down(event: PointerEvent): void {
    // A finger on a list scrolls it; whoever has no mouse clicks the one and then the other.
    if (event.button !== 0 || event.pointerType === 'touch' || !(event.target instanceof Element) || event.target.closest('button')) return;
    const unit = event.target.closest<HTMLElement>('[data-testid="unit-row"]')?.dataset['unit'];
    if (unit) grab(unit, event);
  }

  function move(event: PointerEvent): void {
    if (!carried) return;
    if (!carried.ghost) {
      if (Math.hypot(event.clientX - carried.x, event.clientY - carried.y) < THRESHOLD_PX) return;
      carried.ghost = document.createElement('div');
      carried.ghost.className = 'carried';
      carried.ghost.dataset['testid'] = 'carried';
      document.body.append(carried.ghost);
      document.documentElement.setAttribute('data-carrying', '');
      getSelection()?.removeAllRanges();
    }
    const found = incidentUnder(event.clientX, event.clientY);
    mark(found?.[0] ?? null);
    carried.ghost.textContent = found
      ? t('line-drop', { unit: carried.unit, number: found[1].number, type: named(desk.incident_types.get(found[1].type), found[1].type) })
      : carried.unit;
    carried.ghost.style.translate = `${event.clientX + 14}px ${event.clientY + 10}px`;
  }

  function up(event: PointerEvent): void {
    if (!carried) return;
    const { unit, ghost } = carried;
    const found = ghost ? incidentUnder(event.clientX, event.clientY) : null;
    let_go();
    if (!ghost) return;
    // What was carried was not clicked as well.
    const swallow = (click: MouseEvent) => click.stopPropagation();
    addEventListener('click', swallow, { capture: true, once: true, signal });
    setTimeout(() => removeEventListener('click', swallow, { capture: true }));
    if (found) drop(unit, found[1]);
  }

  function escape(event: KeyboardEvent): void {
    if (event.key !== 'Escape' || !carried) return;
    event.preventDefault();
    event.stopPropagation();
    let_go();
  }

  desk.grab = grab;
  addEventListener('pointerdown', down, { signal });
  addEventListener('pointermove', move, { signal });
  addEventListener('pointerup', up, { signal });
  addEventListener('pointercancel', let_go, { signal });
  addEventListener('keydown', escape, { capture: true, signal });
  return () => {
    let_go();
    desk.grab = null;
    stopping.abort();
  };
}
