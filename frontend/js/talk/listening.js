/**
 * When the microphone is open and when the server hears it. News travels up as DOM events: listening_changed,
 * listening_failed {reason}, upload_slow. Knows nothing of the page's elements; the state of the talk is told to it.
 *
 * reason: what audio-capture.js says of a microphone, 'unavailable' (the server has no ears), 'silent' (it did not answer)
 * or 'elsewhere' (another page of this session stopped it).
 */
import { packMicFrame, startMessage, stopMessage } from '../wire/protocol.js';
import { isConnected, send, sendFrame } from '../wire/websocket.js';
import { bargeIn, isVoiceHeld } from './barge-in.js';
import { closeMicrophone, isMicrophoneOpen, missingMicrophone, openMicrophone, setMicrophoneGate } from '../sound/audio-capture.js';
import { SAMPLE_RATE } from '../sound/pcm.js';
import { outletRms } from '../sound/outlet.js';
import { energyOf, followVoice, isSilent, newVoice } from '../sound/loudness.js';
import { settings } from '../page/settings.js';
import { chosenSpeaker } from '../cast/panel.js';
import { isGateOpen } from './states.js';

const ANSWER_MS = 3000;
const KEEP_OPEN_MS = 20000;
const LONG_AGO_MS = 10000;

let state = 'offline';
let wantsListening = false;
let isHeld = false;
let isAgreed = false;
let answerWaiting = null;
let owesStop = false;
let wasGateOpen = false;
let closeTimer = 0;
let refusalWords = '';
let voice = newVoice();

/** True while the person wants to be heard, can be, and holds the button where one must be held. */
export function isListening() {
  const isWanted = settings.turnTaking === 'push' ? isHeld : wantsListening;
  return isWanted && isAgreed && isMicrophoneOpen() && isConnected();
}

/** off, opening or on: what the button shows. */
export function listeningPhase() {
  if (!wantsListening && !isHeld) return 'off';
  return isAgreed && isMicrophoneOpen() ? 'on' : 'opening';
}

/** The state of the talk decides whether what the microphone hears may leave. */
export function followState(next) {
  state = next;
  moveGate();
  if (owesStop && (state === 'idle' || state === 'listening')) sendStop();
}

function moveGate() {
  const isWanted = wantsListening || isHeld;
  const isOpen = isWanted && isAgreed && isMicrophoneOpen() && isGateOpen(settings.turnTaking, state, isHeld);
  setMicrophoneGate(isOpen);
  if (wasGateOpen && !isOpen && settings.turnTaking === 'push') sendFrame(packMicFrame({ ...frameHeader(), isLast: true }, []));
  wasGateOpen = isOpen;
}

export async function startListening() {
  if (wantsListening) return;
  wantsListening = true;
  owesStop = false;
  await openUp();
}

export function stopListening() {
  if (!wantsListening) return;
  wantsListening = false;
  shutDown();
}

/** The button that must be held. The device stays open for a while, so that the next word is heard from its start. */
export async function holdTalk() {
  if (isHeld) return;
  isHeld = true;
  owesStop = false;
  clearTimeout(closeTimer);
  await openUp();
}

export function releaseTalk() {
  if (!isHeld) return;
  isHeld = false;
  moveGate();
  clearTimeout(closeTimer);
  closeTimer = setTimeout(shutDown, KEEP_OPEN_MS);
  announce('listening_changed');
}

async function openUp() {
  announce('listening_changed');
  const refusal = missingMicrophone() ?? (isAgreed ? null : await askServer());
  if (refusal) {
    giveUp(refusal);
    return;
  }
  try {
    if (!isMicrophoneOpen()) await openMicrophone({ deviceId: settings.microphone, isRaw: !settings.echoCancellation });
  } catch (error) {
    giveUp(error.cause ?? 'in_use');
    return;
  }
  if (!wantsListening && !isHeld && settings.turnTaking !== 'push') closeMicrophone();
  moveGate();
  announce('listening_changed');
}

/** Nobody is asked for a microphone that no one would hear. Gives null when the server listens, else the reason. */
function askServer() {
  if (!isConnected()) return Promise.resolve('silent');
  send(startMessage({ character: chosenSpeaker(), sampleRate: SAMPLE_RATE, turnTaking: settings.turnTaking, language: settings.language }));
  return new Promise((resolve) => {
    const timer = setTimeout(() => answer('silent'), ANSWER_MS);
    answerWaiting = (refusal) => {
      clearTimeout(timer);
      resolve(refusal);
    };
  });
}

function answer(refusal) {
  if (!answerWaiting) return;
  isAgreed = refusal === null;
  answerWaiting(refusal);
  answerWaiting = null;
}

export function hearListeningStatus() {
  answer(null);
}

/** Whether a refusal was meant for us. words: why, as the server says it. */
export function hearListeningRefused(words) {
  const isOurs = answerWaiting !== null || wantsListening || isHeld;
  refusalWords = words;
  if (answerWaiting) answer('unavailable');
  else if (isOurs) giveUp('unavailable');
  return isOurs;
}

/** Another page has stopped the server's listening: what this one goes on sending is not wanted. */
export function hearAudioUnexpected() {
  if (wantsListening || isHeld) giveUp('elsewhere');
}

function giveUp(reason) {
  if (['unavailable', 'silent', 'elsewhere'].includes(reason)) isAgreed = false;
  wantsListening = isHeld = false;
  closeMicrophone();
  bargeIn('resumed');
  moveGate();
  announce('listening_changed');
  announce('listening_failed', { reason, words: reason === 'unavailable' ? refusalWords : '' });
}

/** The server is told anew what is wanted of it; the device stays open. */
export async function startAgain() {
  if (!isAgreed) return;
  isAgreed = false;
  bargeIn('resumed');
  moveGate();
  await openUp();
}

/** The server's stop silences it too: it waits until nobody speaks. */
function shutDown() {
  closeMicrophone();
  bargeIn('resumed');
  moveGate();
  if (isAgreed) owesStop = true;
  isAgreed = false;
  followState(state);
  announce('listening_changed');
}

function sendStop() {
  owesStop = false;
  send(stopMessage());
}

/** Another line, perhaps another process: it has to be asked again. */
export async function listenAgain() {
  isAgreed = false;
  if (wantsListening) await openUp();
}

/** Another device was chosen while one is in use. */
export async function changeMicrophone() {
  if (!isMicrophoneOpen()) return;
  closeMicrophone();
  if (wantsListening || isHeld) await openUp();
}

/** Where a button is to be held, or was, nobody is listened to until it is pressed; else the listening goes on. */
export function changeTurnTaking() {
  const isButtonNow = settings.turnTaking === 'push';
  if (wantsListening && !isButtonNow) {
    startAgain();
  } else if (wantsListening || isMicrophoneOpen()) {
    wantsListening = isHeld = false;
    shutDown();
  }
}

/** The loudspeaker counts as on from a reply's first sample to its last, through every pause but the one for the person. */
function frameHeader() {
  const speakerRms = outletRms();
  const isSpeakerOn = !isSilent(speakerRms) || (state === 'speaking' && !isVoiceHeld());
  return { ms: Math.round(performance.now()), isSpeakerOn, speakerEnergy: energyOf(speakerRms) };
}

/** When the person was heard last, on the clock of the page; undefined if that was not here, or long ago. */
export function lastVoiceMs() {
  return voice.atMs !== null && performance.now() - voice.atMs < LONG_AGO_MS ? voice.atMs : undefined;
}

function onMicFrame({ detail: { samples, rms, isFirst } }) {
  voice = followVoice(isFirst ? newVoice() : voice, rms, performance.now());
  const header = { ...frameHeader(), energy: energyOf(rms), isSilent: isSilent(rms), isFirst };
  if (!sendFrame(packMicFrame(header, samples)) && isConnected()) announce('upload_slow');
}

function onMicLost() {
  giveUp('lost');
}

function announce(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

document.addEventListener('mic_frame', onMicFrame);
document.addEventListener('mic_lost', onMicLost);
