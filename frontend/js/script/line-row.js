/**
 * One line of the script as it stands on the page: who, what, how far, and what can be done with it.
 * Knows nothing of the others, nor of the server.
 */
import { button, element, icon } from '../transcript/bubbles.js';

const ICONS = { draft: 'draft', queued: 'queued', making: 'synthesizing', ready: 'played', playing: 'playing', failed: 'failed', changed: 'edit', cancelled: 'skipped' };
const TOOLS = [['up', 'Move up', 'up'], ['down', 'Move down', 'down'], ['twin', 'Duplicate', 'copy'], ['remove', 'Delete', 'trash']];

/** actions: {edit(key, changes), play(key), again(key), tool(key, name), enter(key)} */
export function makeLine(line, actions) {
  const { key } = line;
  const item = element('li', 'line');
  const number = element('span', 'line-no');
  const speaker = element('input', 'line-speaker');
  const text = element('textarea', 'line-text');
  const chip = element('span', 'chip');
  const glyph = icon('draft');
  const word = element('span', 'chip-word');
  const note = element('span', 'note');
  const problem = element('p', 'field-error');
  const play = button('icon-button line-play', 'Play from here', () => actions.play(key), 'playing');
  const again = button('icon-button line-again', 'Make this line', () => actions.again(key), 'again');
  const more = button('icon-button line-more', 'More for this line', onMore, 'more');
  const strip = makeStrip(line, actions);
  item.dataset.key = key;
  speaker.setAttribute('list', 'script-names');
  Object.assign(speaker, { value: line.speaker, placeholder: 'Who', autocomplete: 'off', maxLength: 64 });
  Object.assign(text, { value: line.text, rows: 1, placeholder: 'What they say' });
  problem.hidden = true;
  problem.setAttribute('role', 'alert');
  more.setAttribute('aria-expanded', 'false');
  speaker.addEventListener('input', () => actions.edit(key, { speaker: speaker.value }));
  text.addEventListener('input', () => { fit(text); actions.edit(key, { text: text.value }); });
  text.addEventListener('keydown', (event) => onKey(event, () => actions.enter(key)));
  chip.append(glyph, word);
  const state = element('span', 'line-state');
  const tools = element('span', 'line-tools');
  state.append(chip, note);
  tools.append(play, again, more);
  item.append(number, speaker, text, state, tools, problem, strip);
  return { item, number, speaker, text, use: glyph.firstChild, word, note, problem, play, again, state: '' };

  function onMore() {
    strip.hidden = !strip.hidden;
    more.setAttribute('aria-expanded', String(!strip.hidden));
    if (!strip.hidden) strip.querySelector('button').focus();
  }
}

function makeStrip({ key, speed, pauseMs }, actions) {
  const strip = element('div', 'line-strip');
  strip.append(...TOOLS.map(([name, words, sign]) => toolButton(words, sign, () => actions.tool(key, name))));
  strip.append(
    numberField('Speed', speed, { min: 0.25, max: 4, step: 0.05 }, (value) => actions.edit(key, { speed: value })),
    numberField('Pause before, ms', pauseMs, { min: 0, max: 60000, step: 50 }, (value) => actions.edit(key, { pauseMs: value })),
  );
  strip.hidden = true;
  return strip;
}

function toolButton(words, sign, onClick) {
  const made = button('chip-button', words, onClick);
  made.prepend(icon(sign));
  return made;
}

function numberField(words, value, limits, onValue) {
  const label = element('label', 'strip-field', words);
  const field = element('input', 'text-input');
  Object.assign(field, { type: 'number', value, ...limits });
  field.addEventListener('change', () => {
    const wanted = Math.min(limits.max, Math.max(limits.min, Number(field.value) || (limits.min === 0 ? 0 : 1)));
    field.value = wanted;
    onValue(wanted);
  });
  label.append(field);
  return label;
}

/** Enter goes on to the next line of the script; Shift makes none, for a line is one breath. */
function onKey(event, onEnter) {
  if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  onEnter();
}

/** Where CSS cannot grow the box by itself. */
export function fit(text) {
  if (CSS.supports('field-sizing', 'content')) return;
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight}px`;
}

/** shown: {number, state, note, canPlay, isCurrent}. What stands there already is not touched. */
export function paintLine(row, { number, state, note, canPlay, canMake }) {
  const labels = `${number}`;
  if (row.number.textContent !== labels) {
    row.number.textContent = labels;
    row.speaker.setAttribute('aria-label', `Speaker of line ${number}`);
    row.text.setAttribute('aria-label', `Line ${number}`);
  }
  if (row.state !== state) {
    row.state = state;
    row.item.dataset.state = state;
    row.use.setAttribute('href', `#icon-${ICONS[state]}`);
    row.word.textContent = state;
  }
  if (row.note.textContent !== note) row.note.textContent = note;
  if (row.play.disabled === canPlay) row.play.disabled = !canPlay;
  if (row.again.disabled === canMake) row.again.disabled = !canMake;
}

export function showProblem(row, words) {
  row.problem.textContent = words;
  row.problem.hidden = !words;
}
