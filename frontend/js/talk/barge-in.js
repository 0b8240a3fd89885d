/**
 * What becomes of the voice when the person speaks into it: softer, then paused, then on from where it paused, as the
 * server says. News travels up as a DOM event, barge_in_changed. Knows nothing of the microphone or of what was said.
 */
import { pausePlayer } from '../sound/audio-player.js';
import { duck } from '../sound/outlet.js';

/** A word of the server that never comes must not silence the voice for good. */
const LONGEST_HOLD_MS = 20000;

let step = '';
let timer = 0;

export function isVoiceHeld() {
  return step === 'held';
}

/** state: ducked, held or resumed; another is none of ours. Whom nobody hears any more is waited for no more: resumed. */
export function bargeIn(state) {
  if (state === 'resumed') endBargeIn();
  else if (state === 'ducked' || state === 'held') enter(state);
  document.dispatchEvent(new CustomEvent('barge_in_changed'));
}

function enter(state) {
  step = state;
  duck(true);
  pausePlayer(state === 'held');
  clearTimeout(timer);
  timer = setTimeout(() => bargeIn('resumed'), LONGEST_HOLD_MS);
}

/** Full volume, and on from the very next sample; a voice that was cut has nothing left to go on with. */
export function endBargeIn() {
  if (!step) return;
  step = '';
  clearTimeout(timer);
  duck(false);
  pausePlayer(false);
}
