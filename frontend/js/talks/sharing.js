/**
 * Links by which others may listen to this conversation: made, copied, taken back. Knows nothing of who listens.
 */
import { askServer } from '../wire/access.js';
import { currentSession } from '../wire/session-id.js';

const dialog = document.getElementById('share-dialog');
const until = document.getElementById('share-until');
const row = document.getElementById('share-link-row');
const field = document.getElementById('share-link');
const copyWord = document.getElementById('share-copy-word');
const failure = document.getElementById('share-failure');
const news = document.getElementById('share-news');
const makeButton = document.getElementById('share-make');

let shared = null;

export function openSharing() {
  if (shared !== currentSession()) forgetLink();
  say('');
  dialog.showModal();
}

function forgetLink() {
  shared = null;
  row.hidden = true;
  field.value = until.textContent = '';
  makeButton.textContent = 'Make a link';
  makeButton.className = 'send';
}

function path() {
  return `api/sessions/${encodeURIComponent(currentSession())}/share`;
}

async function onMake() {
  const session = currentSession();
  const answer = await askServer('POST', path());
  if (!answer.isOk || typeof answer.data?.url !== 'string') {
    fail(answer.message ?? 'The server gave no link.');
    return;
  }
  shared = session;
  field.value = new URL(answer.data.url, document.baseURI).href;
  until.textContent = untilWords(answer.data.expires_at);
  row.hidden = false;
  makeButton.textContent = 'Make another one';
  makeButton.className = 'plain';
  say('');
  field.select();
}

function untilWords(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  return `It holds until ${date.toLocaleString([], { weekday: 'long', hour: '2-digit', minute: '2-digit' })}.`;
}

/** Inside the dialog: a toast would lie behind it. */
async function onCopy() {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    document.execCommand('copy');
  }
  copyWord.textContent = 'Copied';
  setTimeout(() => { copyWord.textContent = 'Copy'; }, 2000);
}

async function onRevoke() {
  const answer = await askServer('DELETE', path());
  if (!answer.isOk) {
    fail(answer.message);
    return;
  }
  forgetLink();
  say('No link opens this conversation any more.');
}

function fail(words) {
  failure.textContent = words;
  failure.hidden = false;
  news.textContent = '';
}

function say(words) {
  failure.hidden = true;
  news.textContent = words;
}

document.getElementById('share-close').addEventListener('click', () => dialog.close());
document.getElementById('share-copy').addEventListener('click', onCopy);
document.getElementById('share-revoke').addEventListener('click', onRevoke);
makeButton.addEventListener('click', onMake);
dialog.addEventListener('click', ({ target }) => { if (target === dialog) dialog.close(); });
