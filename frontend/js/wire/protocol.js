/**
 * The wire as the page sees it: messages checked, audio frames unpacked, order judged.
 * Knows nothing of sockets, sound or the page.
 */
export const SUBPROTOCOL = 'cueline.v1';
export const HEADER_BYTES = 16;
const HEADER_VERSION = 1;
const FLAG_LAST = 1;
const FLAG_FAILED = 2;
const MIC_HEADER_BYTES = 8;
const MIC_SILENT = 1 << 8;
const MIC_FIRST = 1 << 9;
const MIC_LAST = 1 << 10;
const MIC_SPEAKER = 1 << 11;
const MIC_SPEAKER_ENERGY = 16;

/** What any message may carry: when it was said, in milliseconds since 1970. */
const COMMON_FIELDS = { at: 'time?' };

/** What the settings call a way of taking turns, and what the server does. */
const TURN_TAKING = { automatic: 'automatic', barge: 'barge_in', push: 'push_to_talk' };

/** What must be there in each message from the server; a trailing ? marks what may be missing. */
const SERVER_MESSAGES = {
  session: { session_id: 'string', resumed: 'boolean?', limits: 'object?', cast: 'object?', settings: 'object?', is_guest: 'boolean?' },
  status: { status: 'string' },
  partial_transcript: { content: 'string', stable: 'string?' },
  final_transcript: { content: 'string', turn: 'count?', source: 'string?', id: 'string?' },
  turn: { turn: 'count', state: 'string', reason: 'string?' },
  llm_status: { turn: 'count?' },
  llm_response: { turn: 'count', content: 'string', is_complete: 'boolean?', character: 'string?' },
  sentence: {
    turn: 'count', sentence: 'count', state: 'string', text: 'string?', character: 'string?', attempt: 'count?', duration_ms: 'number?',
    restart_ms: 'number?', queue_ms: 'number?', first_audio_ms: 'number?', worker: 'string?', cached: 'boolean?',
  },
  tts_start: { turn: 'count' },
  tts_end: { turn: 'count' },
  tts_stop: { turn: 'count?' },
  barge_in: { state: 'string' },
  stop_acknowledged: {},
  interrupt_acknowledged: { turn: 'count?', heard: 'object?' },
  gap: { what: 'string', message: 'string', turn: 'count?', sentence: 'count?', part: 'count?' },
  error: { code: 'string', message: 'string', turn: 'count?', sentence: 'count?', retry_after_s: 'number?' },
  saving: { state: 'string' },
  cast: { members: 'list', order: 'string', answers: 'count' },
  settings: { model: 'string?', voice: 'string?', speed: 'number?' },
  pong: { t: 'number?' },
};

const CHECKS = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  number: (value) => typeof value === 'number' && Number.isFinite(value),
  count: (value) => Number.isSafeInteger(value) && value >= 0,
  time: (value) => typeof value === 'number' && !Number.isNaN(new Date(value).getTime()),
  object: (value) => typeof value === 'object' && !Array.isArray(value),
  list: Array.isArray,
};

/** One text frame to {message} or {problem}; never throws. */
export function parseMessage(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return { problem: 'broken_json' };
  }
  if (message === null || !CHECKS.object(message)) return { problem: 'not_an_object' };
  if (!Object.hasOwn(SERVER_MESSAGES, message.type)) return { problem: 'unknown_type' };
  const fields = Object.entries({ ...COMMON_FIELDS, ...SERVER_MESSAGES[message.type] });
  return fields.every(([name, kind]) => isField(message[name], kind)) ? { message } : { problem: 'bad_field' };
}

function isField(value, kind) {
  const isOptional = kind.endsWith('?');
  if (value === undefined || value === null) return isOptional;
  return CHECKS[isOptional ? kind.slice(0, -1) : kind](value);
}

/** One binary frame to its numbers and samples (s16le mono, no copy), or null when it is none of ours. */
export function unpackFrame(buffer) {
  if (buffer.byteLength < HEADER_BYTES || (buffer.byteLength - HEADER_BYTES) % 2 !== 0) return null;
  const header = new DataView(buffer, 0, HEADER_BYTES);
  if (header.getUint8(15) !== HEADER_VERSION) return null;
  const flags = header.getUint8(14);
  return {
    turn: header.getUint32(0, true),
    sentence: header.getUint32(4, true),
    part: header.getUint32(8, true),
    attempt: header.getUint16(12, true),
    isLast: (flags & FLAG_LAST) !== 0,
    isFailed: (flags & FLAG_FAILED) !== 0,
    samples: new Int16Array(buffer, HEADER_BYTES),
  };
}

/**
 * Where a frame stands after the last one: next, hole (something is missing before it), duplicate or old (an earlier turn).
 * A hole is played all the same: order is the server's promise, and silence helps nobody.
 */
export function judgeFrame(last, frame) {
  if (!last || frame.turn > last.turn) return frame.sentence === 0 && frame.part === 0 ? 'next' : 'hole';
  if (frame.turn < last.turn) return 'old';
  if (frame.sentence === last.sentence) {
    if (frame.part <= last.part) return 'duplicate';
    return frame.part === last.part + 1 && !last.isLast ? 'next' : 'hole';
  }
  if (frame.sentence < last.sentence) return 'duplicate';
  return last.isLast && frame.sentence === last.sentence + 1 && frame.part === 0 ? 'next' : 'hole';
}

/** The later of two event ids such as "17-0"; either may be missing. */
export function laterEvent(a, b) {
  if (!a || !b) return a || b || null;
  const [aFirst, aSecond] = eventToNumbers(a);
  const [bFirst, bSecond] = eventToNumbers(b);
  return bFirst > aFirst || (bFirst === aFirst && bSecond > aSecond) ? b : a;
}

function eventToNumbers(event) {
  const [first, second] = String(event).split('-').map(Number);
  return [first || 0, second || 0];
}

/** Not randomUUID: a page without https has none. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join('');
}

/** character: who shall answer, or empty for whoever did before. */
export function chatMessage(text, id, character = '') {
  return { type: 'chat', text, id, ...(character && { character }) };
}

/** Who takes part: {characters, muted, order, answers}. */
export function castMessage({ characters, muted, order, answers }) {
  return { type: 'cast', characters, muted, order, answers };
}

/** What of this session alone is set: any of {model, voice, speed}. */
export function settingsMessage(changes) {
  return { type: 'settings', ...changes };
}

/** turnTaking: as the settings name it. language: two or three letters, or empty for whatever is heard. */
export function startMessage({ character = '', sampleRate, turnTaking, language = '' }) {
  return { type: 'start', sample_rate: sampleRate, turn_taking: TURN_TAKING[turnTaking], ...(character && { character }), ...(language && { language }) };
}

export function stopMessage() {
  return { type: 'stop' };
}

/**
 * One frame of the microphone: 8 bytes of header and the samples as s16le. energy: 0 to 255, and so is speakerEnergy, for
 * the loudspeaker beside it. A frame may have no samples: it is the one that says that the button was let go.
 */
export function packMicFrame({ ms, energy = 0, isSilent = false, isFirst = false, isLast = false, isSpeakerOn = false, speakerEnergy = 0 }, samples) {
  const buffer = new ArrayBuffer(MIC_HEADER_BYTES + samples.length * 2);
  const view = new DataView(buffer);
  view.setUint32(0, ms % 2 ** 32, true);
  const flags = (isSilent && MIC_SILENT) | (isFirst && MIC_FIRST) | (isLast && MIC_LAST) | (isSpeakerOn && MIC_SPEAKER);
  view.setUint32(4, energy | flags | (speakerEnergy << MIC_SPEAKER_ENERGY), true);
  samples.forEach((sample, index) => view.setInt16(MIC_HEADER_BYTES + index * 2, sample, true));
  return buffer;
}

/** heard: {sentence, ms} or null; turn null means whichever turn runs. */
export function interruptMessage(turn, heard) {
  return { type: 'interrupt', ...(turn !== null && { turn }), ...(heard && { heard }) };
}

/**
 * The last frame and the last event this page has. An awaited turn of which no frame has come is named alone: all of
 * its sound is wanted. Without either no old sound comes back.
 */
export function resumeMessage(frame, event, awaitedTurn = null) {
  const isUnheard = awaitedTurn !== null && !(frame?.turn >= awaitedTurn);
  const turn = isUnheard ? { turn: awaitedTurn } : null;
  const place = turn ?? (frame && { turn: frame.turn, sentence: frame.sentence, part: frame.part });
  return { type: 'resume', ...place, event: event || '0-0' };
}

export function playedMessage(turn, sentence, ms) {
  return { type: 'played', turn, sentence, ms: Math.round(ms) };
}
