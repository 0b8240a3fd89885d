/**
 * Lines are written, moved, doubled, deleted, pasted, and the names in them cast. Knows nothing of renders or of sound.
 */
import { newId } from '../wire/protocol.js';
import { showToast } from '../page/notices.js';
import { guessWish, renderCast } from './cast-box.js';
import { fit, makeLine, showProblem } from './line-row.js';
import { hasWords, newLine } from './play.js';
import { speakersOf } from './intake/script-text.js';
import { change, play, tellChange } from './state.js';

const list = document.getElementById('script-lines');
const titleField = document.getElementById('script-title');

/** Key of a line → its row on the page. */
export const rows = new Map();
let actions = {};

/** wanted: {play(key), again(key)}, what a line is asked for beyond its words. */
export function startEditing(wanted) {
  actions = { edit: onEdit, tool: (key, name) => tools[name](key), enter: onEnter, ...wanted };
  titleField.value = play.title;
  titleField.addEventListener('input', () => change({ ...play, title: titleField.value }));
  if (play.lines.length === 0) addLine();
  else renderLines();
  renderCast(speakersOf(play.lines), play.cast, onWish);
}

function onEdit(key, changes) {
  change({ ...play, lines: play.lines.map((line) => (line.key === key ? { ...line, ...changes } : line)) });
  showProblem(rows.get(key), '');
  if ('speaker' in changes) castNames();
}

/** A name that is new in the script is cast at once where that is clear. */
export function castNames() {
  const cast = { ...play.cast };
  for (const [name] of speakersOf(play.lines)) cast[name] ||= guessWish(name);
  change({ ...play, cast });
  renderCast(speakersOf(play.lines), play.cast, onWish);
}

function onWish(name, wish) {
  change({ ...play, cast: { ...play.cast, [name]: wish } });
  renderCast(speakersOf(play.lines), play.cast, onWish);
}

export function addLine(after = null, fields = {}) {
  const place = after === null ? play.lines.length : play.lines.findIndex(({ key }) => key === after) + 1;
  const line = newLine(newId(), { speaker: play.lines[place - 1]?.speaker ?? '', ...fields });
  change({ ...play, lines: [...play.lines.slice(0, place), line, ...play.lines.slice(place)] });
  renderLines();
  return line.key;
}

function onEnter(key) {
  const place = play.lines.findIndex((line) => line.key === key);
  const next = play.lines[place + 1];
  focusText(next && !hasWords(next) ? next.key : addLine(key));
}

export function focusText(key) {
  rows.get(key)?.text.focus();
}

const tools = {
  up: (key) => moveLine(key, -1),
  down: (key) => moveLine(key, 1),
  twin: (key) => focusText(addLine(key, play.lines.find((line) => line.key === key))),
  remove: removeLine,
};

function moveLine(key, by) {
  const place = play.lines.findIndex((line) => line.key === key);
  const target = place + by;
  if (target < 0 || target >= play.lines.length) return;
  const lines = [...play.lines];
  [lines[place], lines[target]] = [lines[target], lines[place]];
  change({ ...play, lines });
  renderLines();
}

/** Nothing is lost by one click. */
function removeLine(key) {
  const before = play;
  change({ ...play, lines: play.lines.filter((line) => line.key !== key) });
  renderLines();
  castNames();
  offerBack('The line is gone.', before);
}

function offerBack(text, before) {
  showToast(text, { code: 'undo', action: { word: 'Undo', run: () => restore(before) } });
}

/** News travels up as a DOM event, script_restored: its render may be another one. */
function restore(before) {
  change(before);
  titleField.value = play.title;
  renderLines();
  castNames();
  document.dispatchEvent(new CustomEvent('script_restored'));
}

/** What was rendered of a script that is replaced stays with the server. */
export function takeLines(lines, isAppended, title = '') {
  const before = play;
  const taken = lines.map((line) => newLine(newId(), line));
  const kept = play.lines.filter(hasWords);
  if (isAppended) change({ ...play, lines: [...kept, ...taken] });
  else change({ ...play, title: title || play.title, lines: taken, render: null });
  titleField.value = play.title;
  renderLines();
  castNames();
  if (!isAppended && kept.length) offerBack('The script before is replaced.', before);
}

/** Another script takes the place of this one, with its render. */
export function takePlay(next) {
  const before = play;
  change(next);
  titleField.value = play.title;
  renderLines();
  castNames();
  if (before.lines.some(hasWords)) offerBack('The script before is replaced.', before);
}

function renderLines() {
  const known = new Set(play.lines.map(({ key }) => key));
  for (const key of [...rows.keys()]) if (!known.has(key)) rows.delete(key);
  for (const line of play.lines) if (!rows.has(line.key)) rows.set(line.key, makeLine(line, actions));
  const wanted = play.lines.map(({ key }) => rows.get(key).item);
  const focused = document.activeElement;
  wanted.forEach((item, place) => { if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null); });
  while (list.childElementCount > wanted.length) list.lastElementChild.remove();
  if (focused !== document.activeElement && focused?.isConnected) focused.focus();
  play.lines.forEach(({ key }) => fit(rows.get(key).text));
  tellChange();
}
