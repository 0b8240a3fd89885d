/**
 * The conversation on the page: what was said, what is being said, and how far. Writes text as text only.
 * Knows nothing of the wire or of sound: it is given words and sentences and shows them.
 */
import { cutReply, splitAtVoice } from './captions.js';
import { stateToWords } from './states.js';

const MOST_TURNS = 200;
const NEAR_END_PX = 80;
const ANNOUNCE_AFTER_MS = 250;

const transcript = document.getElementById('transcript');
const welcome = document.getElementById('welcome');
const jump = document.getElementById('jump');
const meter = document.getElementById('meter');
const stateIcon = document.getElementById('state-icon');
const stateWord = document.getElementById('state-word');
const announcer = document.getElementById('announcer');
const caption = document.getElementById('caption');
const captionSaid = document.getElementById('caption-said');
const captionRest = document.getElementById('caption-rest');
const firstSound = document.getElementById('first-sound');

const views = new Map();
const dirtyReplies = new Set();
let partialBubble = null;
let playingSpan = null;
let isFollowing = true;
let expectedTop = 0;
let frameRequest = 0;
let announceTimer = 0;

export function renderState(state, words) {
  document.body.dataset.state = state;
  stateIcon.setAttribute('href', `#icon-${state}`);
  stateWord.textContent = stateToWords(state, words);
  if (state !== 'speaking') meter.style.setProperty('--level', 0);
  clearTimeout(announceTimer);
  announceTimer = setTimeout(announceState, ANNOUNCE_AFTER_MS);
}

/** Only a state that lasts is read aloud: a talk that is replayed after a reload runs through dozens. */
function announceState() {
  announcer.textContent = stateWord.textContent;
}

/** The seconds of waiting are for the eye only: a screen reader that counts aloud helps nobody. */
export function renderWaiting(state, seconds) {
  stateWord.textContent = stateToWords(state, { seconds });
}

export function renderLevel(level) {
  meter.style.setProperty('--level', Math.min(1, level).toFixed(2));
}

export function renderCaption(text, heardMs, durationMs) {
  const [said, rest] = splitAtVoice(text, heardMs, durationMs);
  if (captionSaid.textContent === said && captionRest.textContent === rest) return;
  captionSaid.textContent = said;
  captionRest.textContent = rest;
  caption.scrollTop = captionRest.offsetTop - caption.clientHeight / 2;
}

export function renderFirstSound(ms) {
  firstSound.textContent = ms === null ? '' : `First sound after ${Math.round(ms)} ms`;
}

/** A person's words. While they are still being spoken the same bubble changes. */
export function renderUserText(turn, text, isFinal, at) {
  const bubble = partialBubble ?? addMessage(turn, 'user', 'You', at);
  bubble.body.textContent = text;
  bubble.article.classList.toggle('partial', !isFinal);
  partialBubble = isFinal ? null : bubble;
  isFollowing = true;
  scheduleFrame();
}

/** New words of a reply, or the whole of it when it is complete. */
export function renderReplyText(turn, character, text, isComplete, at) {
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

function paintSentence(span, { status, text, heardMs, durationMs, reason }) {
  if (span.dataset.status === status) return;
  span.dataset.status = status;
  span.title = status === 'failed' ? `Not spoken: ${reason || 'the voice failed'}` : '';
  if (status === 'interrupted') splitSpan(span, splitAtVoice(span.textContent || text, heardMs, durationMs));
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
  const known = views.get(turn);
  if (known) return known;
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
}

function addMessage(turn, kind, name, at) {
  const article = document.createElement('article');
  const head = document.createElement('header');
  const who = document.createElement('strong');
  const time = document.createElement('time');
  const body = document.createElement('p');
  article.className = `message ${kind}`;
  body.className = 'words';
  who.textContent = name;
  const date = new Date(at ?? Date.now());
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  head.append(who, time);
  article.append(head, body);
  viewOf(turn).section.append(article);
  return { article, body, who };
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
  follow();
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

/** Keep the spoken sentence in sight, or the newest words while nothing is spoken. A person who scrolls is left alone. */
function follow() {
  jump.hidden = isFollowing;
  if (!isFollowing) return;
  if (playingSpan?.isConnected) scrollToSpan(playingSpan);
  else scrollTranscript(transcript.scrollHeight - transcript.clientHeight);
}

function scrollToSpan(span) {
  const frame = transcript.getBoundingClientRect();
  const box = span.getBoundingClientRect();
  const below = box.bottom + 16 - frame.bottom;
  const above = box.top - 16 - frame.top;
  if (below > 0) scrollTranscript(transcript.scrollTop + Math.min(below, above));
  else if (above < 0) scrollTranscript(transcript.scrollTop + above);
}

function scrollTranscript(top) {
  transcript.scrollTop = top;
  expectedTop = transcript.scrollTop;
}

function onScroll() {
  if (Math.abs(transcript.scrollTop - expectedTop) < 2) return;
  expectedTop = transcript.scrollTop;
  isFollowing = transcript.scrollHeight - transcript.clientHeight - transcript.scrollTop < NEAR_END_PX;
  jump.hidden = isFollowing;
}

function onJump() {
  isFollowing = true;
  follow();
}

transcript.addEventListener('scroll', onScroll, { passive: true });
jump.addEventListener('click', onJump);
new ResizeObserver(scheduleFrame).observe(transcript);
