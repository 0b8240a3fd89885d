/**
 * Panels that stand beside the talk on a wide screen and come up as a sheet on a narrow one.
 * Knows nothing of what is in them.
 */

/** panel: the element that moves between side and dialog. query: the widths at which it is a sheet. */
export function makeSheet({ side, dialog, panel, openButton, closeButton, query }) {
  const narrow = globalThis.matchMedia(query);
  openButton.addEventListener('click', open);
  closeButton.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => side.append(panel));
  dialog.addEventListener('click', onClick);
  narrow.addEventListener('change', onWidthChange);
  return toggle;

  function open() {
    dialog.append(panel);
    dialog.showModal();
    panel.querySelector('[data-status="playing"], [aria-current]')?.scrollIntoView({ block: 'nearest' });
  }

  /** A touch beside the sheet closes it. */
  function onClick(event) {
    if (event.target === dialog) dialog.close();
  }

  function onWidthChange({ matches }) {
    if (!matches && dialog.open) dialog.close();
  }

  /** For a key: open or close the sheet, or go to the panel where it always stands. */
  function toggle() {
    if (dialog.open) dialog.close();
    else if (narrow.matches) open();
    else panel.querySelector('button, [tabindex="0"], input')?.focus();
  }
}

function find(id) {
  return document.getElementById(id);
}

export const toggleQueue = makeSheet({
  side: find('queue-side'), dialog: find('queue-dialog'), panel: find('queue'), openButton: find('queue-button'), closeButton: find('queue-close'),
  query: '(max-width: 760px)',
});

export const toggleCast = makeSheet({
  side: find('cast-side'), dialog: find('cast-dialog'), panel: find('cast'), openButton: find('cast-button'), closeButton: find('cast-close'),
  query: '(max-width: 1080px)',
});
