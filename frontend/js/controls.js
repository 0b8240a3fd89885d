/**
 * The button that interrupts, the Escape key and the volume; any touch of the page lets sound begin. News travels up
 * as a DOM event, interrupt_wanted. Knows nothing of what can be interrupted: it is told.
 */
import { setVolume, unlockAudio } from './audio-player.js';

const interruptButton = document.getElementById('interrupt');
const volumeSlider = document.getElementById('volume');

export function allowInterrupt(isAllowed) {
  interruptButton.disabled = !isAllowed;
}

function wantInterrupt() {
  document.dispatchEvent(new CustomEvent('interrupt_wanted'));
}

function onKeyDown(event) {
  if (event.key !== 'Escape') unlockAudio();
  else if (!event.isComposing && !document.querySelector('dialog[open]')) wantInterrupt();
}

document.addEventListener('keydown', onKeyDown);
document.addEventListener('click', unlockAudio);
interruptButton.addEventListener('click', wantInterrupt);
volumeSlider.addEventListener('input', () => setVolume(Number(volumeSlider.value)));
