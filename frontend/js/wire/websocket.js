/**
 * The line to the server: connect, come back after a loss, ping. News travels up as DOM events: socket_connecting,
 * socket_lost {reason: lost, restart or busy; retryMs}, socket_too_big, socket_message {message}, socket_frame {frame},
 * socket_latency {ms}, access_needed {wasRefused}, share_ended. Knows nothing of turns, sound or of what the page shows.
 */
import { fetchTicket, hasAccessKey, probe, setAccessKey } from './access.js';
import { SUBPROTOCOL, laterEvent, parseMessage, unpackFrame } from './protocol.js';
import { currentSession, forgetSession, keepSession, loadSession, shareToken } from './session-id.js';

const FIRST_DELAY_MS = 500;
const MOST_DELAY_MS = 10000;
const MOST_EARLY_DELAY_MS = 2400;
const EARLY_TRIES = 18;
const DELAY_JITTER = 0.2;
const PING_EVERY_MS = 5000;
const MOST_UNANSWERED = 2;
const CLOSED_TOO_BIG = 1009;
const CLOSED_RESTART = 1012;
const CLOSED_BUSY = 1013;
const JOIN_AGAIN_CODES = ['session_moved', 'listener_too_slow'];
const RESTART_DELAY_MS = 250;
const RESTART_TRIES = 40;
const EVENTS_REMEMBERED = 4096;
const MOST_BUFFERED_BYTES = 96000;

let socket = null;
let hasOpened = false;
let hasSession = false;
let attempt = 0;
let retryTimer = 0;
let leastDelayMs = 0;
let reason = 'lost';
let unansweredPings = 0;
let isAskingForKey = false;
let newestEvent = null;
const seenEvents = new Set();

/** Counters for the curious and for tests. */
export const counts = { problems: {}, badFrames: 0, repeatedEvents: 0, connections: 0 };

/**
 * Milliseconds before try number `attempt` (0 is the first); chance is 0 to 1. For half a minute never more than 3 s.
 * A server that said it restarts is asked again at once, and soon again.
 */
export function retryDelayMs(attempt, chance, isRestart = false) {
  if (isRestart && attempt < RESTART_TRIES) return attempt === 0 ? 0 : RESTART_DELAY_MS;
  const delayMs = Math.min(attempt < EARLY_TRIES ? MOST_EARLY_DELAY_MS : MOST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 20));
  return delayMs * (1 - DELAY_JITTER + 2 * DELAY_JITTER * chance);
}

export async function connect() {
  clearTimeout(retryTimer);
  announce('socket_connecting');
  try {
    openSocket(await socketUrl());
  } catch {
    retryLater();
  }
}

async function socketUrl() {
  const url = new URL('ws', document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  if (currentSession()) url.searchParams.set('session', currentSession());
  if (shareToken()) url.searchParams.set('share', shareToken());
  else if (hasAccessKey()) url.searchParams.set('ticket', await takeTicket());
  return url;
}

async function takeTicket() {
  const { ticket, isRefused } = await fetchTicket();
  if (isRefused) askForKey();
  if (!ticket) throw new Error('no ticket');
  return ticket;
}

/** Leave this session for a new one. */
export function startAnew() {
  forgetSession();
  if (socket) forgetSocket();
  connect();
}

/** Leave this session for one there has been, from its first word. */
export function joinSession(id) {
  keepSession(id);
  forgetEvents();
  comeBack();
}

/** The same session once more at once: its log is asked for again from where this page is. */
export function comeBack() {
  if (socket) forgetSocket();
  connect();
}

function forgetEvents() {
  seenEvents.clear();
  newestEvent = null;
}

export function useAccessKey(key) {
  setAccessKey(key);
  isAskingForKey = false;
  attempt = 0;
  connect();
}

function askForKey() {
  const wasRefused = hasAccessKey();
  setAccessKey(null);
  isAskingForKey = true;
  announce('socket_lost', { reason: 'key', retryMs: 0 });
  announce('access_needed', { wasRefused });
}

function openSocket(url) {
  if (socket) forgetSocket();
  hasOpened = hasSession = false;
  socket = new WebSocket(url, SUBPROTOCOL);
  socket.binaryType = 'arraybuffer';
  socket.onopen = onOpen;
  socket.onmessage = onMessage;
  socket.onclose = onClose;
}

function forgetSocket() {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
  socket = null;
  hasSession = false;
}

function onOpen() {
  hasOpened = true;
  unansweredPings = 0;
  counts.connections += 1;
  sendPing();
}

function onMessage({ data }) {
  unansweredPings = 0;
  if (typeof data === 'string') onText(data);
  else onFrame(data);
}

function onFrame(data) {
  const frame = unpackFrame(data);
  if (frame) announce('socket_frame', { frame });
  else counts.badFrames += 1;
}

function onText(text) {
  const { message, problem } = parseMessage(text);
  if (problem) {
    counts.problems[problem] = (counts.problems[problem] ?? 0) + 1;
    return;
  }
  if (message.type === 'error') onErrorMessage(message);
  if (message.type === 'pong') announce('socket_latency', { ms: performance.now() - (message.t ?? performance.now()) });
  else if (message.type === 'session') onSession(message);
  else if (!isRefusal(message) && isNews(message)) announce('socket_message', { message });
}

/** A session that is gone is no error for a person, but a new start. */
function onErrorMessage(message) {
  if (message.retry_after_s > 0) leastDelayMs = message.retry_after_s * 1000;
  if (isGoneSession(message) || message.code === 'share_unknown') forgetSession();
  if (JOIN_AGAIN_CODES.includes(message.code)) reason = 'restart';
}

function isGoneSession({ code }) {
  return code === 'session_unknown' && !hasSession;
}

/** The line will be closed, and this file opens it again: whoever waits is told that it is lost, and that is enough. */
function isRefusal({ type, code, retry_after_s: retryAfterS }) {
  if (type !== 'error') return false;
  if (code === 'share_unknown') return true;
  return JOIN_AGAIN_CODES.includes(code) || (!hasSession && (code === 'session_unknown' || retryAfterS > 0));
}

/** The state of the line, not an entry of the log: it neither counts as seen nor is it ever left out. */
function onSession(message) {
  attempt = leastDelayMs = 0;
  reason = 'lost';
  hasSession = true;
  if (message.session_id !== currentSession()) {
    forgetEvents();
  }
  keepSession(message.session_id);
  announce('socket_message', { message });
}

/** A message may reach us twice, live and replayed; it is told once. */
function isNews(message) {
  if (typeof message.event !== 'string') return true;
  if (seenEvents.has(message.event)) {
    counts.repeatedEvents += 1;
    return false;
  }
  seenEvents.add(message.event);
  if (seenEvents.size > EVENTS_REMEMBERED) seenEvents.delete(seenEvents.values().next().value);
  newestEvent = laterEvent(newestEvent, message.event);
  return true;
}

/** The last event received, for resume. */
export function lastEvent() {
  return newestEvent;
}

/** Lost without a word while there is no session: nothing may come before resume. */
export function send(message) {
  if (isConnected()) socket.send(JSON.stringify(message));
}

/** False when the line is too slow for the voice: better a gap than words that arrive a minute late. */
export function sendFrame(buffer) {
  if (!isConnected() || socket.bufferedAmount > MOST_BUFFERED_BYTES) return false;
  socket.send(buffer);
  return true;
}

export function isConnected() {
  return hasSession && socket?.readyState === 1;
}

function sendPing() {
  socket.send(JSON.stringify({ type: 'ping', t: performance.now() }));
}

/** A line that is dead without a word (a laptop that slept) is noticed by its silence. */
function onPingTime() {
  if (socket?.readyState !== 1) return;
  if (unansweredPings >= MOST_UNANSWERED) {
    forgetSocket();
    retryLater();
    return;
  }
  unansweredPings += 1;
  sendPing();
}

async function onClose({ code }) {
  socket = null;
  hasSession = false;
  if (code === CLOSED_TOO_BIG) announce('socket_too_big');
  if (code === CLOSED_RESTART) reason = 'restart';
  if (code === CLOSED_BUSY && leastDelayMs > 0) reason = 'busy';
  if (hasOpened || reason === 'restart') retryLater();
  else await onRefused();
}

/** A browser hides why a handshake failed: ask by HTTP whether a key is wanted or the session is gone. */
async function onRefused() {
  if (shareToken()) {
    await onGuestRefused();
    return;
  }
  const status = await probe('api/sessions');
  if (status === 401 || status === 403) {
    askForKey();
  } else if (status === 200 && currentSession() && (await probe(`api/sessions/${encodeURIComponent(currentSession())}`)) === 404) {
    forgetSession();
  }
  retryLater();
}

/** A guest can do nothing about it but try when the server is back. */
async function onGuestRefused() {
  if ((await probe('healthz')) === 200) forgetSession();
  retryLater();
}

function retryLater() {
  if (isAskingForKey) return;
  if (isEndedGuest()) {
    announce('socket_lost', { reason: 'key', retryMs: 0 });
    announce('share_ended');
    return;
  }
  const retryMs = Math.max(leastDelayMs, retryDelayMs(attempt, Math.random(), reason === 'restart'));
  announce('socket_lost', { reason, retryMs });
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, retryMs);
  attempt += 1;
}

/** Without a session a guest has nothing to come back to. */
function isEndedGuest() {
  return shareToken() !== null && !currentSession();
}

function onOnline() {
  if (!isConnected() && !isAskingForKey && !isEndedGuest()) connect();
}

function announce(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

/** Rejoins the session of this tab, if it has one. */
export function startConnection() {
  loadSession();
  setInterval(onPingTime, PING_EVERY_MS);
  globalThis.addEventListener('online', onOnline);
  connect();
}
