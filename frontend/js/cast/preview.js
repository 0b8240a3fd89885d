/**
 * One sentence in a voice that is being considered. News travels up as a DOM event, preview_changed.
 * Knows nothing of characters or of the page.
 */
import { askForBytes } from '../wire/access.js';
import { isSounding, unlockAudio } from '../sound/audio-player.js';
import { playExtra } from '../sound/outlet.js';

const WAV_HEAD_BYTES = 44;
const SOUND_PATIENCE_MS = 1500;

let asking = null;
let sound = null;

/** off, making or playing. */
export function previewPhase() {
  if (asking) return 'making';
  return sound ? 'playing' : 'off';
}

/** Gives null when it is heard or was stopped, else why not: {code, message}. Call inside a click: sound begins in it. */
export async function startPreview(text, voice) {
  stopPreview();
  unlockAudio();
  const mine = new AbortController();
  asking = mine;
  announce();
  const answer = await askForBytes('api/voices/preview', { text, voice }, mine.signal);
  if (asking !== mine) return null;
  await untilSounding();
  if (asking !== mine) return null;
  asking = null;
  if (answer.isOk) play(answer.bytes);
  announce();
  if (!answer.isOk) return answer;
  return sound ? null : { code: 'sound_blocked', message: 'Your browser keeps the sound off until you touch the page.' };
}

async function untilSounding() {
  const deadline = performance.now() + SOUND_PATIENCE_MS;
  while (!isSounding() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
}

function play(bytes) {
  const end = bytes.byteLength - (bytes.byteLength % 2);
  sound = playExtra(new Int16Array(bytes.slice(WAV_HEAD_BYTES, Math.max(end, WAV_HEAD_BYTES))), onEnd);
}

/** The server is told by the line that closes, and makes no more of it. */
export function stopPreview() {
  asking?.abort();
  sound?.stop();
  asking = sound = null;
  announce();
}

function onEnd() {
  sound = null;
  announce();
}

function announce() {
  document.dispatchEvent(new CustomEvent('preview_changed'));
}
