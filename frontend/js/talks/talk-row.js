/**
 * One conversation in the list, and what can be done with it. Knows nothing of the others, nor of the server.
 */
import { fetchFromServer } from '../wire/access.js';
import { button, element, icon } from '../transcript/bubbles.js';
import { saveFile } from '../page/files.js';
import { pathOfTalk } from './opening.js';

const FORMATS = ['md', 'json', 'srt', 'vtt'];
const TITLE_CHARS = 80;

/** actions: {open(id), rename(id, title) → what went wrong, remove(id), undo(id)} */
export function makeRow({ id, title, line, isCurrent, isLeaving }, actions) {
  const row = element('li', 'talk-row');
  row.dataset.id = id;
  if (isLeaving) {
    row.classList.add('leaving');
    row.append(element('span', 'talk-gone', 'Deleted'), button('plain', 'Undo', () => actions.undo(id)));
    return row;
  }
  const open = button('talk-open', ' ', () => actions.open(id));
  open.replaceChildren(element('strong', '', title), element('span', 'talk-line', line));
  if (isCurrent) {
    row.setAttribute('aria-current', 'true');
    open.lastChild.prepend(element('span', 'here', 'Open now · '));
  }
  const strip = makeStrip(id, title, row, actions);
  const more = button('talk-more icon-button', `What to do with ${title}`, () => onMore(strip, more), 'more');
  more.setAttribute('aria-expanded', 'false');
  row.append(open, more, strip);
  return row;
}

function onMore(strip, more) {
  strip.hidden = !strip.hidden;
  more.setAttribute('aria-expanded', String(!strip.hidden));
  if (!strip.hidden) strip.querySelector('button').focus();
}

function makeStrip(id, title, row, actions) {
  const strip = element('div', 'talk-strip');
  const note = element('p', 'failure-note');
  note.setAttribute('role', 'alert');
  note.hidden = true;
  const files = element('span', 'talk-files');
  files.append(icon('download'), ...FORMATS.map((format) => exportButton(id, format, note)));
  strip.append(
    button('chip-button', 'Rename', () => startRenaming(id, title, row, actions)),
    files,
    button('chip-button danger', 'Delete', () => actions.remove(id)),
    note,
  );
  strip.hidden = true;
  return strip;
}

function exportButton(id, format, note) {
  const made = button('chip-button', format, () => onExport(id, format, note));
  made.setAttribute('aria-label', `Download as ${format}`);
  return made;
}

async function onExport(id, format, note) {
  note.hidden = true;
  try {
    const answer = await fetchFromServer(`${pathOfTalk(id)}/transcript?format=${format}`);
    if (!answer.ok) throw new Error(String(answer.status));
    saveFile(`talk.${format}`, await answer.blob());
  } catch {
    note.textContent = 'It could not be fetched. Is the server there?';
    note.hidden = false;
  }
}

/** What was typed stays until the server has it. */
function startRenaming(id, title, row, actions) {
  const form = element('form', 'talk-rename');
  const field = element('input', 'text-input');
  const note = element('p', 'failure-note');
  Object.assign(field, { value: title, maxLength: TITLE_CHARS, required: true });
  field.setAttribute('aria-label', 'Title');
  note.setAttribute('role', 'alert');
  note.hidden = true;
  const before = [...row.childNodes];
  const save = element('button', 'send', 'Save');
  save.type = 'submit';
  form.append(field, save, button('plain', 'Cancel', cancel), note);
  form.addEventListener('submit', onSubmit);
  form.addEventListener('keydown', onKey);
  row.replaceChildren(form);
  field.select();

  function cancel() {
    row.replaceChildren(...before);
    row.querySelector('.talk-more').focus();
  }

  /** Escape ends the renaming, not the list. */
  function onKey(event) {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    cancel();
  }

  async function onSubmit(event) {
    event.preventDefault();
    const wanted = field.value.trim();
    if (!wanted) return;
    const problem = await actions.rename(id, wanted);
    note.textContent = problem;
    note.hidden = !problem;
  }
}
