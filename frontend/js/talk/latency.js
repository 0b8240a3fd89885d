/**
 * The stopwatch of the message that was given last, and its place on the page. Knows nothing of who gives it.
 */
import { firstSoundMs, mark, newStopwatch, stopwatchRows } from './stopwatch.js';
import { renderLatencyDetails } from '../page/now.js';

let stopwatch = null;
let targetMs = 0;
let underruns = 0;

/** sinceMs: when the person had said it, on the clock of the page. */
export function restartStopwatch(sinceMs = performance.now()) {
  stopwatch = newStopwatch(sinceMs);
  underruns = 0;
  render();
}

/** Only the first time of each step counts. The first sound stops the watch; gives its time, or null. */
export function markStep(step) {
  const before = stopwatch;
  stopwatch = mark(stopwatch, step, performance.now());
  if (stopwatch === before || before?.marks.sound) return null;
  render();
  return step === 'sound' ? firstSoundMs(stopwatch) : null;
}

export function notePace(prebufferMs) {
  targetMs = prebufferMs;
  render();
}

export function noteUnderruns(count) {
  underruns = count;
  render();
}

function render() {
  const rows = stopwatchRows(stopwatch).map(([words, ms]) => [words, `${ms} ms`]);
  renderLatencyDetails(firstSoundMs(stopwatch), [...rows, ['Sound kept in hand', `${Math.round(targetMs)} ms`], ['Underruns', `${underruns}`]], underruns);
}
