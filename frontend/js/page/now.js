/**
 * What is going on now: the state in a word and a sign, the sentence that is spoken, how fast it came.
 * Knows nothing of the wire or of sound: it is given words and numbers and shows them.
 */
import { paintWho } from '../cast/colours.js';
import { splitAtVoice } from '../talk/captions.js';
import { stateToWords } from '../talk/states.js';
import { underrunsToWords } from '../queue/job-words.js';
import { settings } from './settings.js';

const ANNOUNCE_AFTER_MS = 250;
const MIC_GAIN = 6;

const meter = document.getElementById('meter');
const stateIcon = document.getElementById('state-icon');
const stateWord = document.getElementById('state-word');
const announcer = document.getElementById('announcer');
const reader = document.getElementById('reader');
const caption = document.getElementById('caption');
const captionSaid = document.getElementById('caption-said');
const captionRest = document.getElementById('caption-rest');
const latency = document.getElementById('latency-details');
const firstSound = document.getElementById('first-sound');
const underrunWords = document.getElementById('underruns');
const latencyRows = document.getElementById('latency-rows');

let announceTimer = 0;

export function renderState(state, words) {
  document.body.dataset.state = state;
  const isMuted = words.isMuted && state !== 'offline';
  document.body.classList.toggle('voice-held', words.isHeld === true);
  stateIcon.setAttribute('href', `#icon-${iconFor(state, isMuted, words.isHeld)}`);
  meter.classList.toggle('muted-sound', isMuted);
  stateWord.textContent = stateToWords(state, words);
  paintWho(stateWord, state === 'speaking' ? words.speaker ?? '' : '');
  if (state !== 'speaking' || words.isHeld || isMuted) renderLevel(0);
  clearTimeout(announceTimer);
  announceTimer = setTimeout(announceState, ANNOUNCE_AFTER_MS);
}

function iconFor(state, isMuted, isHeld) {
  if (isMuted) return 'mute';
  return isHeld ? 'paused' : state;
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

/** For who lets a screen reader speak instead of the voice: a sentence when its turn has come, never single words. */
export function readAloud(text) {
  if (settings.reader) reader.textContent = text;
}

export function renderCaption(text, heardMs, durationMs) {
  const [said, rest] = splitAtVoice(text, heardMs, durationMs);
  if (captionSaid.textContent === said && captionRest.textContent === rest) return;
  captionSaid.textContent = said;
  captionRest.textContent = rest;
  caption.scrollTop = captionRest.offsetTop - caption.clientHeight / 2;
}

/** ms null: nothing has sounded yet. rows: [[what, how much]]. underruns: gaps inside a sentence; none need no word. */
export function renderLatencyDetails(ms, rows, underruns) {
  latency.hidden = ms === null;
  if (ms === null) return;
  firstSound.textContent = `${Math.round(ms)} ms`;
  underrunWords.textContent = underruns ? `, ${underrunsToWords(underruns)}` : '';
  latencyRows.replaceChildren(...rows.flatMap(([what, howMuch]) => [termElement('dt', what), termElement('dd', howMuch)]));
}

function termElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/**
 * On a phone the picture is the biggest button there is. Nothing is lost without it: the button says it in words.
 * While the sound is off, any touch means to hear it.
 */
function onMeterClick() {
  const isHeard = !meter.classList.contains('muted-sound');
  if (isHeard && document.body.dataset.state === 'speaking') document.dispatchEvent(new CustomEvent('interrupt_wanted'));
}

function onMicLevel({ detail }) {
  if (document.body.dataset.state === 'listening') renderLevel(detail.rms * MIC_GAIN);
}

/** A touch beside the details closes them. */
function onClick({ target }) {
  if (latency.open && !latency.contains(target)) latency.open = false;
}

meter.addEventListener('click', onMeterClick);
document.addEventListener('click', onClick);
document.addEventListener('mic_level', onMicLevel);
