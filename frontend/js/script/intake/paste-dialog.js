/**
 * A script that is pasted or read from a file, shown as it will be cut before it is taken. Knows nothing of what is there.
 */
import { element } from '../../transcript/bubbles.js';
import { readFile } from './script-file.js';
import { speakersOf, textToLines } from './script-text.js';

const SHOWN = 40;
/** More than this nobody edits line by line in a browser. */
const MOST_LINES = 3000;
const HINT = 'One line for each: NAME: what they say. Plain text is cut into sentences. Or a file: drop it here.';

const dialog = document.getElementById('paste-dialog');
const field = document.getElementById('paste-text');
const fileField = document.getElementById('paste-file');
const summary = document.getElementById('paste-summary');
const preview = document.getElementById('paste-preview');
const failure = document.getElementById('paste-failure');
const wholeButton = document.getElementById('paste-render');
const buttons = dialog.querySelectorAll('[data-take]');

let lines = [];
let file = null;
let title = '';
let skipped = 0;
let isReading = false;
let actions = {};

/** wanted: {take(lines, isAppended, title), renderFile(file, speakers) → what went wrong}. first: a file, or null. */
export function openPaste(wanted, first = null) {
  actions = wanted;
  render();
  if (!dialog.open) dialog.showModal();
  if (first) takeFile(first);
  else field.focus();
}

function render() {
  const speakers = speakersOf(lines);
  summary.textContent = isReading ? 'The file is being read …' : lines.length ? summaryOf(speakers) : HINT;
  preview.replaceChildren(...lines.slice(0, SHOWN).map(previewOf));
  if (lines.length > SHOWN) preview.append(element('li', 'muted', `and ${lines.length - SHOWN} more`));
  buttons.forEach((one) => { one.disabled = isReading || lines.length === 0 || lines.length > MOST_LINES; });
  wholeButton.hidden = file === null;
  wholeButton.disabled = isReading || lines.length === 0;
}

function summaryOf(speakers) {
  const who = speakers.slice(0, 8).map(([name, count]) => `${name} (${count})`).join(', ');
  const words = [`${file ? `${file.name}, ` : ''}${lines.length} ${lines.length === 1 ? 'line' : 'lines'}: ${who}${speakers.length > 8 ? ' …' : ''}`];
  if (skipped) words.push(`${skipped} skipped, which nobody says`);
  if (lines.length > MOST_LINES) words.push('too long to be edited here: have it rendered as it is');
  return words.join(' · ');
}

function previewOf({ speaker, text, pauseMs }) {
  const row = element('li');
  row.append(element('strong', '', speaker), element('span', '', text));
  if (pauseMs) row.prepend(element('span', 'muted', `pause ${pauseMs} ms`));
  return row;
}

function showFailure(words) {
  failure.textContent = words;
  failure.hidden = !words;
}

/** The server reads it, so that it is what a render of it would be; what was typed stays until it is taken. */
async function takeFile(chosen) {
  showFailure('');
  isReading = true;
  render();
  const read = await readFile(chosen);
  isReading = false;
  if (read.isOk) ({ lines, title, skipped } = read);
  if (read.isOk) file = chosen;
  else showFailure(read.message);
  render();
}

function onInput() {
  file = null;
  title = '';
  skipped = 0;
  lines = textToLines(field.value);
  showFailure('');
  render();
}

function onFile() {
  const [chosen] = fileField.files;
  if (chosen) takeFile(chosen);
  fileField.value = '';
}

function onButton({ currentTarget }) {
  actions.take(lines, currentTarget.dataset.take === 'append', title);
  close();
}

async function onWhole() {
  wholeButton.disabled = true;
  const problem = await actions.renderFile(file, speakersOf(lines).map(([name]) => name));
  showFailure(problem);
  if (problem) render();
  else close();
}

function close() {
  field.value = '';
  onInput();
  dialog.close();
}

field.addEventListener('input', onInput);
fileField.addEventListener('change', onFile);
wholeButton.addEventListener('click', onWhole);
buttons.forEach((one) => one.addEventListener('click', onButton));
document.getElementById('paste-open-file').addEventListener('click', () => fileField.click());
document.getElementById('paste-close').addEventListener('click', () => dialog.close());
