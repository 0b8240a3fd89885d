/**
 * The conversations there have been: found, opened, renamed, taken along, deleted. News travels up as a DOM event,
 * anew_wanted. Knows nothing of what was said in them.
 */
import { askServer, fetchJson } from '../wire/access.js';
import { currentSession } from '../wire/session-id.js';
import { button, element } from '../transcript/bubbles.js';
import { personNamed, personOf } from '../cast/people.js';
import { keepLeaving } from './leaving.js';
import { openTalk, pathOfTalk } from './opening.js';
import { makeRow } from './talk-row.js';
import { groupByDay, talkLine, titleOf, worthListing } from './talk-words.js';

const SEARCH_AFTER_MS = 200;
const SHOWN_AT_ONCE = 60;

const dialog = document.getElementById('talks-dialog');
const search = document.getElementById('talks-search');
const list = document.getElementById('talks-list');
const status = document.getElementById('talks-status');

let talks = [];
let shown = SHOWN_AT_ONCE;
let searchTimer = 0;
let asked = 0;
const leaving = keepLeaving({ list, render, removeForGood });

export function toggleTalks() {
  if (dialog.open) dialog.close();
  else open();
}

function open() {
  search.value = '';
  dialog.showModal();
  load();
}

/** Only the newest answer counts: who types on is not shown what they searched for before. */
async function load() {
  const number = asked += 1;
  const found = await fetchJson(`api/sessions?search=${encodeURIComponent(search.value.trim().slice(0, 200))}`);
  if (number !== asked) return;
  talks = Array.isArray(found) ? worthListing(found, currentSession()) : [];
  shown = SHOWN_AT_ONCE;
  render();
  status.textContent = statusWords(Array.isArray(found));
}

function statusWords(isAnswered) {
  if (!isAnswered) return 'The conversations cannot be reached now.';
  if (talks.length > 0) return search.value.trim() ? `${talks.length} found` : '';
  return search.value.trim() ? 'Nothing was said like that.' : 'What you talk about is listed here.';
}

function render() {
  const now = Date.now();
  const groups = groupByDay(talks.slice(0, shown), now);
  list.replaceChildren(...groups.flatMap(({ name, talks: found }) => {
    const rows = element('ul', 'talk-rows');
    rows.append(...found.map((talk) => rowOf(talk, now)));
    return [element('h3', '', name), rows];
  }));
  if (talks.length > shown) list.append(button('plain more-talks', `Show ${Math.min(talks.length - shown, 200)} more`, onMore));
}

function onMore() {
  const last = list.querySelector('.talk-row:last-of-type .talk-open');
  shown += 200;
  render();
  last?.focus();
}

function nameOf(character) {
  return personOf(character)?.name ?? personNamed(character)?.name;
}

function rowOf(talk, now) {
  return makeRow({
    id: talk.id, title: titleOf(talk), line: talkLine(talk, nameOf, now), isCurrent: talk.id === currentSession(), isLeaving: leaving.has(talk.id),
  }, { open: onOpen, rename, remove: leaving.leave, undo: leaving.undo });
}

function onOpen(id) {
  dialog.close();
  openTalk(id);
}

/** Gives what went wrong, or nothing. */
async function rename(id, title) {
  const answer = await askServer('PATCH', pathOfTalk(id), { title });
  if (!answer.isOk) return answer.message;
  const talk = talks.find((one) => one.id === id);
  if (talk) talk.title = title;
  render();
  return '';
}

async function removeForGood(id) {
  if (id === currentSession()) document.dispatchEvent(new CustomEvent('anew_wanted'));
  const answer = await askServer('DELETE', pathOfTalk(id), undefined, { keepalive: true });
  const isGone = answer.isOk || answer.status === 404;
  if (isGone) talks = talks.filter((talk) => talk.id !== id);
  else status.textContent = `It was not deleted. ${answer.message}`;
  render();
}

function onSearch() {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(load, SEARCH_AFTER_MS);
}

function onNew() {
  dialog.close();
  document.dispatchEvent(new CustomEvent('anew_wanted'));
}

document.getElementById('talks-button').addEventListener('click', open);
document.getElementById('talks-close').addEventListener('click', () => dialog.close());
document.getElementById('talks-new').addEventListener('click', onNew);
search.addEventListener('input', onSearch);
dialog.addEventListener('close', leaving.settle);
dialog.addEventListener('click', ({ target }) => { if (target === dialog) dialog.close(); });
globalThis.addEventListener('pagehide', leaving.settle);
