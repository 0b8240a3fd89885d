/**
 * A conversation of before: joined, and filled with what only the memory at rest still knows.
 * Knows nothing of the list it was chosen from.
 */
import { fetchJson } from '../wire/access.js';
import { currentSession } from '../wire/session-id.js';
import { joinSession } from '../wire/websocket.js';
import { interrupt } from '../talk/conversation.js';
import { keepTurn } from '../talk/turns.js';
import { clearConversation, renderKept } from '../transcript/chatui.js';
import { showToast } from '../page/notices.js';
import { keptTurns } from './talk-words.js';

const MOST_TURNS = 200;

let filled = null;

export async function openTalk(id) {
  if (id === currentSession()) return;
  await interrupt();
  clearConversation();
  filled = null;
  joinSession(id);
}

export function pathOfTalk(id) {
  return `api/sessions/${encodeURIComponent(id)}`;
}

/** Once for each session that is joined again; turns of which the log still knows every word are left to it. */
async function fill(words = '') {
  const session = currentSession();
  if (filled === session && !words) return;
  filled = session;
  const transcript = await fetchJson(`${pathOfTalk(session)}/transcript?format=json`);
  if (session !== currentSession()) return;
  for (const { turn, messages } of keptTurns(transcript ?? {}, MOST_TURNS)) {
    if (renderKept(turn, messages)) keepTurn(turn);
  }
  if (!transcript && words) showToast(words, { code: 'gap' });
}

document.addEventListener('session_open', ({ detail }) => { if (detail.resumed) fill(); });
document.addEventListener('history_gap', ({ detail }) => fill(detail.message));
