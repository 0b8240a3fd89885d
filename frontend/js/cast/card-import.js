/**
 * New characters: made up, or taken in from a card, chosen or dropped on the panel. Knows nothing of what a card holds.
 */
import { showToast } from '../page/notices.js';
import { placeUnder } from '../transcript/menu-place.js';
import { openEditor } from './editor.js';
import { importCard } from './people.js';

const MOST_BYTES = 8 * 1024 * 1024;

const panel = document.getElementById('cast');
const menu = document.getElementById('cast-menu');
const fileField = document.getElementById('cast-file');
const failure = document.getElementById('cast-failure');

function showFailure(words) {
  failure.textContent = words;
  failure.hidden = !words;
}

/** One after the other: a name that is taken gets a number, and that needs an order. */
async function takeIn(files) {
  showFailure('');
  const refusals = [];
  for (const file of files) {
    const refusal = await takeOne(file);
    if (refusal) refusals.push(refusal);
  }
  showFailure(refusals.join(' '));
}

async function takeOne(file) {
  if (file.size > MOST_BYTES) return `${file.name} is too large: a card has at most 8 MB.`;
  const answer = await importCard(file);
  if (!answer.isOk) return `${file.name}: ${answer.message}`;
  showToast(`${answer.data.name} has joined.`, { code: 'card_taken', action: { word: 'Look', run: () => openEditor(answer.data.id) } });
  return '';
}

function onNew() {
  menu.hidePopover?.();
  openEditor();
}

function onImport() {
  menu.hidePopover?.();
  fileField.click();
}

async function onFiles() {
  await takeIn([...fileField.files]);
  fileField.value = '';
}

function onDragOver(event) {
  if (!event.dataTransfer?.types.includes('Files')) return;
  event.preventDefault();
  panel.classList.add('drop-here');
}

function onDrop(event) {
  panel.classList.remove('drop-here');
  if (!event.dataTransfer?.files.length) return;
  event.preventDefault();
  takeIn([...event.dataTransfer.files]);
}

placeUnder(menu, document.getElementById('cast-add'));
document.getElementById('cast-new').addEventListener('click', onNew);
document.getElementById('cast-import').addEventListener('click', onImport);
fileField.addEventListener('change', onFiles);
panel.addEventListener('dragover', onDragOver);
panel.addEventListener('dragleave', () => panel.classList.remove('drop-here'));
panel.addEventListener('drop', onDrop);
