/**
 * The characters as cards: who can speak, who speaks, who answers next. Who that is, cast.js decides.
 * Knows nothing of the talk: it is told who speaks.
 */
import { whoAnswers } from '../talk/cast.js';
import { button, element } from '../transcript/bubbles.js';
import { changeSetting, settings } from '../page/settings.js';
import { makeAvatar } from './avatar.js';
import { openEditor } from './editor.js';
import { everybody } from './people.js';

const list = document.getElementById('cast-list');
const empty = document.getElementById('cast-empty');
const orderBox = document.getElementById('cast-order');

let characters = [];
let last = '';
let speaking = '';
const cards = new Map();

function showPeople() {
  characters = everybody();
  cards.clear();
  list.replaceChildren(...characters.map(makeCard));
  empty.hidden = characters.length > 0;
  orderBox.hidden = characters.length < 2;
  paint();
}

/** Who shall answer this text; empty while nobody is known. From now on that one was the last. */
export function speakerFor(text) {
  last = whoAnswers({ ...settings, characters, last, text }) ?? '';
  if (settings.order === 'named' && last) changeSetting('chosen', last);
  paint();
  return last;
}

/** Who is meant when nothing has been said yet. */
export function chosenSpeaker() {
  return whoAnswers({ ...settings, characters, last, text: '' }) ?? '';
}

/** name: empty when nobody speaks. */
export function showSpeaker(name) {
  if (speaking === name) return;
  speaking = name;
  paint();
}

function makeCard({ id, name, voice, colour }) {
  const item = element('li', 'card');
  const choose = button('card-choose', ' ', () => onChoose(id));
  const avatar = makeAvatar(name, colour);
  const words = element('span', 'card-words');
  const line = element('span', 'card-line', voice?.description ?? '');
  const mute = button('mute', `Leave ${name} out`, () => onMute(id), 'mute');
  const edit = button('edit', `Change ${name}`, () => openEditor(id), 'edit');
  const row = element('span', 'card-name');
  const next = element('span', 'next');
  row.append(element('strong', '', name), next);
  words.append(row, line);
  choose.replaceChildren(avatar, words);
  item.append(choose, edit, mute);
  cards.set(id, { item, choose, mute, name, next });
  return item;
}

function onChoose(id) {
  changeSetting('muted', settings.muted.filter((other) => other !== id));
  changeSetting('chosen', id);
  last = beforeInOrder(id);
  paint();
}

/** In turn, the chosen one is next. */
function beforeInOrder(id) {
  if (settings.order !== 'turns') return id;
  const place = characters.findIndex((character) => character.id === id);
  return characters.at(place - 1).id;
}

function onMute(id) {
  const isMuted = settings.muted.includes(id);
  changeSetting('muted', isMuted ? settings.muted.filter((other) => other !== id) : [...settings.muted, id]);
  paint();
}

function paint() {
  const next = chosenSpeaker();
  for (const [id, { item, choose, mute, name, next: nextWord }] of cards) {
    const isMuted = settings.muted.includes(id);
    const isSpeaking = name === speaking;
    item.classList.toggle('muted-card', isMuted);
    item.classList.toggle('next-card', id === next);
    nextWord.textContent = isSpeaking ? 'speaking' : id === next ? 'next' : '';
    if (isSpeaking) item.setAttribute('aria-current', 'true');
    else item.removeAttribute('aria-current');
    choose.setAttribute('aria-pressed', String(id === next));
    mute.setAttribute('aria-pressed', String(isMuted));
  }
  for (const radio of orderBox.querySelectorAll('input')) radio.checked = radio.value === settings.order;
}

function onOrder({ target }) {
  changeSetting('order', target.value);
  paint();
}

orderBox.addEventListener('change', onOrder);
document.addEventListener('people_changed', showPeople);
