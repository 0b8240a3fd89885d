/**
 * Who speaks whom: for each name in the script a character or a voice. Knows nothing of the lines or of the server's renders.
 */
import { element } from '../transcript/bubbles.js';
import { makeAvatar } from '../cast/avatar.js';
import { groupVoices } from '../cast/voice-groups.js';

const box = document.getElementById('script-cast');
const empty = document.getElementById('script-cast-empty');
const names = document.getElementById('script-names');

let people = [];
let voices = [];
const NARRATORS = ['narrator', 'doran'];

export function knowVoices(foundPeople, foundVoices) {
  people = foundPeople;
  voices = foundVoices;
}

/** The character of that name, or somebody who reads for the narrator, or nobody. */
export function guessWish(name) {
  const wanted = name.trim().toLocaleLowerCase();
  const found = people.find((person) => person.name.toLocaleLowerCase() === wanted || person.id.toLocaleLowerCase() === wanted);
  if (found || wanted !== 'narrator') return found?.id ?? '';
  return people.find(({ id, name: other }) => NARRATORS.includes(id) || NARRATORS.includes(other.toLocaleLowerCase()))?.id ?? '';
}

/** The character of that name if it has this voice, else the voice. */
export function wishOfVoice(name, voice) {
  const found = people.find(({ id }) => id === guessWish(name));
  return found && found.voice?.name === voice.name ? found.id : voice.name;
}

export function wishColour(wish) {
  return people.find(({ id }) => id === wish)?.colour ?? '';
}

/** speakers: [[name, how many lines]]. cast: {name: wish}. onWish(name, wish). */
export function renderCast(speakers, cast, onWish) {
  empty.hidden = speakers.length > 0;
  box.replaceChildren(...speakers.map(([name, count]) => castRow(name, count, cast[name] ?? '', onWish)));
  const known = new Set([...speakers.map(([name]) => name), ...people.map(({ name }) => name), 'Narrator']);
  names.replaceChildren(...[...known].map((name) => new Option(name, name)));
}

function castRow(name, count, wish, onWish) {
  const row = element('li', 'role');
  const label = element('label', 'role-words');
  const head = element('span', 'role-name');
  const select = element('select');
  head.append(element('strong', '', name), element('span', 'muted', count === 1 ? '1 line' : `${count} lines`));
  select.append(...optionsFor(wish));
  select.value = wish;
  select.addEventListener('change', () => onWish(name, select.value));
  label.append(head, select);
  row.classList.toggle('uncast', !wish);
  row.append(makeAvatar(name, wishColour(wish)), label);
  return row;
}

function optionsFor(wish) {
  const characters = element('optgroup');
  characters.label = 'Characters';
  characters.append(...people.map(({ id, name }) => new Option(name, id)));
  const groups = groupVoices(voices).map(({ name, voices: found }) => {
    const group = element('optgroup');
    group.label = `Voices: ${name}`;
    group.append(...found.map((voice) => new Option(voice.label || voice.name, voice.name)));
    return group;
  });
  const isThere = people.some(({ id }) => id === wish) || voices.some(({ name }) => name === wish);
  const gone = wish && !isThere ? [new Option(`${wish} (gone)`, wish)] : [];
  return [new Option('Who speaks this?', ''), ...gone, characters, ...groups];
}
