/**
 * How far each line and the whole script is, drawn once a frame. Knows nothing of what changes it.
 */
import { wishColour } from './cast-box.js';
import { rows } from './editing.js';
import { heardPlace } from './hearing.js';
import { paintLine } from './line-row.js';
import { playingKey } from './line-sound.js';
import { canPatch, clockWords, hasWords, lineState, progressOf, timeline } from './play.js';
import { made, play, progress } from './state.js';
import { drawWaveform, useCanvas } from './waveform.js';

const find = (id) => document.getElementById(id);
const renderButton = find('render-all');
const renderWord = find('render-word');
const cancelButton = find('render-cancel');
const downloadButton = find('download-button');
const example = find('example');
const playAll = find('play-all');
const playAllIcon = find('play-all-icon');
const playAllWord = find('play-all-word');
const bar = find('script-bar');
const words = find('script-words');
const wave = find('waveform');
const clock = find('script-clock');

let isAsking = false;
let startedAt = 0;
let doneAtStart = 0;
let paintRequest = 0;

/** A question is on its way: what would ask it again rests. */
export function setAsking(isOn) {
  isAsking = isOn;
  schedulePaint();
}

/** From now on the pace is measured. */
export function restartPace(done) {
  startedAt = performance.now();
  doneAtStart = done;
}

/** However much is told, the page is painted once a frame. */
function schedulePaint() {
  if (!paintRequest) paintRequest = requestAnimationFrame(paint);
}

function paint() {
  paintRequest = 0;
  const isCancelled = progress?.state === 'cancelled';
  play.lines.forEach((line, place) => {
    const told = made.get(line.key);
    const state = playingKey() === line.key ? 'playing' : lineState(play, line, made, isCancelled);
    paintLine(rows.get(line.key), {
      number: place + 1, state, note: noteOf(state, told, line), canPlay: told?.state === 'done' && told.duration_ms > 0, canMake: hasWords(line) && !isAsking,
    });
    rows.get(line.key).item.style.setProperty('--who', wishColour(play.cast[line.speaker.trim()]) || 'var(--muted)');
  });
  paintProgress();
  paintWave();
}

function noteOf(state, told, line) {
  if (state === 'failed') return told?.message ?? 'It could not be spoken.';
  if (state === 'changed' && told?.state === 'done') return 'old sound';
  if (!told?.duration_ms || !['ready', 'playing'].includes(state)) return line.text.length > 400 && state === 'draft' ? 'long' : '';
  return `${(told.duration_ms / 1000).toFixed(1)} s${told.cached ? ' · from the cache' : ''}`;
}

function paintProgress() {
  const shown = progressOf(play, made, progress, pace());
  bar.value = shown.share;
  words.textContent = shown.words;
  renderWord.textContent = !play.render || shown.ready === 0 ? 'Render all' : shown.toMake ? `Render ${shown.toMake}` : canPatch(play) ? 'All rendered' : 'Render again';
  renderButton.disabled = isAsking || shown.total === 0 || shown.isRunning || (shown.toMake === 0 && canPatch(play));
  cancelButton.disabled = !shown.isRunning;
  downloadButton.disabled = shown.ready === 0;
  example.hidden = shown.total > 0;
  playAll.disabled = shown.ready === 0;
  playAllIcon.setAttribute('href', playingKey() ? '#icon-stop' : '#icon-playing');
  playAllWord.textContent = playingKey() ? 'Stop' : 'Play';
  document.body.dataset.render = shown.isRunning ? 'running' : progress?.state ?? 'none';
}

/** Lines in a millisecond, or null as long as nobody can know. */
function pace() {
  const lines = (progress?.done ?? 0) - doneAtStart;
  const ms = performance.now() - startedAt;
  return lines > 0 && ms > 500 ? lines / ms : null;
}

function paintWave() {
  const { places, totalMs } = timeline(play, made);
  const shown = places.map((place) => ({ ...place, peaks: place.isReady ? made.get(place.key)?.peaks : null }));
  const heardMs = heardPlace(places);
  drawWaveform(shown, Math.max(1, totalMs), heardMs);
  clock.textContent = `${clockWords(heardMs ?? 0)} / ${clockWords(totalMs)}`;
  wave.setAttribute('aria-valuemax', Math.round(totalMs / 1000));
  wave.setAttribute('aria-valuenow', Math.round((heardMs ?? 0) / 1000));
  wave.setAttribute('aria-valuetext', `${Math.round((heardMs ?? 0) / 1000)} of ${Math.round(totalMs / 1000)} seconds`);
}

useCanvas(wave);
document.addEventListener('script_changed', schedulePaint);
document.addEventListener('sound_moved', schedulePaint);
document.addEventListener('sound_ended', schedulePaint);
