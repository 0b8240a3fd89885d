/**
 * Whether anything can speak: asks the server when the line is there and when a sentence found nobody to speak it,
 * and goes on asking until somebody can. Knows nothing of the talk.
 */
import { fetchJson } from '../wire/access.js';
import { showVoiceNotice } from './notices.js';

const ASK_EVERY_MS = 2000;

let timer = 0;
let downSince = null;

export async function watchVoice() {
  clearTimeout(timer);
  const health = await askHealth();
  if (!health || health.status === 'ready') {
    downSince = null;
    showVoiceNotice('');
    return;
  }
  downSince ??= performance.now();
  const seconds = Math.round((performance.now() - downSince) / 1000);
  const waited = seconds >= 1 ? ` Waiting for ${seconds} s.` : '';
  showVoiceNotice(`The voice is not ready: ${health.reason ?? 'no reason was given.'}${waited} Replies are written meanwhile.`);
  timer = setTimeout(watchVoice, ASK_EVERY_MS);
}

/** An answer of 503 is an answer. */
async function askHealth() {
  try {
    return await (await fetch('readyz', { cache: 'no-store' })).json();
  } catch {
    return null;
  }
}

export function aboutServer() {
  return Promise.all([askHealth(), fetchJson('api/voices')]);
}

document.addEventListener('voice_doubtful', watchVoice);
