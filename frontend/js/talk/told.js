/**
 * Up to where a session's troubles have been told to the person, kept in the tab: after a reload the log repeats them.
 * Knows nothing of what they are.
 */
import { laterEvent } from '../wire/protocol.js';

const STORAGE_KEY = 'cueline.told';

let told = null;

export function isTold(session, event) {
  const last = loadTold(session);
  return last !== null && laterEvent(last, event) === last;
}

export function keepTold(session, event) {
  told = { session, event: laterEvent(loadTold(session), event) };
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(told));
  } catch {
    // A browser without storage tells them again after a reload.
  }
}

function loadTold(session) {
  if (told === null) {
    try {
      told = JSON.parse(sessionStorage.getItem(STORAGE_KEY));
    } catch {
      told = null;
    }
  }
  return told?.session === session && typeof told.event === 'string' ? told.event : null;
}
