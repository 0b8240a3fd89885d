/**
 * The list of a turn's sentences, each a job with its state, and the sheet it becomes on a phone.
 * Knows nothing of the wire or of sound: it is given sentences and shows them.
 */
import { isToCome } from './states.js';

const ICONS = { interrupted: 'cut' };
const NARROW = '(max-width: 760px)';

const side = document.getElementById('queue-side');
const sheet = document.getElementById('queue-dialog');
const queue = document.getElementById('queue');
const list = document.getElementById('queue-list');
const empty = document.getElementById('queue-empty');
const summary = document.getElementById('queue-summary');
const badge = document.getElementById('queue-badge');
const openButton = document.getElementById('queue-button');
const closeButton = document.getElementById('queue-close');

let shownTurn = null;
const entries = new Map();

/** Show another turn's sentences. */
export function showQueue(turn, sentences) {
  if (turn === shownTurn) return;
  shownTurn = turn;
  entries.clear();
  list.replaceChildren();
  for (const sentence of sentences) renderJob(turn, sentence);
  renderSummary(turn, sentences);
}

export function renderJob(turn, sentence) {
  if (turn !== shownTurn) return;
  const entry = entries.get(sentence.number) ?? addEntry(sentence.number);
  const { status } = sentence;
  entry.item.dataset.status = status;
  entry.icon.setAttribute('href', `#icon-${ICONS[status] ?? status}`);
  entry.word.textContent = status;
  entry.speaker.textContent = sentence.character;
  entry.note.textContent = sentenceToNote(sentence);
  entry.text.textContent = entry.text.title = sentence.text;
  entry.bar.value = sentenceToShare(sentence);
  if (status === 'playing') keepVisible(entry.item);
}

/** The number of sentences that can still be heard. */
export function renderSummary(turn, sentences) {
  if (turn !== shownTurn) return;
  const toCome = sentences.filter(({ status }) => isToCome(status)).length;
  summary.textContent = toCome ? `${toCome} to go` : '';
  badge.textContent = toCome;
  badge.hidden = toCome === 0;
  empty.hidden = entries.size > 0;
}

function addEntry(number) {
  const item = document.createElement('li');
  item.className = 'job';
  item.dataset.sentence = number;
  const icon = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  const glyph = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  glyph.setAttribute('aria-hidden', 'true');
  glyph.append(icon);
  const chip = part('span', 'chip');
  const word = part('span', 'chip-word');
  chip.append(glyph, word);
  const entry = { item, icon, word, speaker: part('span', 'speaker'), note: part('span', 'note'), text: part('p', 'job-text'), bar: part('progress', '') };
  entry.bar.max = 1;
  entry.bar.setAttribute('aria-label', `Sentence ${number + 1}, share heard`);
  item.append(chip, entry.speaker, entry.note, entry.text, entry.bar);
  entries.set(number, entry);
  insertInOrder(number, item);
  return entry;
}

function insertInOrder(number, item) {
  const after = [...list.children].find((other) => Number(other.dataset.sentence) > number);
  list.insertBefore(item, after ?? null);
}

function part(name, className) {
  const element = document.createElement(name);
  element.className = className;
  return element;
}

function sentenceToNote({ status, durationMs, heardMs, reason, attempt }) {
  if (status === 'failed') return reason;
  if (status === 'interrupted') return `heard ${msToWords(heardMs)}`;
  if (status === 'playing') return durationMs ? msToWords(Math.max(0, durationMs - heardMs)) : '';
  if (status === 'synthesizing') return attempt > 1 ? `try ${attempt}` : '';
  return durationMs && status !== 'skipped' ? msToWords(durationMs) : '';
}

function msToWords(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

function sentenceToShare({ status, heardMs, durationMs }) {
  if (status === 'played') return 1;
  return durationMs ? Math.min(1, heardMs / durationMs) : 0;
}

function keepVisible(item) {
  const top = item.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  const hiddenBelow = top + item.offsetHeight - list.scrollTop - list.clientHeight;
  if (hiddenBelow > 0) list.scrollTop += hiddenBelow;
}

function onOpen() {
  sheet.append(queue);
  sheet.showModal();
}

function onClosed() {
  side.append(queue);
}

/** A touch beside the sheet closes it. */
function onSheetClick(event) {
  if (event.target === sheet) sheet.close();
}

function onWidthChange({ matches }) {
  if (!matches && sheet.open) sheet.close();
}

openButton.addEventListener('click', onOpen);
closeButton.addEventListener('click', () => sheet.close());
sheet.addEventListener('close', onClosed);
sheet.addEventListener('click', onSheetClick);
globalThis.matchMedia(NARROW).addEventListener('change', onWidthChange);
