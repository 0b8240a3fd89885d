/**
 * How much sound to have in hand before playing, learnt from how late chunks came. Pure: takes times, gives numbers.
 * Knows nothing of sockets or of the worklet that obeys it.
 */
const START_MS = 200;
const LEAST_MS = 120;
const MOST_MS = 800;
const MARGIN_MS = 80;
const REPLIES_REMEMBERED = 4;
const UNDERRUN_FACTOR = 1.5;
const SLOW_RATE = 1.05;
const LEAST_JUDGED_MS = 1000;

export function newPolicy() {
  return { targetMs: START_MS, latenessesMs: [], isHolding: false };
}

export function newReply() {
  return { sentence: null, firstMs: 0, audioMs: 0, latenessMs: 0, makingMs: 0, madeMs: 0, hasChunks: false };
}

/**
 * Note one chunk. Lateness counts inside a sentence only: a language model that pauses between
 * sentences must not make every later reply start late.
 */
export function observeChunk(reply, sentence, arrivedMs, durationMs) {
  if (sentence !== reply.sentence) {
    return { ...reply, sentence, firstMs: arrivedMs, lastMs: arrivedMs, audioMs: durationMs, hasChunks: true };
  }
  return {
    ...reply,
    lastMs: arrivedMs,
    audioMs: reply.audioMs + durationMs,
    latenessMs: Math.max(reply.latenessMs, arrivedMs - reply.firstMs - reply.audioMs),
    makingMs: reply.makingMs + arrivedMs - reply.lastMs,
    madeMs: reply.madeMs + durationMs,
  };
}

/** What the next reply should wait for, after this one. */
export function finishReply(policy, reply) {
  if (!reply.hasChunks) return policy;
  const latenessesMs = [...policy.latenessesMs, reply.latenessMs].slice(-REPLIES_REMEMBERED);
  return {
    targetMs: clampTarget(Math.max(...latenessesMs) + MARGIN_MS),
    latenessesMs,
    isHolding: reply.madeMs < LEAST_JUDGED_MS ? policy.isHolding : isSlow(reply),
  };
}

/** One gap inside a sentence: wait longer at once, without waiting for the end of the reply. */
export function noteUnderrun(policy) {
  return { ...policy, targetMs: clampTarget(policy.targetMs * UNDERRUN_FACTOR) };
}

function isSlow(reply) {
  return reply.makingMs > SLOW_RATE * reply.madeMs;
}

function clampTarget(ms) {
  return Math.min(MOST_MS, Math.max(LEAST_MS, ms));
}
