/**
 * The progress of one render as the server tells it: read as it comes, taken up again after a loss, ended where it ends.
 * News travels up as DOM events: render_told {render}, line_told {line}, feed_state {isLost}. Knows nothing of the page.
 *
 * Read with fetch, which can carry a key. A page that is hidden lets go: a host has room for six connections.
 */
import { fetchFromServer } from '../wire/access.js';

const AGAIN_MS = 1500;

let current = null;
let place = '';
let reading = null;
let timer = 0;

export function followRender(id) {
  stopFollowing();
  current = id;
  place = '';
  read();
}

export function stopFollowing() {
  clearTimeout(timer);
  reading?.abort();
  current = reading = null;
}

async function read() {
  const id = current;
  const mine = new AbortController();
  reading = mine;
  let isLost = false;
  try {
    const answer = await fetchFromServer(`api/renders/${encodeURIComponent(id)}/events${place && `?after=${place}`}`, { signal: mine.signal });
    if (answer.status === 404) {
      announce('render_gone', { id });
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    announce('feed_state', { isLost: false });
    await readEvents(answer.body, mine);
  } catch {
    isLost = !mine.signal.aborted;
  }
  if (reading !== mine) return;
  reading = null;
  if (isLost) announce('feed_state', { isLost: true });
  if (current === id && !document.hidden) timer = setTimeout(read, AGAIN_MS);
}

async function readEvents(body, mine) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  while (reading === mine) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split(/\r?\n\r?\n/);
    rest = parts.pop();
    parts.forEach(tell);
  }
}

/** One event: its fields, a line each. */
function tell(part) {
  const fields = Object.fromEntries(part.split(/\r?\n/).map((row) => /^(\w+): ?(.*)$/.exec(row)).filter(Boolean).map(([, name, value]) => [name, value]));
  if (fields.id) place = fields.id;
  if (!fields.data) return;
  try {
    announce(fields.event === 'line' ? 'line_told' : 'render_told', JSON.parse(fields.data));
  } catch {
    // Half an event: it comes again after the line is taken up.
  }
}

function onVisibility() {
  if (!current) return;
  clearTimeout(timer);
  if (document.hidden) reading?.abort();
  else if (!reading) read();
}

function announce(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

document.addEventListener('visibilitychange', onVisibility);
