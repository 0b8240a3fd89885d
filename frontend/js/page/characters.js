/**
 * The characters as cards: who can speak, who speaks, who answers next. Who that is, cast.js decides.
 * Knows nothing of the talk: it is told who speaks.
 */
import { fetchJson } from '../wire/access.js';
import { whoAnswers } from '../talk/cast.js';
import { button, element } from '../transcript/bubbles.js';
import { changeSetting, settings } from './settings.js';

const LIGHT_ENOUGH = 0.55;

const list = document.getElementById('cast-list');
const empty = document.getElementById('cast-empty');
const orderBox = document.getElementById('cast-order');

let characters = [];
let last = '';
let speaking = '';
const cards = new Map();

export async function loadCharacters() {
  const found = await fetchJson('api/characters');
  const known = Array.isArray(found) ? found.filter(({ id, name }) => typeof id === 'string' && typeof name === 'string') : [];
  if (known.length === 0 && characters.length > 0) return;
  characters = known;
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
  const avatar = element('span', 'avatar', [...name][0]?.toLocaleUpperCase() ?? '?');
  const words = element('span', 'card-words');
  const line = element('span', 'card-line', voice?.description ?? '');
  const mute = button('mute', `Leave ${name} out`, () => onMute(id), 'mute');
  avatar.setAttribute('aria-hidden', 'true');
  if (typeof colour === 'string' && CSS.supports('color', colour)) paintAvatar(avatar, colour);
  const row = element('span', 'card-name');
  const next = element('span', 'next');
  row.append(element('strong', '', name), next);
  words.append(row, line);
  choose.replaceChildren(avatar, words);
  item.append(choose, mute);
  cards.set(id, { item, choose, mute, name, next });
  return item;
}

/** Dark letters on a light colour, light ones on a dark colour. */
function paintAvatar(avatar, colour) {
  const channels = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour)?.slice(1).map((hex) => Number.parseInt(hex, 16) / 255);
  const light = channels ? 0.3 * channels[0] + 0.59 * channels[1] + 0.11 * channels[2] : 0;
  avatar.style.setProperty('--avatar', colour);
  avatar.classList.toggle('light', light > LIGHT_ENOUGH);
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
