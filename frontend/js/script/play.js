/**
 * A script, how far it is rendered, and what is to be asked of the server for it. Pure: knows neither page nor wire.
 *
 * play: {title, gapMs, cast: {NAME: id of a character or name of a voice}, lines: [{key, speaker, text, speed, pauseMs,
 * direction, chapter}],
 * render: null or {id, gapMs, order: [key], said: {key: what was asked for}}}.
 * made: Map of key → what the server says of that line.
 */
const MS_PER_LETTER = 65;
/** What a render has that says nothing of its gap. */
const SERVER_GAP_MS = 350;
const RENDER_STATES = { rendering: 'being made', done: 'done', failed: 'some lines failed', cancelled: 'cancelled' };
const STATES = { queued: 'queued', making: 'making', done: 'ready', failed: 'failed' };
const WAITING = {
  talk: 'paused while somebody talks', busy: 'behind other renders', workers: 'no voice is running', queue: 'the queue is away', store: 'the Store is away',
};

export function newPlay() {
  return { title: '', gapMs: 250, cast: {}, lines: [], render: null };
}

/** direction and chapter come with files and go with the line; they are not edited here. */
export function newLine(key, { speaker = '', text = '', speed = 1, pauseMs = 0, direction = '', chapter = '' } = {}) {
  return { key, speaker, text, speed, pauseMs, ...(direction && { direction }), ...(chapter && { chapter }) };
}

/** What is kept in a browser is not trusted. */
export function readPlay(stored) {
  const play = newPlay();
  if (typeof stored !== 'object' || stored === null || !Array.isArray(stored.lines)) return play;
  const text = (value) => (typeof value === 'string' ? value : '');
  const number = (value, least, most, other) => (typeof value === 'number' && value >= least && value <= most ? value : other);
  play.title = text(stored.title);
  play.gapMs = number(stored.gapMs, 0, 10000, 250);
  play.cast = Object.fromEntries(Object.entries(stored.cast ?? {}).filter(([, wish]) => typeof wish === 'string'));
  play.lines = stored.lines.filter((line) => typeof line?.key === 'string').map(({ key, speaker, text: words, speed, pauseMs, direction, chapter }) => newLine(key, {
    speaker: text(speaker), text: text(words), speed: number(speed, 0.25, 4, 1), pauseMs: number(pauseMs, 0, 60000, 0),
    direction: text(direction), chapter: text(chapter),
  }));
  const { render } = stored;
  if (typeof render?.id === 'string' && Array.isArray(render.order) && typeof render.said === 'object' && render.said) play.render = render;
  return play;
}

export function hasWords({ text }) {
  return text.trim() !== '';
}

/** What the server is told of a line, and by which two tellings are compared. */
export function lineToSaid(line, cast) {
  const speaker = line.speaker.trim();
  return { speaker, text: line.text.trim().replace(/\s+/g, ' '), voice: cast[speaker] ?? '', speed: line.speed, pauseMs: line.pauseMs };
}

export function isChanged(play, line) {
  const before = play.render?.said[line.key];
  return before !== undefined && JSON.stringify(before) !== JSON.stringify(lineToSaid(line, play.cast));
}

/** draft, queued, making, ready, failed, cancelled or changed. */
export function lineState(play, line, made, isCancelled = false) {
  if (!play.render || !play.render.order.includes(line.key)) return 'draft';
  if (isChanged(play, line)) return 'changed';
  const state = STATES[made.get(line.key)?.state] ?? 'queued';
  return isCancelled && (state === 'queued' || state === 'making') ? 'cancelled' : state;
}

/** The body of a new render: every line that has words. */
export function playToOrder(play) {
  const lines = play.lines.filter(hasWords);
  const names = new Set(lines.map(({ speaker }) => speaker.trim()));
  const cast = Object.fromEntries(Object.entries(play.cast).filter(([name, wish]) => names.has(name) && wish));
  return { title: play.title.trim(), script: lines.map((line) => lineToRow(line)), cast, gap_ms: play.gapMs };
}

function lineToRow({ speaker, text, speed, pauseMs, direction, chapter }) {
  return {
    speaker: speaker.trim(), text: text.trim(), ...(speed !== 1 && { speed }), ...(pauseMs > 0 && { pause_before_ms: pauseMs }),
    ...(direction && { direction }), ...(chapter && { chapter }),
  };
}

/** The body that has one line of a render said differently. */
export function lineToChange(line, cast) {
  const { speaker, text, voice, speed, pauseMs } = lineToSaid(line, cast);
  return { speaker, text, ...(voice && { voice }), speed, ...(pauseMs > 0 && { pause_before_ms: pauseMs }) };
}

/** The same lines in the same order can be changed one by one; anything else is a new render, made from the cache. */
export function canPatch(play) {
  if (!play.render || play.render.gapMs !== play.gapMs) return false;
  const keys = play.lines.filter(hasWords).map(({ key }) => key);
  return keys.length === play.render.order.length && keys.every((key, place) => key === play.render.order[place]);
}

/** The play with its render: what was asked for is remembered line by line. */
export function withRender(play, id) {
  const lines = play.lines.filter(hasWords);
  const said = Object.fromEntries(lines.map((line) => [line.key, lineToSaid(line, play.cast)]));
  return { ...play, render: { id, gapMs: play.gapMs, order: lines.map(({ key }) => key), said } };
}

/**
 * The play that a render was made of, as if it had just been ordered. keys: a name for each line. wishOf(speaker, voice): who
 * is meant, a character or a voice.
 */
export function renderToPlay(render, keys, wishOf) {
  let chapter = 0;
  const lines = render.script.map((line, place) => {
    const begins = render.chapters?.length && (place === 0 || line.chapter !== chapter);
    chapter = line.chapter;
    return newLine(keys[place], {
      speaker: line.speaker, text: line.text, speed: line.speed, pauseMs: line.pause_before_ms ?? 0, direction: line.direction,
      chapter: begins ? render.chapters[chapter] : '',
    });
  });
  const cast = Object.fromEntries(render.script.map(({ speaker, voice }) => [speaker, wishOf(speaker, voice)]));
  return withRender({ title: render.title, gapMs: render.settings.gap_ms ?? SERVER_GAP_MS, cast, lines, render: null }, render.id);
}

/** A render in a list, in a row. */
export function renderLine({ lines, state, created_at: at }, now = Date.now()) {
  const made = new Date(at);
  const isToday = made.toDateString() === new Date(now).toDateString();
  const when = isToday ? made.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) : made.toLocaleDateString([], { day: 'numeric', month: 'short', year: 'numeric' });
  return `${lines} ${lines === 1 ? 'line' : 'lines'} · ${RENDER_STATES[state] ?? state} · ${when}`;
}

/** What is told of the whole: counts, and words for a person. perMs: how many lines are made in a millisecond, or null. */
export function progressOf(play, made, progress, perMs = null) {
  const isCancelled = progress?.state === 'cancelled';
  const states = play.lines.filter(hasWords).map((line) => lineState(play, line, made, isCancelled));
  const count = (...names) => states.filter((state) => names.includes(state)).length;
  const total = states.length;
  const ready = count('ready');
  const isRunning = progress?.state === 'rendering' && count('queued', 'making') > 0;
  const words = [];
  if (play.render) words.push(`${ready} of ${total} ${total === 1 ? 'line' : 'lines'} ready`);
  else if (total) words.push(`${total} ${total === 1 ? 'line' : 'lines'}, not rendered yet`);
  if (isRunning && perMs) words.push(`about ${secondsWords(count('queued', 'making') / perMs)} left`);
  if (isRunning && WAITING[progress.waiting]) words.push(WAITING[progress.waiting]);
  if (isCancelled && ready < total) words.push('cancelled');
  for (const [name, word] of [['failed', 'failed'], ['changed', 'changed'], ['draft', 'new']]) {
    if (play.render && count(name)) words.push(`${count(name)} ${word}`);
  }
  return { total, ready, isRunning, toMake: count('draft', 'changed', 'failed', 'cancelled'), share: total ? ready / total : 0, words: words.join(', ') };
}

function secondsWords(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** [{key, startMs, lengthMs, isReady}] of every line with words, and how long all of it is. What is not made is guessed. */
export function timeline(play, made) {
  let at = 0;
  const places = play.lines.filter(hasWords).map(({ key, text, pauseMs }, number) => {
    const line = made.get(key);
    const isReady = line?.state === 'done' && line.duration_ms > 0;
    const lengthMs = isReady ? line.duration_ms : text.length * MS_PER_LETTER;
    const startMs = at + (pauseMs || (number === 0 ? 0 : play.gapMs));
    at = startMs + lengthMs;
    return { key, startMs, lengthMs, isReady };
  });
  return { places, totalMs: at };
}

export function clockWords(ms) {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const rest = String(seconds % 60).padStart(2, '0');
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${rest}`;
}

/** The name of a file that is taken along. */
export function fileName(title, ending) {
  return `${title.replace(/[^\p{L}\p{N} _-]/gu, '').trim().slice(0, 80) || 'script'}.${ending}`;
}
