/**
 * Why the microphone does not work, in words for a person. Knows nothing of the microphone.
 */
import { showToast } from './notices.js';

const SLOW_EVERY_MS = 10000;

const WORDS = {
  refused: 'The browser may not use the microphone. Allow it beside the address of this page, then try again.',
  none: 'There is no microphone. You can type instead.',
  in_use: 'The microphone cannot be opened. Perhaps another program uses it.',
  lost: 'The microphone was unplugged. You can type, or plug one in and try again.',
  insecure: 'The microphone needs https:// or localhost. You can type instead.',
  unsupported: 'This browser cannot record sound. You can type instead.',
  unavailable: 'This server cannot listen. You can type, and hear the answer.',
  silent: 'The server did not answer. You can try again.',
  elsewhere: 'The server has stopped listening, perhaps because of another page of this conversation.',
  slow: 'Your line is too slow for your voice: some of it is lost.',
};
const HOPELESS = ['insecure', 'unsupported', 'unavailable', 'slow'];

let slowAt = -Infinity;

/** words: what the server says of it, where it says something. */
export function explainListening(reason, words = '') {
  if (reason === 'slow' && performance.now() - slowAt < SLOW_EVERY_MS) return;
  if (reason === 'slow') slowAt = performance.now();
  if (reason === 'unavailable') document.body.dataset.ears = 'none';
  const retry = { word: 'Try again', run: () => document.dispatchEvent(new CustomEvent('listening_wanted')) };
  const isMild = reason === 'unavailable' || reason === 'slow';
  showToast(words || (WORDS[reason] ?? WORDS.in_use), { code: `mic_${reason}`, isError: !isMild, action: HOPELESS.includes(reason) ? null : retry });
}
