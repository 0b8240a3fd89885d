/**
 * The key of a server that asks for one, and requests that carry it. Knows nothing of the socket or of the page.
 */
let accessKey = null;

/** The key stays in memory: a page that is loaded anew asks again. */
export function setAccessKey(key) {
  accessKey = key;
}

export function hasAccessKey() {
  return accessKey !== null;
}

/** Like fetch; path is relative to the page. */
export function fetchFromServer(path, options = {}) {
  const headers = accessKey ? { Authorization: `Bearer ${accessKey}` } : {};
  return fetch(path, { cache: 'no-store', ...options, headers });
}

/** A one-use ticket for a socket: {ticket} or {isRefused}. Throws when nobody answers. */
export async function fetchTicket() {
  const answer = await fetchFromServer('api/tickets', { method: 'POST' });
  if (answer.status === 401 || answer.status === 403) return { isRefused: true };
  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
  return answer.json();
}

/** The status of an answer, 0 when there is none. */
export async function probe(path) {
  try {
    return (await fetchFromServer(path)).status;
  } catch {
    return 0;
  }
}

/** The JSON of an answer, or null when there is none. */
export async function fetchJson(path) {
  try {
    const answer = await fetchFromServer(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}
