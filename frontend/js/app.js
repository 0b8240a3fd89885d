/**
 * The talk page: wires the socket, the player and the page together and keeps its state.
 * Knows no byte of a frame, no sample and no element that another file draws.
 */
import { chatMessage, eventToDate, interruptMessage, playedMessage, resumeMessage } from './protocol.js';
import { canInterrupt, nextState } from './states.js';
import { isConnected, lastEvent, send, startConnection, useAccessKey } from './websocket.js';
import { endTurn, hasWorklets, isSounding, newestFrame, playFrame, resetPlayer, setVolume, stopTurn, unlockAudio } from './audio-player.js';
import {
  closeTurn, cutTurn, cutUnheardTurn, endSentence, explainFailure, forgetTurns, hasSoundToCome, isUnheard, knownTurn,
  moveSentence, newestTurn, runningTurn, showQueueOf, startSentence, turnOf, updateSentence,
} from './turns.js';
import { renderFirstSound, renderLevel, renderReplyText, renderState, renderUserText, renderWaiting } from './chatui.js';
import { askAccessKey, renderConnection, renderLatency, showBanner, showNotice, showToast } from './notices.js';
import { emptyTextBox, giveTextBack } from './text-box.js';

const INTERRUPTED_MS = 200;
const PLAYED_EVERY_MS = 1000;
const TICK_MS = 1000;

const interruptButton = document.getElementById('interrupt');
const volumeSlider = document.getElementById('volume');

let state = 'offline';
let stateSince = 0;
let sessionId = null;
let playingTurn = null;
let isWaitingForTurn = false;
let wantsInterrupt = false;
let unconfirmed = null;
let sentAt = null;
let reportedMs = 0;
let closeSoundToast = null;

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
  if (playingTurn !== null) setState(nextState(state, 'speech'), turnOf(playingTurn).playing?.character);
  else if (isWaitingForTurn || runningTurn() !== null) setState(nextState(nextState(state, 'done'), 'send'));
  else if (!isSounding() || !hasSoundToCome()) setState(nextState(state, 'done'));
}

function onSocketMessage({ detail: { message } }) {
  handlers[message.type]?.(message);
}

function handleSession(message) {
  const isNew = sessionId !== null && (sessionId !== message.session_id || !message.resumed);
  if (isNew) beginAnew();
  sessionId = message.session_id;
  if (message.resumed) send(resumeMessage(newestFrame(), lastEvent(), runningTurn()));
  renderConnection('online', 'Online');
  showBanner('');
  if (typeof message.notice === 'string') showNotice(message.notice);
  setState(nextState(state, 'connected'));
  if (unconfirmed) send(chatMessage(unconfirmed.text, unconfirmed.id));
  settle();
}

/** The server knows the old talk no more. */
function beginAnew() {
  playingTurn = null;
  resetPlayer();
  forgetTurns();
}

function handlePartialTranscript({ turn, content, event }) {
  renderUserText(turn ?? newestTurn() + 1, content, false, eventToDate(event));
}

function handleFinalTranscript({ turn, content, id, event }) {
  if (unconfirmed && unconfirmed.id === id) unconfirmed = null;
  renderUserText(turn ?? newestTurn() + 1, content, true, eventToDate(event));
}

function handleTurn(message) {
  const turn = turnOf(message.turn, playingTurn);
  if (message.state === 'started') startTurn(turn);
  else if (message.state === 'ended') finishTurn(turn, message.reason);
}

function startTurn(turn) {
  turn.isStarted = true;
  isWaitingForTurn = false;
  unconfirmed = null;
  if (wantsInterrupt) {
    cutTurn(turn, null);
    send(interruptMessage(turn.number, null));
  }
  wantsInterrupt = false;
  settle();
}

/** A page that may not sound yet must not be left waiting: the text alone ends the turn, the sound is kept. */
function finishTurn(turn, reason) {
  turn.isEnded = true;
  endSpeech(turn);
  if ((reason === 'interrupted' || reason === 'stopped') && !turn.isCut) cutTurn(turn, null);
  if (!isUnheard(turn)) closeTurn(turn);
  else if (!isSounding()) closeTurn(turn, true);
  settle();
}

function handleReplyText({ turn, character, content, is_complete: isComplete, event }) {
  turnOf(turn, playingTurn);
  renderReplyText(turn, character ?? '', content, isComplete === true, eventToDate(event));
}

function handleSentence(message) {
  updateSentence(turnOf(message.turn, playingTurn), message);
}

function handleSpeechEnd(message) {
  endSpeech(turnOf(message.turn, playingTurn));
}

function endSpeech(turn) {
  if (turn.isSpeechEnded) return;
  turn.isSpeechEnded = true;
  if (turn.hasFrames) endTurn(turn.number);
}

/** The server says stop: another page of this session, another message, or the voice of the person. */
function handleSpeechStop(message) {
  const turn = knownTurn(message.turn ?? playingTurn ?? newestTurn());
  const hasMore = turn && (isUnheard(turn) || !turn.isEnded);
  if (hasMore && !turn.isCut) stopSpeech(turn);
}

/** Silence within 10 ms; then what was heard is known: {sentence, ms}, or null. */
async function stopSpeech(turn) {
  turn.isCut = true;
  const stopping = stopTurn(turn.number);
  if (playingTurn === turn.number) playingTurn = null;
  showInterrupted();
  const heard = await stopping;
  cutTurn(turn, heard);
  return heard;
}

function showInterrupted() {
  setState(nextState(state, 'interrupt'));
  setTimeout(settle, INTERRUPTED_MS);
}

/** Another page may have cut a turn that the server had ended long ago; this one may still be speaking it. */
function handleInterrupted({ turn: number, heard }) {
  const turn = knownTurn(number);
  if (!turn) return;
  if (isUnheard(turn)) stopSpeech(turn);
  else if (heard && !turn.hasFrames) cutUnheardTurn(turn, heard);
}

function handleError({ code, message, turn, sentence }) {
  showToast(message, { code, isError: true });
  explainFailure(knownTurn(turn), sentence, message);
  if (turn === undefined && unconfirmed) takeTextBack();
}

function takeTextBack() {
  giveTextBack(unconfirmed.text);
  unconfirmed = null;
  isWaitingForTurn = false;
  settle();
}

function onSocketFrame({ detail: { frame } }) {
  const turn = turnOf(frame.turn, playingTurn);
  if (playFrame(frame)) turn.hasFrames = true;
}

function onStreamStart({ detail }) {
  playingTurn = detail.turn;
  showQueueOf(turnOf(detail.turn));
  if (sentAt !== null) renderFirstSound(performance.now() - sentAt);
  sentAt = null;
}

function onSentenceStart({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut) return;
  reportedMs = 0;
  startSentence(turn, detail.sentence);
  settle();
}

/** A position that comes after the cut would bring caption and meter back. */
function onPosition({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut || turn.playing?.number !== detail.sentence) return;
  moveSentence(turn, detail.ms);
  renderLevel(detail.level);
  if (detail.ms - reportedMs >= PLAYED_EVERY_MS) reportPlayed(detail);
}

function onSentenceEnd({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut) return;
  endSentence(turn, detail.sentence, detail.ms, detail.isFailed);
  if (detail.ms > 0) reportPlayed(detail);
}

function reportPlayed({ turn, sentence, ms }) {
  reportedMs = ms;
  send(playedMessage(turn, sentence, ms));
}

function onStreamStop({ detail }) {
  const turn = turnOf(detail.turn);
  turn.isHeard = true;
  if (playingTurn === detail.turn) playingTurn = null;
  closeTurn(turn);
  const newest = knownTurn(newestTurn());
  if (playingTurn === null) showQueueOf(newest);
  settle();
}

function onAudioBlocked() {
  closeSoundToast ??= showToast('Your browser keeps the sound off until you touch the page.', {
    code: 'sound_blocked', action: { word: 'Turn on sound', run: unlockAudio },
  });
}

function onAudioRunning() {
  closeSoundToast?.();
  closeSoundToast = null;
}

function onTextGiven({ detail: { text } }) {
  unlockAudio();
  if (isConnected()) sendText(text);
  else showToast('Not connected. Your text stays in the box.', { code: 'not_connected' });
}

async function sendText(text) {
  emptyTextBox();
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
  const turn = knownTurn(playingTurn ?? newestTurn());
  const isKnown = turn && !turn.isCut && !isWaitingForTurn;
  wantsInterrupt = !isKnown;
  isWaitingForTurn = false;
  if (!isKnown) showInterrupted();
  const heard = isKnown ? await stopSpeech(turn) : null;
  send(interruptMessage(isKnown ? turn.number : null, heard));
}

function onKeyDown(event) {
  if (event.key !== 'Escape') unlockAudio();
  else if (!event.isComposing && !document.querySelector('dialog[open]')) interrupt();
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
  document.addEventListener('socket_latency', ({ detail }) => renderLatency(detail.ms));
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
  document.addEventListener('text_given', onTextGiven);
  document.addEventListener('keydown', onKeyDown);
  document.addEventListener('click', unlockAudio);
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
