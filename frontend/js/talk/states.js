/**
 * The state of the page and of each sentence, as two tables. Pure: knows neither the page nor the wire.
 */
export const STATES = ['offline', 'idle', 'listening', 'thinking', 'speaking', 'interrupted'];

const TRANSITIONS = {
  offline: { connected: 'idle' },
  idle: { listen: 'listening', send: 'thinking', speech: 'speaking' },
  listening: { heard: 'thinking', send: 'thinking', speech: 'speaking', stop: 'idle' },
  thinking: { speech: 'speaking', interrupt: 'interrupted', done: 'idle', fail: 'idle' },
  speaking: { interrupt: 'interrupted', done: 'idle', fail: 'idle' },
  interrupted: { listen: 'listening', done: 'idle', send: 'thinking', heard: 'thinking', speech: 'speaking' },
};

/** An event that a state does not know leaves it as it is. */
export function nextState(state, event) {
  if (event === 'lost') return 'offline';
  return Object.hasOwn(TRANSITIONS[state], event) ? TRANSITIONS[state][event] : state;
}

export function canInterrupt(state) {
  return state === 'thinking' || state === 'speaking';
}

/**
 * Whether the voice of the person goes to the server. mode: automatic, barge (may cut in, and loses no word by it) or
 * push (holds a button).
 */
export function isGateOpen(mode, state, isHeld) {
  if (mode === 'push') return isHeld && state !== 'offline';
  if (mode === 'barge') return state !== 'offline';
  return state === 'listening';
}

/**
 * The state in words. seconds: how long it has lasted. isMuted: sound waits for a touch of the page.
 * isAgain: an old turn is played once more. isHeld: the voice has paused because the person speaks.
 */
export function stateToWords(state, { speaker = '', seconds = 0, isMuted = false, isAgain = false, isHeld = false } = {}) {
  if (isMuted && state !== 'offline') return 'Sound is off – tap to go on listening';
  if (state === 'idle') return 'Ready';
  if (state === 'thinking') return seconds >= 2 ? `Thinking, ${seconds} s` : 'Thinking';
  if (state === 'speaking' && isHeld) return speaker ? `${speaker} has paused` : 'Paused';
  if (state === 'speaking' && isAgain) return speaker ? `${speaker}, once more` : 'Once more';
  if (state === 'speaking') return speaker ? `${speaker} is speaking` : 'Speaking';
  return state[0].toUpperCase() + state.slice(1);
}

/** What the server calls a sentence's state, and what the page shows. */
const SERVER_STATUSES = {
  queued: 'queued', speaking: 'synthesizing', done: 'ready', failed: 'failed', cancelled: 'skipped',
};
const HEARD_STATUSES = ['playing', 'played', 'interrupted', 'skipped', 'missed'];

/** The ear knows better: what the server says never replaces what the worklet has reported. */
export function mergeServerState(status, serverState) {
  if (HEARD_STATUSES.includes(status)) return status;
  return Object.hasOwn(SERVER_STATUSES, serverState) ? SERVER_STATUSES[serverState] : status;
}

/** True while a sentence can still be heard. */
export function isToCome(status) {
  return status === 'queued' || status === 'synthesizing' || status === 'ready' || status === 'playing';
}

/** What becomes of a sentence when its turn is cut. */
export function statusAfterCut({ status, heardMs }) {
  if (['played', 'interrupted', 'failed', 'missed'].includes(status)) return status;
  return heardMs > 0 ? 'interrupted' : 'skipped';
}
