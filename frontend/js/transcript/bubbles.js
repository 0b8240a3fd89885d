/**
 * One message as the page draws it: who, when, the words, and what can be done with it. Writes text as text only.
 * News travels up as a DOM event, message_tool {tool, turn}. Knows nothing of what a tool does.
 */
import { paintWho } from '../cast/colours.js';

const SVG = 'http://www.w3.org/2000/svg';

const REPLY_TOOLS = [['again', 'Play again'], ['copy', 'Copy'], ['download', 'Download the sound']];
const USER_TOOLS = [['copy', 'Copy']];

const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => fitClamp(target)));

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

export function element(name, className = '', text = '') {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function button(className, words, onClick, iconName = '') {
  const made = element('button', className);
  made.type = 'button';
  if (iconName) made.append(icon(iconName), element('span', 'hidden-text', words));
  else made.textContent = words;
  if (iconName) made.title = words;
  made.addEventListener('click', onClick);
  return made;
}

/** kind: user or reply. at: milliseconds since 1970. */
export function makeBubble(kind, name, at) {
  const article = element('article', `message ${kind}`);
  const head = element('header');
  const who = element('strong', 'who', name);
  if (kind === 'reply') paintWho(who, name);
  const body = element('p', 'words');
  const tools = element('span', 'tools');
  const all = kind === 'user' ? USER_TOOLS : REPLY_TOOLS;
  tools.append(...all.map(([tool, words]) => button(`tool ${tool}`, words, () => wantTool(tool, body), tool)));
  head.append(who, timeElement(at), tools);
  article.append(head, body);
  if (kind === 'user') clampWords(article, body);
  return { article, body, who };
}

/** A turn of an earlier conversation has no number any more. */
function wantTool(tool, body) {
  const turn = Number(body.closest('.turn')?.dataset.turn ?? NaN);
  document.dispatchEvent(new CustomEvent('message_tool', { detail: { tool, turn, text: body.textContent.trim() } }));
}

function timeElement(at) {
  const time = element('time');
  const date = new Date(at ?? Date.now());
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return time;
}

/** One's own words are known: long ones show their beginning, and the rest when it is wanted. */
function clampWords(article, body) {
  const more = button('more', 'Show all', onMore);
  more.hidden = true;
  more.setAttribute('aria-expanded', 'false');
  body.classList.add('clamped');
  article.append(more);
  sizes.observe(body);

  function onMore() {
    const isOpen = body.classList.toggle('clamped') === false;
    more.textContent = isOpen ? 'Show less' : 'Show all';
    more.setAttribute('aria-expanded', String(isOpen));
  }
}

function fitClamp(body) {
  const more = body.parentElement?.querySelector('.more');
  if (more && body.classList.contains('clamped')) more.hidden = body.scrollHeight <= body.clientHeight + 1;
}

/** In place of a reply that never came, or behind one that broke off. */
export function makeFailure(message, onAskAgain) {
  const note = element('div', 'failure');
  note.append(icon('failed'), element('p', '', message), button('ask-again', 'Ask again', onAskAgain));
  return note;
}
