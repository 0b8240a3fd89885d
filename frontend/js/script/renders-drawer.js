/**
 * The renders there have been: opened, taken along, deleted. Knows nothing of the script on the page.
 */
import { askServer, fetchFromServer, fetchJson } from '../wire/access.js';
import { saveFile } from '../page/files.js';
import { keepLeaving } from '../talks/leaving.js';
import { button, element, icon } from '../transcript/bubbles.js';
import { pathOfRender } from './order-desk.js';
import { fileName, renderLine } from './play.js';

const LOOK_MS = 2000;
const FILES = [['mp3', 'audio?format=mp3'], ['wav', 'audio?format=wav'], ['m4b', 'audio?format=m4b'], ['srt', 'subtitles.srt'], ['zip', 'zip']];
/** Longer ones are heard and taken along, not edited in a browser. */
const MOST_LINES = 3000;

const dialog = document.getElementById('renders-dialog');
const list = document.getElementById('renders-list');
const status = document.getElementById('renders-status');

let renders = [];
let actions = {};
let looking = 0;
const leaving = keepLeaving({ list, render, removeForGood });
const opened = new Set();

/** wanted: {open(id) → what went wrong, current() → id or null}. */
export function offerRenders(wanted) {
  actions = wanted;
}

export function openRenders() {
  if (!dialog.open) {
    opened.clear();
    renders = [];
    dialog.showModal();
  }
  load();
}

/** What is still being made moves on while one looks. */
async function load() {
  clearTimeout(looking);
  const found = await fetchJson('api/renders');
  if (!dialog.open) return;
  if (Array.isArray(found) && JSON.stringify(found) !== JSON.stringify(renders)) {
    renders = found;
    render();
  }
  status.textContent = Array.isArray(found) ? (renders.length ? '' : 'What you have rendered is listed here.') : 'The renders cannot be reached now.';
  looking = setTimeout(load, LOOK_MS);
}

function render() {
  const focused = document.activeElement?.closest('[data-id]')?.dataset.id;
  list.replaceChildren(...renders.map(makeRow));
  if (focused) leaving.focusRow(focused);
}

function makeRow(one) {
  const row = element('li', 'talk-row');
  row.dataset.id = one.id;
  if (leaving.has(one.id)) {
    row.classList.add('leaving');
    row.append(element('span', 'talk-gone', 'Deleted'), button('plain', 'Undo', () => leaving.undo(one.id)));
    return row;
  }
  const note = element('p', 'failure-note');
  note.hidden = true;
  note.setAttribute('role', 'alert');
  const open = button('talk-open', ' ', () => onOpen(one, note));
  open.replaceChildren(element('strong', '', one.title || 'Untitled'), element('span', 'talk-line', renderLine(one)));
  if (one.id === actions.current()) {
    row.setAttribute('aria-current', 'true');
    open.lastChild.prepend(element('span', 'here', 'Open now · '));
  }
  const strip = makeStrip(one, note);
  const more = button('talk-more icon-button', `What to do with ${one.title || 'it'}`, () => onMore(one.id, strip, more), 'more');
  strip.hidden = !opened.has(one.id);
  more.setAttribute('aria-expanded', String(!strip.hidden));
  row.append(open, more, strip);
  return row;
}

function makeStrip(one, note) {
  const strip = element('div', 'talk-strip');
  const files = element('span', 'talk-files');
  const offered = one.state === 'rendering' ? FILES.slice(0, 2) : FILES;
  files.append(icon('download'), ...offered.map(([name, path]) => fileButton(one, name, path, note)));
  strip.append(files, button('chip-button danger', 'Delete', () => leaving.leave(one.id)), note);
  return strip;
}

function fileButton(one, name, path, note) {
  const made = button('chip-button', name, () => download(one, name, path, made, note));
  made.setAttribute('aria-label', `Download as ${name}`);
  return made;
}

function onMore(id, strip, more) {
  strip.hidden = !strip.hidden;
  if (strip.hidden) opened.delete(id);
  else opened.add(id);
  more.setAttribute('aria-expanded', String(!strip.hidden));
  if (!strip.hidden) strip.querySelector('button').focus();
}

async function onOpen({ id, lines }, note) {
  const problem = lines > MOST_LINES ? 'It is too long to be edited here. Its sound can be taken along.' : await actions.open(id);
  if (problem) show(note, problem);
  else dialog.close();
}

function show(note, words) {
  note.textContent = words;
  note.hidden = !words;
  note.closest('.talk-strip').hidden = false;
}

async function download({ id, title }, name, path, pressed, note) {
  pressed.disabled = true;
  note.hidden = true;
  const answer = await fetchFromServer(`${pathOfRender(id)}/${path}`).catch(() => null);
  const blob = answer?.ok ? await answer.blob().catch(() => null) : null;
  pressed.disabled = false;
  if (blob) saveFile(fileName(title, name), blob);
  else show(note, 'The file could not be fetched.');
}

async function removeForGood(id) {
  const answer = await askServer('DELETE', pathOfRender(id), undefined, { keepalive: true });
  if (answer.isOk || answer.status === 404) renders = renders.filter((one) => one.id !== id);
  else status.textContent = `It was not deleted. ${answer.message}`;
  render();
}

function settle() {
  clearTimeout(looking);
  leaving.settle();
}

document.getElementById('renders-button').addEventListener('click', openRenders);
document.getElementById('renders-close').addEventListener('click', () => dialog.close());
dialog.addEventListener('close', settle);
dialog.addEventListener('click', ({ target }) => { if (target === dialog) dialog.close(); });
globalThis.addEventListener('pagehide', settle);
