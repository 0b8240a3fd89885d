/**
 * The keyboard: what each key does, and the help that lists them. Single letters can be switched off.
 * Knows nothing of what is done then.
 */
import { holdToTalk } from './controls.js';
import { settings } from './settings.js';
import { toggleTalks } from '../talks/talks-drawer.js';
import { toggleCast, toggleQueue } from './sheets.js';

const help = document.getElementById('help-dialog');
const textBox = document.getElementById('text');
const OPEN = CSS.supports('selector(:popover-open)') ? 'dialog[open], :popover-open' : 'dialog[open]';

const letters = {
  m: () => document.getElementById('mic').click(),
  t: focusText,
  '/': focusText,
  q: toggleQueue,
  c: toggleCast,
  h: toggleTalks,
  '?': showHelp,
};

function focusText() {
  textBox.focus();
}

export function showHelp() {
  if (!help.open) help.showModal();
}

function onKeyDown(event) {
  if (event.key === 'Escape') onEscape(event);
  else if (isFree(event)) onLetter(event);
}

/** An open dialog or menu takes the key first. */
function onEscape(event) {
  const isTaken = event.isComposing || document.querySelector(OPEN);
  if (!isTaken) document.dispatchEvent(new CustomEvent('interrupt_wanted'));
}

/** Not while somebody types or a dialog is open, and never what belongs to the browser. */
function isFree(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector('dialog[open]')) return false;
  return !event.target.closest?.('input:not([type=range]), textarea, select, [contenteditable]');
}

function onLetter(event) {
  if (event.key === ' ') {
    onSpace(event);
    return;
  }
  const key = event.key.toLowerCase();
  if (!settings.shortcuts || event.repeat || !Object.hasOwn(letters, key)) return;
  event.preventDefault();
  letters[key]();
}

/** Held, it is the talk button, unless it already presses another one. */
function onSpace(event) {
  if (settings.turnTaking !== 'push' || event.target.closest?.('button, summary, a')) return;
  event.preventDefault();
  if (!event.repeat) holdToTalk();
}

document.addEventListener('keydown', onKeyDown);
document.getElementById('help-close').addEventListener('click', () => help.close());
help.addEventListener('click', ({ target }) => { if (target === help) help.close(); });
