/**
 * The line to the server as a dot, a word and a time, and the banner while it is lost.
 * Knows nothing of sockets: it is told.
 */
import { showBanner } from './notices.js';

const QUIET_MS = 1000;

const connection = document.getElementById('connection');
const word = document.getElementById('connection-word');
const latency = document.getElementById('latency');

let bannerTimer = 0;
let tickTimer = 0;
let retryAt = 0;
let isLost = true;

export function showOnline() {
  isLost = false;
  clearTimeout(bannerTimer);
  clearInterval(tickTimer);
  bannerTimer = tickTimer = 0;
  render('online', 'Online');
  showBanner('');
}

/** reason: lost, busy, key, or restart, which is no alarm as long as it is short. */
export function showLost({ reason, retryMs }) {
  const isRestart = reason === 'restart';
  render(isRestart ? 'connecting' : 'offline', isRestart ? 'Restarting' : 'Offline');
  clearInterval(tickTimer);
  if (reason === 'key') return;
  if (reason === 'busy') countDown(retryMs);
  else if (!isRestart) showBanner('Connection lost. Trying again …');
  else if (!bannerTimer) bannerTimer = setTimeout(onSlowRestart, QUIET_MS);
  isLost = true;
}

function onSlowRestart() {
  if (isLost) showBanner('The server restarts. Trying again …');
}

function countDown(retryMs) {
  retryAt = performance.now() + retryMs;
  tickTimer = setInterval(renderCountdown, 1000);
  renderCountdown();
}

function renderCountdown() {
  const seconds = Math.max(0, Math.round((retryAt - performance.now()) / 1000));
  showBanner(`The server is full. ${seconds ? `Trying again in ${seconds} s` : 'Trying again'} …`);
}

function render(kind, text) {
  connection.dataset.connection = kind;
  word.textContent = text;
  if (kind !== 'online') latency.textContent = '';
}

export function renderLatency(ms) {
  latency.textContent = `${Math.round(ms)} ms`;
}
