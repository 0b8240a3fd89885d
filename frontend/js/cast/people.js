/**
 * Who can speak: the characters as the server has them. News travels up as a DOM event, people_changed.
 * Knows nothing of the page, nor of who takes part in a talk.
 */
import { askServer, fetchJson } from '../wire/access.js';

let people = [];
let isLoaded = false;

export function everybody() {
  return people;
}

/** False until the server has said once who there is. */
export function isKnown() {
  return isLoaded;
}

export function personOf(id) {
  return people.find((person) => person.id === id);
}

export function personNamed(name) {
  return people.find((person) => person.name === name);
}

/** What the server does not say stays as it was. */
export async function loadPeople() {
  const found = await fetchJson('api/characters');
  const known = Array.isArray(found) ? found.filter(({ id, name }) => typeof id === 'string' && typeof name === 'string') : [];
  if (known.length === 0 && people.length > 0) return;
  people = known;
  isLoaded = true;
  document.dispatchEvent(new CustomEvent('people_changed'));
}

/** id: null makes a new one. Gives what askServer gives. */
export async function savePerson(id, fields) {
  const answer = id === null ? await askServer('POST', 'api/characters', fields) : await askServer('PUT', pathOf(id), fields);
  if (answer.isOk || answer.code === 'character_unknown') await loadPeople();
  return answer;
}

/** Of a changed copy comes back what it was made of. Who is gone already is as good as deleted. */
export async function deletePerson(id) {
  const answer = await askServer('DELETE', pathOf(id));
  const isGone = answer.isOk || answer.code === 'character_unknown';
  if (isGone) await loadPeople();
  return { ...answer, isOk: isGone };
}

export async function importCard(file) {
  const answer = await askServer('POST', 'api/characters/import', file);
  if (answer.isOk) await loadPeople();
  return answer;
}

export function pathOf(id) {
  return `api/characters/${encodeURIComponent(id)}`;
}
