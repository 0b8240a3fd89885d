/**
 * The bar at the bottom: the microphone button, the button that interrupts, the volume; any touch of the page lets sound
 * begin. News travels up as DOM events: interrupt_wanted, listening_wanted, talk_held, talk_released.
 * Knows nothing of what can be interrupted or heard: it is told.
 */
import { unlockAudio } from '../sound/audio-player.js';
import { changeSetting, settings } from './settings.js';

const micButton = document.getElementById('mic');
const micIcon = document.getElementById('mic-icon');
const micWord = document.getElementById('mic-word');
const interruptButton = document.getElementById('interrupt');
const volumeSlider = document.getElementById('volume');
const muteButton = document.getElementById('mute');
const muteIcon = document.getElementById('mute-icon');

const MIC_WORDS = {
  push: { off: 'Hold to talk', opening: 'Opening …', on: 'Let go to stop' },
  any: { off: 'Start listening', opening: 'Opening …', on: 'Stop listening' },
};

let isHolding = false;

export function allowInterrupt(isAllowed) {
  interruptButton.disabled = !isAllowed;
}

/** phase: off, opening or on. */
export function showListening(phase) {
  const words = MIC_WORDS[settings.turnTaking] ?? MIC_WORDS.any;
  micWord.textContent = words[phase];
  micButton.dataset.phase = phase;
  if (phase === 'on') delete document.body.dataset.ears;
  micIcon.setAttribute('href', phase === 'on' && settings.turnTaking !== 'push' ? '#icon-mic-off' : '#icon-listening');
}

export function renderVolume() {
  const isSilent = settings.isMuted || settings.volume === 0;
  volumeSlider.value = settings.isMuted ? 0 : settings.volume;
  muteButton.setAttribute('aria-pressed', String(settings.isMuted));
  muteIcon.setAttribute('href', isSilent ? '#icon-mute' : '#icon-volume');
}

function onVolume() {
  changeSetting('isMuted', false);
  changeSetting('volume', Number(volumeSlider.value));
}

export function holdToTalk() {
  if (isHolding) return;
  isHolding = true;
  announce('talk_held');
}

/** Whatever takes the finger away counts as letting go: better cut short than left open. */
export function letGo() {
  if (!isHolding) return;
  isHolding = false;
  announce('talk_released');
}

function onMicDown(event) {
  if (settings.turnTaking !== 'push' || event.button !== 0) return;
  micButton.setPointerCapture(event.pointerId);
  holdToTalk();
}

function onMicClick() {
  if (settings.turnTaking !== 'push') announce('listening_wanted');
}

/** With the keyboard the button is held like any other key. */
function onMicKey(event) {
  if (settings.turnTaking !== 'push' || (event.key !== ' ' && event.key !== 'Enter')) return;
  event.preventDefault();
  if (!event.repeat) holdToTalk();
}

function announce(name) {
  document.dispatchEvent(new CustomEvent(name));
}

document.addEventListener('click', unlockAudio);
document.addEventListener('keydown', (event) => { if (event.key !== 'Escape') unlockAudio(); });
interruptButton.addEventListener('click', () => announce('interrupt_wanted'));
volumeSlider.addEventListener('input', onVolume);
muteButton.addEventListener('click', () => changeSetting('isMuted', !settings.isMuted));
micButton.addEventListener('click', onMicClick);
micButton.addEventListener('pointerdown', onMicDown);
micButton.addEventListener('keydown', onMicKey);
for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) micButton.addEventListener(name, letGo);
document.addEventListener('keyup', ({ key }) => { if (key === ' ' || key === 'Enter') letGo(); });
globalThis.addEventListener('blur', letGo);
document.addEventListener('visibilitychange', letGo);
