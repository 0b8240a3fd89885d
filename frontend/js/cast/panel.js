/**
 * The characters as cards: who takes part, who speaks, who answers next, and who else there is.
 * Knows nothing of the talk: it is told who speaks.
 */
import { button, element } from '../transcript/bubbles.js';
import { makeAvatar } from './avatar.js';
import { MOST_MEMBERS, likelyNext } from './casting.js';
import { openEditor } from './editor.js';
import {
  addMember, callMember, calledSpeaker, castAnswers, castOrder, forgetCalled, isMember, members, moveMember, muteMember, removeMember, setCastAnswers,
  setCastOrder, talkOnlyWith,
} from './members.js';
import { everybody, personOf } from './people.js';

const memberList = document.getElementById('cast-list');
const otherList = document.getElementById('others-list');
const memberHead = document.getElementById('cast-head');
const otherHead = document.getElementById('others-head');
const empty = document.getElementById('cast-empty');
const orderBox = document.getElementById('cast-order');
const answersBox = document.getElementById('cast-answers');

let speaking = '';
let lastSpeaker = '';
let opened = '';
const cards = new Map();

/** Who shall answer what is said now; empty where the server decides. */
export function speakerFor() {
  const id = calledSpeaker();
  forgetCalled();
  return id;
}

/** Who is meant when nothing has been said yet. */
export function chosenSpeaker() {
  return calledSpeaker();
}

/** name: empty when nobody speaks. */
export function showSpeaker(name) {
  if (speaking === name) return;
  speaking = name;
  if (name) lastSpeaker = name;
  paint();
}

/** A card that has the focus keeps it, wherever it goes. */
function render() {
  const focused = focusedPlace();
  cards.clear();
  const inTalk = members();
  const others = everybody().filter(({ id }) => !isMember(id));
  memberList.replaceChildren(...inTalk.map(makeMember));
  otherList.replaceChildren(...others.map((person) => makeOther(person, inTalk.length)));
  const isGroup = inTalk.length > 1;
  memberHead.textContent = isGroup ? `In this talk (${inTalk.length})` : 'You talk with';
  memberHead.hidden = inTalk.length === 0;
  otherHead.hidden = others.length === 0;
  empty.hidden = inTalk.length + others.length > 0;
  orderBox.hidden = answersBox.hidden = !isGroup;
  for (const radio of orderBox.querySelectorAll('input')) radio.checked = radio.value === castOrder();
  for (const radio of answersBox.querySelectorAll('input')) radio.checked = Number(radio.value) === castAnswers();
  answersBox.disabled = castOrder() === 'chosen';
  paint();
  if (focused) document.querySelector(focused)?.focus();
}

function focusedPlace() {
  const { activeElement } = document;
  const card = activeElement.closest?.('.card');
  return card && `.card[data-id="${CSS.escape(card.dataset.id)}"] .${activeElement.classList[0]}:not(:disabled)`;
}

function makeMember(member) {
  const person = personOf(member.id);
  const isGroup = members().length > 1;
  const card = makeCard(member, person?.voice?.description ?? '', () => callMember(member.id));
  if (isGroup) {
    const mute = button('mute', `Leave ${member.name} out`, () => muteMember(member.id, !member.is_muted), member.is_muted ? 'mute' : 'volume');
    mute.setAttribute('aria-pressed', String(member.is_muted));
    const more = button('more-tools', `What to do with ${member.name}`, () => onMore(member.id), 'more');
    more.setAttribute('aria-expanded', String(opened === member.id));
    card.item.append(mute, more);
    if (opened === member.id) card.item.append(makeStrip(member, person));
  } else if (person) {
    card.item.append(button('edit', `Change ${member.name}`, () => openEditor(member.id), 'edit'));
  }
  card.item.classList.toggle('muted-card', member.is_muted);
  cards.set(member.id, { ...card, name: member.name });
  return card.item;
}

function makeOther({ id, name, colour, voice }, count) {
  const { item } = makeCard({ id, name, colour }, voice?.description ?? '', () => onOther(id));
  item.classList.add('other-card');
  const add = button('add', `Add ${name} to the talk`, () => addMember(id), 'plus');
  add.disabled = count >= MOST_MEMBERS || count === 0;
  item.append(button('edit', `Change ${name}`, () => openEditor(id), 'edit'), add);
  return item;
}

function makeCard({ id, name, colour }, words, onChoose) {
  const item = element('li', 'card');
  const choose = button('card-choose', ' ', onChoose);
  const text = element('span', 'card-words');
  const row = element('span', 'card-name');
  const next = element('span', 'next');
  item.dataset.id = id;
  row.append(element('strong', '', name), next);
  text.append(row, element('span', 'card-line', words));
  choose.replaceChildren(makeAvatar(name, colour), text);
  item.append(choose);
  return { item, choose, next };
}

function makeStrip({ id, name }, person) {
  const strip = element('div', 'card-strip');
  const place = members().findIndex((member) => member.id === id);
  const up = button('tool-up', `Move ${name} up`, () => moveMember(id, -1), 'up');
  const down = button('tool-down', `Move ${name} down`, () => moveMember(id, 1), 'down');
  up.disabled = place === 0;
  down.disabled = place === members().length - 1;
  strip.append(up, down);
  if (person) strip.append(button('tool-edit', `Change ${name}`, () => openEditor(id), 'edit'));
  strip.append(button('tool-leave', 'Remove', () => removeMember(id)));
  return strip;
}

function onMore(id) {
  opened = opened === id ? '' : id;
  render();
}

/** Alone with somebody, the other takes their place; in a round they join it and answer next. */
function onOther(id) {
  if (members().length <= 1) {
    talkOnlyWith(id);
    return;
  }
  addMember(id);
}

function paint() {
  const called = calledSpeaker();
  const next = called || (members().length ? likelyNext({ members: members(), order: castOrder() }, lastSpeaker) : '');
  for (const [id, { item, choose, name, next: word }] of cards) {
    const isSpeaking = name === speaking;
    item.classList.toggle('next-card', id === next);
    word.textContent = isSpeaking ? 'speaking' : id === next ? 'next' : '';
    if (isSpeaking) item.setAttribute('aria-current', 'true');
    else item.removeAttribute('aria-current');
    choose.setAttribute('aria-pressed', String(id === next));
  }
}

orderBox.addEventListener('change', ({ target }) => setCastOrder(target.value));
answersBox.addEventListener('change', ({ target }) => setCastAnswers(Number(target.value)));
document.addEventListener('people_changed', render);
document.addEventListener('cast_changed', render);
