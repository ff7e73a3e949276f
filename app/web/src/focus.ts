/** An attachment for the first field of a form that a button opens: unlike `autofocus`, it takes the focus from that button. */
export const takeFocus = (field: HTMLElement): void => field.focus();
