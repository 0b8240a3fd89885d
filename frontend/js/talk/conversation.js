/**
 * Who has the word: the state of the page and every way to change it. A person speaks, is answered, cuts in, is silent.
 * Knows no byte of a frame, no sample and no element that another file draws.
 */
import { chatMessage, interruptMessage, newId } from '../wire/protocol.js';
import { isConnected, send } from '../wire/websocket.js';
import { hasWorklets, isSounding, stopTurn } from '../sound/audio-player.js';
import { closeHeardTurn } from '../sound/heard-place.js';
import { outletLatencyMs } from '../sound/outlet.js';
import { keepAwake } from '../sound/wake-lock.js';
import { canInterrupt, nextState } from './states.js';
import { endBargeIn, isVoiceHeld } from './barge-in.js';
import { followState, isListening } from './listening.js';
import { playingTurn, stopHearing } from './playback.js';
import { againSpeaker, isPlayingAgain, stopAgain } from './replay.js';
import { beginTurn, cutTurn, hasSoundToCome, knownTurn, newestTurn, runningTurn, turnOf } from './turns.js';
import { markStep, restartStopwatch } from './latency.js';
import { renderState, renderWaiting } from '../page/now.js';
import { allowInterrupt } from '../page/controls.js';
import { showSpeaker, speakerFor } from '../cast/panel.js';
import { giveTextBack } from '../page/text-box.js';

const INTERRUPTED_MS = 200;
const LISTEN_AFTER_MS = 200;
const MOST_LATENCY_MS = 1000;

let state = 'offline';
let stateSince = 0;
let quietAt = 0;
let isMuted = false;
let isWaitingForTurn = false;
let wantsInterrupt = false;
let owedInterrupt = null;
let unconfirmed = null;

function setState(next, { speaker = '', isAgain = false } = {}) {
  const wasMuted = isMuted;
  isMuted = hasWorklets() && !isSounding() && hasSoundToCome();
  if (next === state && next !== 'speaking' && isMuted === wasMuted) return;
  if (canInterrupt(state) && !canInterrupt(next)) noteQuiet();
  if (next !== state) stateSince = performance.now();
  state = next;
  followState(state);
  keepAwake(state !== 'idle' && state !== 'offline');
  if (state !== 'speaking') endBargeIn();
  renderState(state, { speaker, isMuted, isAgain, isHeld: isVoiceHeld() });
  showSpeaker(state === 'speaking' ? speaker : '');
  allowInterrupt(mayInterrupt());
}

/** The last sound has to leave the room before anybody listens again. */
function noteQuiet() {
  const waitMs = LISTEN_AFTER_MS + Math.min(outletLatencyMs(), MOST_LATENCY_MS);
  quietAt = performance.now() + waitMs;
  setTimeout(settle, waitMs + 1);
}

/** What sounds, or waits to, can be cut, whether the line holds or not. */
function mayInterrupt() {
  return canInterrupt(state) || playingTurn !== null || isMuted || isPlayingAgain();
}

/** Bring the state back to what is true: someone is heard, a turn is awaited, the person is listened to, or nothing goes on. */
export function settle() {
  if (playingTurn !== null) setState(nextState(state, 'speech'), { speaker: turnOf(playingTurn).playing?.character });
  else if (isPlayingAgain()) setState(nextState(state, 'speech'), { speaker: againSpeaker(), isAgain: true });
  else if (isWaitingForTurn || runningTurn() !== null) setState(nextState(nextState(state, 'done'), 'send'));
  else if (isListening() && performance.now() >= quietAt) setState(nextState(nextState(state, 'done'), 'listen'));
  else if (!isSounding() || !hasSoundToCome()) setState(nextState(nextState(state, 'done'), 'stop'));
  allowInterrupt(mayInterrupt());
}

/** A person who speaks is first seen in the state, then in the text. */
export function noteHeard() {
  stopAgain();
  setState(nextState(state, 'heard'));
}

/** The seconds of waiting are shown. */
export function tick() {
  if (state === 'thinking' && !isMuted) renderWaiting(state, Math.floor((performance.now() - stateSince) / 1000));
}

// the line

export function findLine() {
  if (owedInterrupt) send(owedInterrupt);
  owedInterrupt = null;
  setState(nextState(state, 'connected'));
  if (unconfirmed) send(unconfirmed);
  settle();
}

export function loseLine() {
  setState(nextState(state, 'lost'));
}

/** The server knows the old talk no more. */
export function beginAnew() {
  owedInterrupt = null;
  isWaitingForTurn = unconfirmed !== null;
  stopAgain();
  stopHearing(Infinity);
}

/** The turn whose sound is due here, or null: one that runs, or the next one, if its message was sent. */
export function awaitedTurn() {
  return runningTurn() ?? (isWaitingForTurn ? newestTurn() + 1 : null);
}

// what the person says

export async function sayText(text) {
  await interrupt();
  unconfirmed = chatMessage(text, newId(), speakerFor());
  isWaitingForTurn = true;
  wantsInterrupt = false;
  restartStopwatch();
  send(unconfirmed);
  setState(nextState(state, 'send'));
}

/** The server has it: it need not be sent again. */
export function confirmMessage(id) {
  if (unconfirmed && unconfirmed.id === id) unconfirmed = null;
}

export function acceptTurn(turn) {
  beginTurn(turn);
  isWaitingForTurn = false;
  unconfirmed = null;
  markStep('taken');
  if (wantsInterrupt) {
    cutTurn(turn, null);
    closeHeardTurn(turn.number);
    send(interruptMessage(turn.number, null));
  }
  wantsInterrupt = false;
  settle();
}

/** A message that the server will not have goes back into the box. False when there is none. */
export function takeTextBack() {
  if (!unconfirmed) return false;
  giveTextBack(unconfirmed.text);
  unconfirmed = null;
  isWaitingForTurn = false;
  settle();
  return true;
}

// what cuts in

/** The one way to cut a reply, whoever asks for it: silence, the page, then the server with what was heard. */
export async function interrupt() {
  if (isPlayingAgain()) {
    stopAgain();
    showInterrupted();
  }
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

/** Silence within 10 ms; then what was heard is known: {sentence, ms}, or null. */
export async function stopSpeech(turn) {
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
