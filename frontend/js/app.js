/**
 * The talk page: wires the socket, the player and the page together and keeps its state.
 * Knows no byte of a frame, no sample and no element that another file draws.
 */
import { chatMessage, eventToDate, interruptMessage, playedMessage, resumeMessage } from './protocol.js';
import { canInterrupt, mergeServerState, nextState } from './states.js';
import { isConnected, lastEvent, send, startConnection, useAccessKey } from './websocket.js';
import { endTurn, hasWorklets, isSounding, newestFrame, playFrame, resetPlayer, setVolume, stopTurn, unlockAudio } from './audio-player.js';
import {
  closeConversation, renderCaption, renderFirstSound, renderLevel, renderReplyText, renderSentence, renderState, renderTurnEnd,
  renderUserText, renderWaiting,
} from './chatui.js';
import { renderJob, renderSummary, showQueue } from './voice-queue.js';
import { askAccessKey, showBanner, showNotice, showToast } from './notices.js';

const INTERRUPTED_MS = 200;
const PLAYED_EVERY_MS = 1000;
const TICK_MS = 1000;
const MOST_TURNS = 200;

const form = document.getElementById('chat');
const textBox = document.getElementById('text');
const sendButton = document.getElementById('send');
const interruptButton = document.getElementById('interrupt');
const volumeSlider = document.getElementById('volume');
const connection = document.getElementById('connection');
const connectionWord = document.getElementById('connection-word');
const latency = document.getElementById('latency');

let state = 'offline';
let stateSince = 0;
let sessionId = null;
let newestTurn = -1;
let playingTurn = null;
let isWaitingForTurn = false;
let wantsInterrupt = false;
let unconfirmed = null;
let sentAt = null;
let reportedMs = 0;
let closeSoundToast = null;
const turns = new Map();

const handlers = {
  session: handleSession,
  final_transcript: handleFinalTranscript,
  partial_transcript: handlePartialTranscript,
  turn: handleTurn,
  llm_response: handleReplyText,
  sentence: handleSentence,
  tts_end: handleSpeechEnd,
  tts_stop: handleSpeechStop,
  stop_acknowledged: handleSpeechStop,
  interrupt_acknowledged: handleInterrupted,
  error: handleError,
};

function setState(next, speaker = '') {
  if (next === state && next !== 'speaking') return;
  if (next !== state) stateSince = performance.now();
  state = next;
  renderState(state, speaker);
  interruptButton.disabled = !canInterrupt(state);
}

/** Bring the state back to what is true: someone is heard, a turn is awaited, or nothing is going on. */
function settle() {
  if (playingTurn !== null) setState(nextState(state, 'speech'), speakerNow());
  else if (isWaitingForTurn || hasRunningTurn()) setState(nextState(nextState(state, 'done'), 'send'));
  else if (!hasSoundToCome()) setState(nextState(state, 'done'));
}

function hasRunningTurn() {
  return [...turns.values()].some((turn) => turn.isStarted && !turn.isEnded && !turn.isCut);
}

function hasSoundToCome() {
  return isSounding() && [...turns.values()].some((turn) => turn.hasFrames && !turn.isHeard && !turn.isCut);
}

function speakerNow() {
  const { playing } = turnOf(playingTurn);
  return playing?.character ?? '';
}

function turnOf(number) {
  const known = turns.get(number);
  if (known) return known;
  const turn = {
    number, isStarted: false, isEnded: false, isCut: false, hasFrames: false, isSpeechEnded: false, isHeard: false,
    playing: null, sentences: new Map(),
  };
  turns.set(number, turn);
  newestTurn = Math.max(newestTurn, number);
  if (turns.size > MOST_TURNS) turns.delete(turns.keys().next().value);
  if (playingTurn === null) showQueue(number, []);
  return turn;
}

function sentenceOf(turn, number) {
  const known = turn.sentences.get(number);
  if (known) return known;
  const sentence = { number, text: '', character: '', status: 'queued', durationMs: null, heardMs: 0, reason: '', attempt: 0, hasFailed: false };
  turn.sentences.set(number, sentence);
  return sentence;
}

function renderSentenceOf(turn, sentence) {
  if (sentence.text) renderSentence(turn.number, sentence);
  renderJob(turn.number, sentence);
  renderSummary([...turn.sentences.values()]);
}

function setStatus(turn, sentence, status) {
  sentence.status = status;
  renderSentenceOf(turn, sentence);
}

function onSocketMessage({ detail: { message } }) {
  handlers[message.type]?.(message);
}

function handleSession(message) {
  const isNew = sessionId !== null && (sessionId !== message.session_id || !message.resumed);
  if (isNew) beginAnew();
  sessionId = message.session_id;
  if (message.resumed) send(resumeMessage(newestFrame(), lastEvent()));
  renderConnection('online', 'Online');
  showBanner('');
  if (typeof message.notice === 'string') showNotice(message.notice);
  setState(nextState(state, 'connected'));
  if (unconfirmed) send(chatMessage(unconfirmed.text, unconfirmed.id));
  settle();
}

/** The server knows the old talk no more. */
function beginAnew() {
  turns.clear();
  newestTurn = -1;
  playingTurn = null;
  resetPlayer();
  closeConversation();
  renderCaption('', 0, null);
}

function handlePartialTranscript({ turn, content, event }) {
  renderUserText(turn ?? newestTurn + 1, content, false, eventToDate(event) ?? undefined);
}

function handleFinalTranscript({ turn, content, event }) {
  if (unconfirmed?.text === content) unconfirmed = null;
  renderUserText(turn ?? newestTurn + 1, content, true, eventToDate(event) ?? undefined);
}

function handleTurn(message) {
  const turn = turnOf(message.turn);
  if (message.state === 'started') startTurn(turn);
  else if (message.state === 'ended') finishTurn(turn, message.reason);
}

function startTurn(turn) {
  turn.isStarted = true;
  isWaitingForTurn = false;
  unconfirmed = null;
  if (wantsInterrupt) cutTurn(turn, null);
  if (wantsInterrupt) send(interruptMessage(turn.number, null));
  wantsInterrupt = false;
  settle();
}

function finishTurn(turn, reason) {
  turn.isEnded = true;
  endSpeech(turn);
  if (reason === 'interrupted' || reason === 'stopped') cutTurn(turn, null);
  if (!hasSound(turn)) closeTurn(turn);
  settle();
}

/** False too while the page may not sound yet: text alone must not leave it waiting. */
function hasSound(turn) {
  return turn.hasFrames && !turn.isHeard && !turn.isCut && isSounding();
}

/** Nothing of the turn is to be heard any more: what was not told otherwise has been said. */
function closeTurn(turn) {
  for (const sentence of turn.sentences.values()) {
    if (sentence.status === 'ready' && !isHeld(turn)) setStatus(turn, sentence, 'played');
    if (sentence.status === 'queued' || sentence.status === 'synthesizing') setStatus(turn, sentence, 'skipped');
  }
  renderTurnEnd(turn.number, turn.isCut);
}

function isHeld(turn) {
  return turn.hasFrames && !turn.isHeard && !isSounding();
}

function handleReplyText({ turn, character, content, is_complete: isComplete, event }) {
  turnOf(turn);
  renderReplyText(turn, character ?? '', content, isComplete === true, eventToDate(event) ?? undefined);
}

function handleSentence(message) {
  const turn = turnOf(message.turn);
  const sentence = sentenceOf(turn, message.sentence);
  sentence.text = message.text || sentence.text;
  sentence.character = message.character ?? sentence.character;
  sentence.durationMs = message.duration_ms ?? sentence.durationMs;
  sentence.attempt = message.attempt ?? sentence.attempt;
  sentence.hasFailed = message.state === 'failed';
  sentence.status = mergeServerState(sentence.status, message.state);
  if (turn.isCut && sentence.status !== 'failed') sentence.status = cutStatus(sentence);
  renderSentenceOf(turn, sentence);
}

function handleSpeechEnd(message) {
  endSpeech(turnOf(message.turn));
}

function endSpeech(turn) {
  if (turn.isSpeechEnded) return;
  turn.isSpeechEnded = true;
  if (turn.hasFrames) endTurn(turn.number);
}

/** The server says stop: another page of this session, another message, or the voice of the person. */
async function handleSpeechStop(message) {
  const turn = turns.get(message.turn ?? newestTurn);
  if (!turn || turn.isCut) return;
  await stopSpeech(turn);
}

/** Silence within 10 ms, then what was heard is known. */
async function stopSpeech(turn) {
  const wasPlaying = playingTurn === turn.number;
  turn.isCut = true;
  const stopping = stopTurn(turn.number);
  if (wasPlaying) playingTurn = null;
  setState(nextState(state, 'interrupt'));
  setTimeout(settle, INTERRUPTED_MS);
  const heard = await stopping;
  cutTurn(turn, heard);
  return heard;
}

/** heard: {sentence, ms} or null when nothing of the turn was (or when another message has told it). */
function cutTurn(turn, heard) {
  turn.isCut = true;
  turn.playing = null;
  for (const sentence of turn.sentences.values()) {
    if (heard?.sentence === sentence.number && sentence.status !== 'played') sentence.heardMs = heard.ms;
    sentence.status = cutStatus(sentence);
    renderSentenceOf(turn, sentence);
  }
  renderTurnEnd(turn.number, true);
  renderCaption('', 0, null);
}

function cutStatus({ status, heardMs }) {
  if (status === 'played' || status === 'interrupted' || status === 'failed') return status;
  return heardMs > 0 ? 'interrupted' : 'skipped';
}

/** Tells a page that did not hear the turn itself how far it went. */
function handleInterrupted({ turn: number, heard }) {
  const turn = turns.get(number);
  if (!turn || turn.hasFrames || !heard) return;
  for (const sentence of turn.sentences.values()) {
    if (sentence.number < heard.sentence && sentence.status !== 'failed') sentence.status = 'played';
    if (sentence.number === heard.sentence) sentence.status = 'ready';
  }
  cutTurn(turn, heard);
}

function handleError({ code, message, turn: number, sentence: sentenceNumber }) {
  showToast(message, { code, isError: true });
  const turn = turns.get(number);
  const sentence = turn?.sentences.get(sentenceNumber);
  if (sentence) {
    sentence.reason = message;
    renderSentenceOf(turn, sentence);
  }
  if (number === undefined) giveTextBack();
}

/** A message that was refused is not lost. */
function giveTextBack() {
  if (!unconfirmed) return;
  if (!textBox.value) textBox.value = unconfirmed.text;
  unconfirmed = null;
  isWaitingForTurn = false;
  settle();
}

function onSocketFrame({ detail: { frame } }) {
  const turn = turnOf(frame.turn);
  if (turn.isCut || !playFrame(frame)) return;
  turn.hasFrames = true;
}

function onStreamStart({ detail }) {
  playingTurn = detail.turn;
  showQueue(detail.turn, [...turnOf(detail.turn).sentences.values()]);
  if (sentAt !== null) renderFirstSound(performance.now() - sentAt);
  sentAt = null;
}

function onSentenceStart({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut) return;
  const sentence = sentenceOf(turn, detail.sentence);
  turn.playing = sentence;
  reportedMs = 0;
  setStatus(turn, sentence, 'playing');
  renderCaption(sentence.text, 0, sentence.durationMs);
  settle();
}

function onPosition({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut || turn.playing?.number !== detail.sentence) return;
  turn.playing.heardMs = detail.ms;
  renderJob(turn.number, turn.playing);
  renderCaption(turn.playing.text, detail.ms, turn.playing.durationMs);
  renderLevel(detail.level);
  if (detail.ms - reportedMs >= PLAYED_EVERY_MS) reportPlayed(detail);
}

function onSentenceEnd({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut) return;
  const sentence = sentenceOf(turn, detail.sentence);
  if (detail.ms > 0) sentence.durationMs = sentence.heardMs = detail.ms;
  setStatus(turn, sentence, detail.isFailed || sentence.hasFailed ? 'failed' : 'played');
  if (detail.ms > 0) reportPlayed(detail);
}

function reportPlayed({ turn, sentence, ms }) {
  reportedMs = ms;
  send(playedMessage(turn, sentence, ms));
}

function onStreamStop({ detail }) {
  const turn = turnOf(detail.turn);
  turn.isHeard = true;
  turn.playing = null;
  if (playingTurn === detail.turn) playingTurn = null;
  closeTurn(turn);
  renderCaption('', 0, null);
  settle();
}

function onAudioBlocked() {
  if (closeSoundToast) return;
  closeSoundToast = showToast('Your browser keeps the sound off until you touch the page.', {
    code: 'sound_blocked', action: { word: 'Turn on sound', run: unlockAudio },
  });
}

function onAudioRunning() {
  closeSoundToast?.();
  closeSoundToast = null;
}

function onSubmit(event) {
  event.preventDefault();
  unlockAudio();
  const text = textBox.value.trim();
  if (!text) return;
  if (isConnected()) sendText(text);
  else showToast('Not connected. Your text stays in the box.', { code: 'not_connected' });
}

async function sendText(text) {
  textBox.value = '';
  fitTextBox();
  await interrupt();
  unconfirmed = { text, id: newId() };
  isWaitingForTurn = true;
  wantsInterrupt = false;
  sentAt = performance.now();
  renderFirstSound(null);
  send(chatMessage(text, unconfirmed.id));
  setState(nextState(state, 'send'));
}

/** Not randomUUID: a page without https has none. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join('');
}

/** The one way to cut a reply, whoever asks for it: silence, the page, then the server with what was heard. */
async function interrupt() {
  if (!canInterrupt(state)) return;
  const turn = turns.get(playingTurn ?? newestTurn);
  const isKnown = turn && !turn.isCut && !isWaitingForTurn;
  wantsInterrupt = !isKnown;
  isWaitingForTurn = false;
  if (isKnown) {
    send(interruptMessage(turn.number, await stopSpeech(turn)));
    return;
  }
  setState(nextState(state, 'interrupt'));
  setTimeout(settle, INTERRUPTED_MS);
  send(interruptMessage(null, null));
}

function onKeyDown(event) {
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) interrupt();
  else unlockAudio();
}

/** Enter that ends the choice of a word (input methods) is no sending; keyCode 229 is how Safari says so. */
function onTextKey(event) {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  form.requestSubmit();
}

/** Where CSS cannot grow the box by itself. */
function fitTextBox() {
  if (CSS.supports('field-sizing', 'content')) return;
  textBox.style.height = 'auto';
  textBox.style.height = `${textBox.scrollHeight}px`;
}

/** On a phone the keyboard would hide the reply. */
function onSendTouch(event) {
  if (event.pointerType === 'touch') textBox.blur();
}

function renderConnection(kind, word) {
  connection.dataset.connection = kind;
  connectionWord.textContent = word;
  if (kind !== 'online') latency.textContent = '';
}

function onLatency({ detail }) {
  latency.textContent = `${Math.round(detail.ms)} ms`;
}

function onLost() {
  setState(nextState(state, 'lost'));
  renderConnection('offline', 'Offline');
  showBanner('Connection lost. Trying again …');
}

function onTick() {
  if (state === 'thinking') renderWaiting(state, Math.floor((performance.now() - stateSince) / 1000));
}

function listen() {
  document.addEventListener('socket_message', onSocketMessage);
  document.addEventListener('socket_frame', onSocketFrame);
  document.addEventListener('socket_latency', onLatency);
  document.addEventListener('socket_lost', onLost);
  document.addEventListener('access_needed', ({ detail }) => askAccessKey(detail.wasRefused));
  document.addEventListener('access_given', ({ detail }) => useAccessKey(detail.key));
  document.addEventListener('audio_stream_start', onStreamStart);
  document.addEventListener('audio_sentence_start', onSentenceStart);
  document.addEventListener('audio_position', onPosition);
  document.addEventListener('audio_sentence_end', onSentenceEnd);
  document.addEventListener('audio_stream_stop', onStreamStop);
  document.addEventListener('audio_blocked', onAudioBlocked);
  document.addEventListener('audio_running', onAudioRunning);
  document.addEventListener('keydown', onKeyDown);
  document.addEventListener('click', unlockAudio);
  form.addEventListener('submit', onSubmit);
  textBox.addEventListener('keydown', onTextKey);
  textBox.addEventListener('input', fitTextBox);
  sendButton.addEventListener('pointerup', onSendTouch);
  interruptButton.addEventListener('click', interrupt);
  volumeSlider.addEventListener('input', () => setVolume(Number(volumeSlider.value)));
}

function init() {
  listen();
  startConnection();
  setInterval(onTick, TICK_MS);
  if (!hasWorklets()) showNotice('Voice needs https:// or localhost. Here you can read and write; the replies stay silent.');
}

init();
