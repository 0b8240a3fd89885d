/**
 * The conversation on the page: what was said, what is being said, and how far. Writes text as text only.
 * Knows nothing of the wire or of sound: it is given words and sentences and shows them.
 */
import { paintWho } from '../cast/colours.js';
import { cutReply, placeInWords, splitAtVoice } from '../talk/captions.js';
import { makeBubble, makeFailure } from './bubbles.js';
import { follow, showPlace, startFollowing } from './following.js';

const MOST_TURNS = 200;

const transcript = document.getElementById('transcript');
const welcome = document.getElementById('welcome');

const views = new Map();
const dirtyReplies = new Set();
let partialBubble = null;
let playingSpan = null;
let againSpan = null;
let frameRequest = 0;

/**
 * A person's words. While they are still being spoken the same bubble changes; what may yet change is shown so.
 * Without words it was no speech.
 */
export function renderUserText(turn, text, { isFinal, stableChars = 0, at }) {
  if (!text.trim()) {
    dropPartial();
    return;
  }
  if (isFinal) dropKept(turn);
  const bubble = partialBubble ?? addMessage(turn, 'user', 'You', at);
  bubble.body.textContent = isFinal ? text : text.slice(0, stableChars);
  if (!isFinal) bubble.body.append(unstableElement(text.slice(stableChars)));
  bubble.article.classList.toggle('partial', !isFinal);
  partialBubble = isFinal ? null : bubble;
  if (isFinal) viewOf(turn).section.prepend(bubble.article);
  startFollowing();
  scheduleFrame();
}

function unstableElement(text) {
  const span = document.createElement('span');
  span.className = 'unstable';
  span.textContent = text;
  return span;
}

/** What was being said is no speech after all, or nobody hears it any more. */
export function dropPartial() {
  partialBubble?.article.remove();
  partialBubble = null;
}

/**
 * A turn of which only the memory at rest knows: [{isUser, name, text, heard, at}]. True when it has a reply that stands here only now. The
 * log, if it still has the turn from its first word, takes its place.
 */
export function renderKept(turn, messages) {
  if (views.has(turn)) return false;
  const view = viewOf(turn);
  view.isKept = messages.some(({ isUser }) => !isUser);
  for (const { isUser, name, text, heard, at } of messages) {
    const { body } = addMessage(turn, isUser ? 'user' : 'reply', name, at);
    const isCut = !isUser && heard !== text && text.startsWith(heard);
    if (isCut) splitSpan(body, [heard, text.slice(heard.length)]);
    else body.textContent = text;
  }
  scheduleFrame();
  return view.isKept;
}

function isKept(turn) {
  return views.get(turn)?.isKept === true;
}

function dropKept(turn) {
  if (!isKept(turn)) return;
  views.get(turn).section.remove();
  views.delete(turn);
}

/** New words of a reply, or the whole of it when it is complete. */
export function renderReplyText(turn, character, text, isComplete, at) {
  if (isKept(turn)) return;
  const reply = replyForText(turn, character, at);
  const isSame = isComplete && reply.text === text;
  reply.text = isComplete ? text : reply.text + text;
  reply.isComplete = isComplete;
  if (isComplete && !isSame) reply.needsLayout = true;
  scheduleReply(reply);
}

function replyForText(turn, character, at) {
  const last = viewOf(turn).replies.at(-1);
  const isOther = character && last?.character && last.character !== character;
  if (!last || (last.text && (last.isComplete || isOther))) return addReply(turn, character, at);
  if (character && last.character !== character) nameReply(last, character);
  return last;
}

/** Show where a sentence stands, in the reply that holds its words. */
export function renderSentence(turn, sentence) {
  if (isKept(turn)) return;
  const view = viewOf(turn);
  if (!view.places.has(sentence.number)) placeSentence(view, turn, sentence);
  const { reply, span } = view.places.get(sentence.number);
  if (reply.sentences.get(sentence.number) !== sentence.text) {
    reply.sentences.set(sentence.number, sentence.text);
    reply.needsLayout = true;
    scheduleReply(reply);
  }
  paintSentence(span, sentence);
}

function placeSentence(view, turn, { number, character }) {
  const own = view.replies.findLast((reply) => reply.character === character);
  const reply = own ?? view.replies.at(-1) ?? addReply(turn, character);
  const span = document.createElement('span');
  span.className = 'sentence';
  span.dataset.sentence = number;
  view.places.set(number, { reply, span });
  reply.spans.set(number, span);
}

function paintSentence(span, sentence) {
  const { status, text, reason } = sentence;
  if (span.dataset.status === status) return;
  span.dataset.status = status;
  span.title = status === 'failed' ? `Not spoken: ${reason || 'the voice failed'}` : '';
  if (status === 'interrupted') splitSpan(span, splitAtVoice(span.textContent || text, ...placeInWords(sentence)));
  if (status === 'playing') playingSpan = span;
  else if (playingSpan === span) playingSpan = null;
  scheduleFrame();
}

function splitSpan(span, [said, rest]) {
  const saidPart = document.createElement('span');
  const restPart = document.createElement('span');
  saidPart.className = 'said';
  restPart.className = 'unsaid';
  saidPart.textContent = said;
  restPart.textContent = rest;
  span.replaceChildren(saidPart, restPart);
}

/** A turn that is over has nothing to come; one that was cut keeps what was not said, struck through. */
export function renderTurnEnd(turn, isCut) {
  const { section } = viewOf(turn);
  section.dataset.end = isCut ? 'cut' : 'whole';
}

function viewOf(turn) {
  return views.get(turn) ?? addView(turn);
}

function addView(turn) {
  const section = document.createElement('section');
  section.className = 'turn';
  section.dataset.turn = turn;
  transcript.insertBefore(section, sectionAfter(turn));
  const view = { section, replies: [], places: new Map() };
  views.set(turn, view);
  welcome.hidden = true;
  trimTurns();
  return view;
}

/** Old turns may come after a new one: they are replayed. */
function sectionAfter(turn) {
  const later = [...views.keys()].filter((number) => number > turn);
  return later.length ? views.get(Math.min(...later)).section : null;
}

/** A long talk must not fill the memory: the oldest turns leave the page. */
function trimTurns() {
  const sections = transcript.getElementsByClassName('turn');
  while (sections.length > MOST_TURNS) {
    views.delete(Number(sections[0].dataset.turn));
    sections[0].remove();
  }
}

/** A new session counts its turns from 0 again; the old words stay to be read. */
export function closeConversation() {
  if (views.size === 0) return;
  for (const { section } of views.values()) section.removeAttribute('data-turn');
  views.clear();
  partialBubble = playingSpan = null;
  const line = document.createElement('p');
  line.className = 'divider muted';
  line.textContent = 'A new conversation begins here';
  transcript.append(line);
  transcript.scrollTop = transcript.scrollHeight;
}

/** Another conversation takes the place of this one. */
export function clearConversation() {
  views.clear();
  partialBubble = playingSpan = againSpan = null;
  transcript.replaceChildren(welcome);
  welcome.hidden = false;
  startFollowing();
}

function addMessage(turn, kind, name, at) {
  const bubble = makeBubble(kind, name, at);
  viewOf(turn).section.append(bubble.article);
  return bubble;
}

function addReply(turn, character, at) {
  const message = addMessage(turn, 'reply', character || 'Reply', at);
  const tail = document.createElement('span');
  tail.className = 'tail';
  const reply = { ...message, character, text: '', isComplete: false, sentences: new Map(), spans: new Map(), tail, placedEnd: 0, needsLayout: true };
  viewOf(turn).replies.push(reply);
  return reply;
}

function nameReply(reply, character) {
  reply.character = character;
  reply.who.textContent = character;
  paintWho(reply.who, character);
}

function scheduleReply(reply) {
  dirtyReplies.add(reply);
  scheduleFrame();
}

/** However many words come, the page is laid out once a frame. */
function scheduleFrame() {
  if (!frameRequest) frameRequest = requestAnimationFrame(onFrame);
}

function onFrame() {
  frameRequest = 0;
  dirtyReplies.forEach(layOutReply);
  dirtyReplies.clear();
  follow(playingSpan ?? againSpan);
}

/** Most words only lengthen the tail; the sentences are laid out anew when one joins them. */
function layOutReply(reply) {
  if (reply.needsLayout) layOutSentences(reply);
  reply.tail.textContent = reply.text.slice(reply.placedEnd);
}

function layOutSentences(reply) {
  const sentences = [...reply.sentences].map(([number, text]) => ({ number, text })).sort((a, b) => a.number - b.number);
  const whole = reply.text || sentences.map(({ text }) => text).join(' ');
  const pieces = cutReply(whole, sentences);
  const placed = pieces.filter(({ number }) => number !== null).length;
  if (pieces.at(-1)?.number === null) pieces.pop();
  reply.placedEnd = pieces.reduce((sum, { text }) => sum + text.length, 0);
  reply.needsLayout = placed < sentences.length && !reply.isComplete;
  reply.body.replaceChildren(...pieces.map((piece) => pieceToNode(reply, piece)), reply.tail);
}

function pieceToNode(reply, { number, text }) {
  if (number === null) return document.createTextNode(text);
  const span = reply.spans.get(number);
  if (span.textContent !== text) span.textContent = text;
  return span;
}

/** A turn that could not be answered, or not to its end, says so where it stands. */
export function renderFailure(turn, message) {
  const { section } = viewOf(turn);
  section.querySelector('.failure')?.remove();
  section.append(makeFailure(message, () => askAgain(section)));
  scheduleFrame();
}

function askAgain(section) {
  const text = section.querySelector('.user .words')?.textContent;
  if (text) document.dispatchEvent(new CustomEvent('ask_again', { detail: { text } }));
}

/** The sentence of an old turn that is played once more; null when none is. */
export function renderAgain(turn, sentence) {
  againSpan?.classList.remove('again-now');
  againSpan = views.get(turn)?.places.get(sentence)?.span ?? null;
  againSpan?.classList.add('again-now');
  for (const [number, { section }] of views) section.classList.toggle('again', number === turn);
  scheduleFrame();
}

/** What stands there: [{turn, name, isUser, text, at, heard}], heard being the words that sounded. */
export function readTranscript() {
  return [...transcript.querySelectorAll('.message')].map((article) => ({
    turn: Number(article.parentElement.dataset.turn ?? NaN),
    name: article.querySelector('.who').textContent,
    isUser: article.classList.contains('user'),
    text: article.querySelector('.words').textContent.trim(),
    at: Date.parse(article.querySelector('time').dateTime),
    heard: [...article.querySelectorAll('[data-status=played], .said')].map(({ textContent }) => textContent.trim()).join(' '),
  }));
}

export function showSentence(turn, sentence) {
  const place = views.get(turn)?.places.get(sentence)?.span ?? views.get(turn)?.section;
  if (place) showPlace(place);
}

/** A first thing to say, for who does not know what. */
function onStarter({ target }) {
  if (target.closest('button')) document.dispatchEvent(new CustomEvent('ask_again', { detail: { text: target.textContent } }));
}

welcome.addEventListener('click', onStarter);
document.addEventListener('follow_wanted', scheduleFrame);
new ResizeObserver(scheduleFrame).observe(transcript);
