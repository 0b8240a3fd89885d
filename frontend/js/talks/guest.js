/**
 * A page that was opened by a link: it hears and reads, and says so. Knows nothing of what is said.
 */
import { shareToken } from '../wire/session-id.js';
import { showBanner } from '../page/notices.js';

const note = document.getElementById('guest-note');

export function isGuest() {
  return document.body.dataset.role === 'guest';
}

function becomeGuest() {
  document.body.dataset.role = 'guest';
  note.hidden = false;
}

function onShareEnded() {
  showBanner('This link has expired or was taken back. Ask for another one.');
}

document.addEventListener('session_open', ({ detail }) => { if (detail.is_guest === true || shareToken()) becomeGuest(); });
document.addEventListener('share_ended', onShareEnded);
if (new URLSearchParams(location.search).has('share')) becomeGuest();
