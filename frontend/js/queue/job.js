/**
 * One sentence in the voice queue: its state, its words, and on demand how it was made.
 * News travels up as DOM events: sentence_wanted {turn, sentence}, ask_again {text}. Knows nothing of other sentences.
 */
import { paintWho } from '../cast/colours.js';
import { button, element, icon } from '../transcript/bubbles.js';
import { jobDetails, jobNote, shareHeard, shareMade } from './job-words.js';

const ICONS = { interrupted: 'cut', missed: 'skipped', silent: 'ready' };
const WORDS = { silent: 'text only' };

export function makeJob(turn, number) {
  const item = element('li', 'job');
  const chip = element('span', 'chip');
  const glyph = icon('queued');
  const word = element('span', 'chip-word');
  const text = button('job-text', ' ', () => onPress(turn.number, number, text, details));
  const details = element('dl', 'job-details');
  const bar = element('progress');
  item.dataset.sentence = number;
  chip.append(glyph, word);
  text.setAttribute('aria-expanded', 'false');
  details.hidden = true;
  bar.max = 1;
  bar.setAttribute('aria-label', `Sentence ${number + 1}, share heard`);
  const job = { item, use: glyph.firstChild, word, speaker: element('span', 'speaker'), note: element('span', 'note'), text, bar, details, again: null };
  item.append(chip, job.speaker, job.note, text, bar, details);
  return job;
}

/** place: how many sentences are before it in the line. */
export function paintJob(job, turn, sentence, place) {
  const { status } = sentence;
  setText(job.word, WORDS[status] ?? status);
  if (job.item.dataset.status !== status) {
    job.item.dataset.status = status;
    job.use.setAttribute('href', `#icon-${ICONS[status] ?? status}`);
    offerAgain(job, turn, status === 'failed');
  }
  if (job.speaker.textContent !== sentence.character) nameSpeaker(job.speaker, sentence.character);
  setText(job.note, jobNote(sentence, place));
  setText(job.text, sentence.text);
  job.bar.value = shareHeard(sentence);
  job.bar.style.setProperty('--made', shareMade(sentence).toFixed(3));
  const rows = jobDetails(sentence);
  const words = rows.flat().join('\n');
  if (job.details.dataset.words === words) return;
  job.details.dataset.words = words;
  job.details.replaceChildren(...rows.flatMap(([what, howMuch]) => [element('dt', '', what), element('dd', '', howMuch)]));
}

function nameSpeaker(place, name) {
  place.textContent = name;
  paintWho(place, name);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The server has tried a sentence three times before it says "failed": what is left is to ask the whole thing again. */
function offerAgain(job, turn, isFailed) {
  job.again?.remove();
  job.again = null;
  if (!isFailed || !turn.asked) return;
  job.again = button('ask-again', 'Ask again', () => document.dispatchEvent(new CustomEvent('ask_again', { detail: { text: turn.asked } })));
  job.item.append(job.again);
}

function onPress(turn, sentence, text, details) {
  details.hidden = !details.hidden;
  text.setAttribute('aria-expanded', String(!details.hidden));
  document.dispatchEvent(new CustomEvent('sentence_wanted', { detail: { turn, sentence } }));
}
