/**
 * Which session this tab is in, kept so that a page that is loaded anew joins it again. Knows nothing else.
 */
const STORAGE_KEY = 'cueline.session';

let sessionId = null;

export function currentSession() {
  return sessionId;
}

export function keepSession(id) {
  sessionId = id;
  try {
    sessionStorage.setItem(STORAGE_KEY, id);
  } catch {
    // A browser without storage: the session lasts as long as the page.
  }
}

export function loadSession() {
  try {
    sessionId = sessionStorage.getItem(STORAGE_KEY);
  } catch {
    sessionId = null;
  }
}

export function forgetSession() {
  sessionId = null;
  try {
    sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // As above.
  }
}
