/**
 * The script is heard: from any line, from any place of the outline. Knows nothing of how it is drawn.
 */
import { showToast } from '../page/notices.js';
import { rows } from './editing.js';
import { playLines, playingKey, stopLines } from './line-sound.js';
import { pathOfRender } from './order-desk.js';
import { timeline } from './play.js';
import { made, play } from './state.js';

const STEP_MS = 5000;

const wave = document.getElementById('waveform');

let at = null;

/** Milliseconds from the start of the script, or null when nothing sounds. places: as timeline gives them. */
export function heardPlace(places) {
  return at && (places.find(({ key }) => key === at.key)?.startMs ?? 0) + at.ms;
}

/** From a line on, as far as there is sound. */
export function playFrom(key, offsetMs = 0) {
  if (playingKey() === key && offsetMs === 0) {
    stopLines();
    return;
  }
  const from = play.render.order.indexOf(key);
  const queue = [];
  for (const other of play.render.order.slice(from)) {
    const told = made.get(other);
    if (told?.state !== 'done') break;
    const line = play.lines.find((one) => one.key === other);
    if (line && told.duration_ms > 0) queue.push({ key: other, path: soundPath(other, told), pauseMs: line.pauseMs || play.gapMs });
  }
  if (queue.length) playLines(queue, offsetMs);
}

function soundPath(key, { sha256 = '' }) {
  return `${pathOfRender(play.render.id)}/lines/${play.render.order.indexOf(key)}/audio?format=pcm&sound=${encodeURIComponent(sha256)}`;
}

function onPlayAll() {
  if (playingKey()) {
    stopLines();
    return;
  }
  const first = play.render.order.find((key) => made.get(key)?.state === 'done');
  if (first) playFrom(first);
}

function onMoved({ detail }) {
  const isOther = at?.key !== detail.key;
  at = detail;
  if (isOther) rows.get(detail.key)?.item.scrollIntoView({ block: 'nearest' });
}

function onEnded() {
  at = null;
}

function seekTo(ms) {
  const { places } = timeline(play, made);
  const place = places.find(({ startMs, lengthMs }) => ms < startMs + lengthMs) ?? places.at(-1);
  if (place?.isReady) playFrom(place.key, Math.max(1, ms - place.startMs));
}

function onWaveClick(event) {
  const { totalMs } = timeline(play, made);
  seekTo((event.offsetX / wave.clientWidth) * totalMs);
}

function onWaveKey(event) {
  const step = { ArrowLeft: -STEP_MS, ArrowRight: STEP_MS, ArrowDown: -STEP_MS, ArrowUp: STEP_MS }[event.key];
  if (!step && event.key !== 'Home') return;
  event.preventDefault();
  const { places } = timeline(play, made);
  const heardMs = heardPlace(places) ?? 0;
  seekTo(event.key === 'Home' ? 0 : Math.max(0, heardMs + step));
}

document.getElementById('play-all').addEventListener('click', onPlayAll);
wave.addEventListener('click', onWaveClick);
wave.addEventListener('keydown', onWaveKey);
document.addEventListener('sound_moved', onMoved);
document.addEventListener('sound_ended', onEnded);
document.addEventListener('sound_failed', ({ detail }) => showToast(detail.message, { code: 'sound', isError: true }));
