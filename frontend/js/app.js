/**
 * The talk page: wires the socket, the player and the page together and keeps its state.
 * Knows no byte of a frame, no sample and no element that another file draws.
 */
import { chatMessage, interruptMessage, newId, resumeMessage } from './protocol.js';
import { canInterrupt, nextState } from './states.js';
import { isConnected, lastEvent, send, startConnection, useAccessKey } from './websocket.js';
import { endTurn, hasWorklets, isSounding, newestFrame, playFrame, resetPlayer, stopTurn, unlockAudio } from './audio-player.js';
import { closeHeardTurn, lastHeardFrame, openHeardPlace } from './heard-place.js';
import { playingTurn, stopHearing } from './playback.js';
import {
  closeTurn, cutTurn, cutUnheardTurn, explainFailure, forgetTurns, hasSoundToCome, isUnheard, knownTurn, newestTurn,
  runningTurn, turnOf, updateSentence,
} from './turns.js';
import { renderFirstSound, renderReplyText, renderState, renderUserText, renderWaiting } from './chatui.js';
import { askAccessKey, renderConnection, renderLatency, showBanner, showNotice, showToast } from './notices.js';
import { allowInterrupt } from './controls.js';
import { emptyTextBox, giveTextBack } from './text-box.js';

const INTERRUPTED_MS = 200;
const TICK_MS = 1000;

let state = 'offline';
let stateSince = 0;
let isMuted = false;
let sessionId = null;
let isWaitingForTurn = false;
let wantsInterrupt = false;
let owedInterrupt = null;
let unconfirmed = null;
let mostChars = Infinity;
let sentAt = null;

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
  const wasMuted = isMuted;
  isMuted = hasWorklets() && !isSounding() && hasSoundToCome();
  if (next === state && next !== 'speaking' && isMuted === wasMuted) return;
  if (next !== state) stateSince = performance.now();
  state = next;
  renderState(state, { speaker, isMuted });
  allowInterrupt(mayInterrupt());
}

/** What sounds, or waits to, can be cut, whether the line holds or not. */
function mayInterrupt() {
  return canInterrupt(state) || playingTurn !== null || isMuted;
}

/** Bring the state back to what is true: someone is heard, a turn is awaited, or nothing is going on. */
function settle() {
  if (playingTurn !== null) setState(nextState(state, 'speech'), turnOf(playingTurn).playing?.character);
  else if (isWaitingForTurn || runningTurn() !== null) setState(nextState(nextState(state, 'done'), 'send'));
  else if (!isSounding() || !hasSoundToCome()) setState(nextState(state, 'done'));
  allowInterrupt(mayInterrupt());
}

function onSocketMessage({ detail: { message } }) {
  handlers[message.type]?.(message);
}

function handleSession(message) {
  const isNew = sessionId !== null && (sessionId !== message.session_id || !message.resumed);
  if (isNew) beginAnew();
  sessionId = message.session_id;
  mostChars = message.limits?.text_chars ?? Infinity;
  openHeardPlace(sessionId, !message.resumed);
  if (message.resumed) sendResume();
  if (owedInterrupt) send(owedInterrupt);
  owedInterrupt = null;
  renderConnection('online', 'Online');
  showBanner('');
  if (typeof message.notice === 'string') showNotice(message.notice);
  setState(nextState(state, 'connected'));
  if (unconfirmed) send(chatMessage(unconfirmed.text, unconfirmed.id));
  settle();
}

/** After a reload no frame has come yet: the ear's own place says what is still to be heard. */
function sendResume() {
  const heard = hasWorklets() && !newestFrame() ? lastHeardFrame() : null;
  send(resumeMessage(heard ?? newestFrame(), lastEvent(), heard ? null : awaitedTurn()));
}

/** The turn whose sound is due here, or null: one that runs, or the next one, if its message was sent. */
function awaitedTurn() {
  return runningTurn() ?? (isWaitingForTurn ? newestTurn() + 1 : null);
}

/** The server knows the old talk no more. */
function beginAnew() {
  owedInterrupt = null;
  isWaitingForTurn = unconfirmed !== null;
  stopHearing(Infinity);
  resetPlayer();
  forgetTurns();
}

function handlePartialTranscript({ turn, content, at }) {
  renderUserText(turn ?? newestTurn() + 1, content, false, at);
}

function handleFinalTranscript({ turn, content, id, at }) {
  if (unconfirmed && unconfirmed.id === id) unconfirmed = null;
  renderUserText(turn ?? newestTurn() + 1, content, true, at);
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
    closeHeardTurn(turn.number);
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

function handleReplyText({ turn, character, content, is_complete: isComplete, at }) {
  turnOf(turn, playingTurn);
  renderReplyText(turn, character ?? '', content, isComplete === true, at);
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
  stopHearing(turn.number);
  showInterrupted();
  const heard = await stopping;
  cutTurn(turn, heard);
  closeHeardTurn(turn.number, heard?.sentence);
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
  if (!playFrame(frame) || turn.hasFrames) return;
  turn.hasFrames = true;
  settle();
}

function onPlaybackBegun() {
  if (sentAt !== null) renderFirstSound(performance.now() - sentAt);
  sentAt = null;
}

function onTextGiven({ detail: { text } }) {
  unlockAudio();
  if (!isConnected()) showToast('Not connected. Your text stays in the box.', { code: 'not_connected' });
  else if ([...text].length > mostChars) showToast(`A message has at most ${mostChars} characters.`, { code: 'text_too_long', isError: true });
  else sendText(text);
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

/** The one way to cut a reply, whoever asks for it: silence, the page, then the server with what was heard. */
async function interrupt() {
  if (!mayInterrupt()) return;
  const turn = knownTurn(playingTurn ?? newestTurn());
  const isKnown = turn && !turn.isCut && !isWaitingForTurn;
  wantsInterrupt = !isKnown;
  isWaitingForTurn = false;
  if (!isKnown) showInterrupted();
  const heard = isKnown ? await stopSpeech(turn) : null;
  const message = interruptMessage(isKnown ? turn.number : null, heard);
  if (isConnected()) send(message);
  else owedInterrupt = message;
}

function onLost() {
  setState(nextState(state, 'lost'));
  renderConnection('offline', 'Offline');
  showBanner('Connection lost. Trying again …');
}

/** Sent again, the same words would only end the next connection too. */
function onRefusedSize() {
  if (!unconfirmed) return;
  showToast('That message is too long for the server. It is back in the box.', { code: 'text_too_long', isError: true });
  takeTextBack();
}

function onTick() {
  if (state === 'thinking' && !isMuted) renderWaiting(state, Math.floor((performance.now() - stateSince) / 1000));
}

function listen() {
  document.addEventListener('socket_message', onSocketMessage);
  document.addEventListener('socket_frame', onSocketFrame);
  document.addEventListener('socket_latency', ({ detail }) => renderLatency(detail.ms));
  document.addEventListener('socket_lost', onLost);
  document.addEventListener('socket_too_big', onRefusedSize);
  document.addEventListener('access_needed', ({ detail }) => askAccessKey(detail.wasRefused));
  document.addEventListener('access_given', ({ detail }) => useAccessKey(detail.key));
  document.addEventListener('playback_begun', onPlaybackBegun);
  document.addEventListener('playback_changed', settle);
  document.addEventListener('audio_running', settle);
  document.addEventListener('text_given', onTextGiven);
  document.addEventListener('interrupt_wanted', interrupt);
}

function init() {
  listen();
  startConnection();
  setInterval(onTick, TICK_MS);
  if (!hasWorklets()) showNotice('Voice needs https:// or localhost. Here you can read and write; the replies stay silent.');
}

init();
