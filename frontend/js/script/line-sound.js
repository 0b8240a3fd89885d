/**
 * Plays the lines of a render one after the other, from any place in them. News travels up as DOM events: sound_moved
 * {key, ms}, sound_ended, sound_failed {message}. Knows nothing of the page or of how a line is made.
 */
import { fetchFromServer } from '../wire/access.js';
import { isSounding, unlockAudio } from '../sound/audio-player.js';
import { playExtra } from '../sound/outlet.js';
import { SAMPLE_RATE } from '../sound/pcm.js';

const SOUND_PATIENCE_MS = 1500;
const MOST_KEPT = 60;

const kept = new Map();
let run = null;

export function playingKey() {
  return run?.key ?? null;
}

/** queue: [{key, path, pauseMs}], the first from offsetMs on. Call inside a click: sound begins in it. */
export async function playLines(queue, offsetMs = 0) {
  stopLines();
  unlockAudio();
  const mine = { key: queue[0]?.key ?? null, sound: null, timer: 0, frame: 0, startMs: offsetMs };
  run = mine;
  await untilSounding();
  for (const [number, { key, path, pauseMs }] of queue.entries()) {
    const samples = await samplesOf(path);
    if (run !== mine) return;
    if (!samples) {
      stopLines();
      announce('sound_failed', { message: 'The sound of this line cannot be had. Is the server there?' });
      return;
    }
    if (number > 0) await pause(mine, pauseMs);
    if (run !== mine) return;
    mine.key = key;
    mine.startMs = number === 0 ? offsetMs : 0;
    await sound(mine, samples.subarray(Math.round((mine.startMs * SAMPLE_RATE) / 1000)));
    if (run !== mine) return;
  }
  stopLines();
}

async function untilSounding() {
  const deadline = performance.now() + SOUND_PATIENCE_MS;
  while (!isSounding() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
}

function pause(mine, ms) {
  return new Promise((resolve) => { mine.timer = setTimeout(resolve, ms); });
}

function sound(mine, samples) {
  return new Promise((resolve) => {
    mine.sound = playExtra(samples, resolve);
    if (!mine.sound) {
      announce('sound_failed', { message: 'Your browser keeps the sound off until you touch the page.' });
      resolve();
    }
    move();
  });
}

function move() {
  if (!run) return;
  cancelAnimationFrame(run.frame);
  announce('sound_moved', { key: run.key, ms: run.startMs + (run.sound?.positionMs() ?? 0) });
  run.frame = requestAnimationFrame(move);
}

/** path names the very sound: another text has another one. */
async function samplesOf(path) {
  if (kept.has(path)) return kept.get(path);
  try {
    const answer = await fetchFromServer(path);
    if (!answer.ok) return null;
    const samples = new Int16Array(await answer.arrayBuffer());
    kept.set(path, samples);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    return samples;
  } catch {
    return null;
  }
}

export function stopLines() {
  if (!run) return;
  run.sound?.stop();
  clearTimeout(run.timer);
  cancelAnimationFrame(run.frame);
  run = null;
  announce('sound_ended', {});
}

function announce(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}
