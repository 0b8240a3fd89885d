/**
 * Which session this tab is in, kept so that a page that is loaded anew joins it again, or named by the address of the
 * page. With a share token beside it this is a guest, who only listens. Knows nothing else.
 */
const STORAGE_KEY = 'cueline.session';

let sessionId = null;
let share = null;

export function currentSession() {
  return sessionId;
}

/** What lets a guest in; null for everybody else. */
export function shareToken() {
  return share;
}

export function keepSession(id) {
  sessionId = id;
  if (share) return;
  try {
    sessionStorage.setItem(STORAGE_KEY, id);
  } catch {
    // A browser without storage: the session lasts as long as the page.
  }
}

/** A guest's session stays in the address: it is not this tab's own. */
export function loadSession() {
  const { session, token, rest } = readAddress();
  share = session && token;
  if (share) {
    sessionId = session;
    return;
  }
  if (session) {
    keepSession(session);
    history.replaceState(null, '', rest);
    return;
  }
  try {
    sessionId = sessionStorage.getItem(STORAGE_KEY);
  } catch {
    sessionId = null;
  }
}

function readAddress() {
  const url = new URL(location.href);
  const [session, token] = ['session', 'share'].map((name) => url.searchParams.get(name) || null);
  url.searchParams.delete('session');
  return { session, token, rest: url.pathname + url.search };
}

export function forgetSession() {
  sessionId = null;
  if (share) return;
  try {
    sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // As above.
  }
}
