/**
 * The key of a server that asks for one, and requests that carry it. Knows nothing of the socket or of the page.
 */
import { shareToken } from './session-id.js';

const UNREACHABLE = { isOk: false, status: 0, code: 'unreachable', message: 'The server cannot be reached.' };

let accessKey = null;

/** The key stays in memory: a page that is loaded anew asks again. */
export function setAccessKey(key) {
  accessKey = key;
}

export function hasAccessKey() {
  return accessKey !== null;
}

/** Like fetch; path is relative to the page. A guest shows the link that let them in. */
export function fetchFromServer(path, { contentType, ...options } = {}) {
  const url = new URL(path, document.baseURI);
  if (shareToken()) url.searchParams.set('share', shareToken());
  const headers = { ...(accessKey && { Authorization: `Bearer ${accessKey}` }), ...(contentType && { 'Content-Type': contentType }) };
  return fetch(url, { cache: 'no-store', ...options, headers });
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

/**
 * Ask for something to be done: {isOk, status, data} or {isOk, status, code, message, problems?}; status 0 when nobody
 * answered.
 * body: an object, or a Blob or a form that is sent as it is. Never throws.
 */
export async function askServer(method, path, body = undefined, options = {}) {
  const isJson = body !== undefined && !(body instanceof Blob || body instanceof FormData);
  try {
    const answer = await fetchFromServer(path, {
      method, body: isJson ? JSON.stringify(body) : body, contentType: isJson ? 'application/json' : undefined, ...options,
    });
    const data = await readBody(answer);
    return answer.ok ? { isOk: true, status: answer.status, data } : refusalOf(answer.status, data);
  } catch {
    return UNREACHABLE;
  }
}

/** The bytes of an answer: {isOk, bytes}, else as askServer. */
export async function askForBytes(path, body, signal) {
  try {
    const answer = await fetchFromServer(path, { method: 'POST', body: JSON.stringify(body), contentType: 'application/json', signal });
    return answer.ok ? { isOk: true, bytes: await answer.arrayBuffer() } : refusalOf(answer.status, await readBody(answer));
  } catch {
    return UNREACHABLE;
  }
}

function refusalOf(status, data) {
  const message = data?.message ?? `The server refused (${status}).`;
  return { isOk: false, status, code: data?.code ?? 'failed', message, problems: data?.problems };
}

async function readBody(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}
