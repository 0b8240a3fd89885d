/**
 * A script that is pasted or read from a file, shown as it will be cut before it is taken. Knows nothing of what is there.
 */
import { element } from '../transcript/bubbles.js';
import { speakersOf, textToLines } from './script-text.js';

const SHOWN = 40;

const dialog = document.getElementById('paste-dialog');
const field = document.getElementById('paste-text');
const fileField = document.getElementById('paste-file');
const summary = document.getElementById('paste-summary');
const preview = document.getElementById('paste-preview');
const buttons = dialog.querySelectorAll('[data-take]');

let lines = [];
let onTake = () => {};

/** take(lines, isAppended). */
export function openPaste(take) {
  onTake = take;
  render();
  dialog.showModal();
  field.focus();
}

function render() {
  lines = textToLines(field.value);
  const speakers = speakersOf(lines);
  const who = speakers.slice(0, 8).map(([name, count]) => `${name} (${count})`).join(', ');
  summary.textContent = lines.length ? `${lines.length} ${lines.length === 1 ? 'line' : 'lines'}: ${who}${speakers.length > 8 ? ' …' : ''}` : 'One line for each: NAME: what they say. Plain text is cut into sentences.';
  preview.replaceChildren(...lines.slice(0, SHOWN).map(({ speaker, text, pauseMs }) => {
    const row = element('li');
    row.append(element('strong', '', speaker), element('span', '', text));
    if (pauseMs) row.prepend(element('span', 'muted', `pause ${pauseMs} ms`));
    return row;
  }));
  if (lines.length > SHOWN) preview.append(element('li', 'muted', `and ${lines.length - SHOWN} more`));
  buttons.forEach((one) => { one.disabled = lines.length === 0; });
}

async function onFile() {
  const [file] = fileField.files;
  if (file) field.value = await file.text();
  fileField.value = '';
  render();
}

function onButton({ currentTarget }) {
  onTake(lines, currentTarget.dataset.take === 'append');
  field.value = '';
  dialog.close();
}

field.addEventListener('input', render);
fileField.addEventListener('change', onFile);
buttons.forEach((one) => one.addEventListener('click', onButton));
document.getElementById('paste-open-file').addEventListener('click', () => fileField.click());
document.getElementById('paste-close').addEventListener('click', () => dialog.close());
