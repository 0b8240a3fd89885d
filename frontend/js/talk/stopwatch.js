/**
 * How long each step took from a message to its first sound. Pure: takes times, gives rows for a person.
 */
const STEPS = [
  ['understood', 'Your words understood'], ['taken', 'Taken by the server'], ['token', 'First word of the reply'], ['sentence', 'First sentence queued'],
  ['audio', 'First audio received'], ['sound', 'First sound'],
];

export function newStopwatch(startMs) {
  return { startMs, marks: {} };
}

/** Only the first time counts. */
export function mark(stopwatch, step, nowMs) {
  if (!stopwatch || step in stopwatch.marks) return stopwatch;
  return { ...stopwatch, marks: { ...stopwatch.marks, [step]: nowMs - stopwatch.startMs } };
}

/** Milliseconds to the first sound, or null. */
export function firstSoundMs(stopwatch) {
  return stopwatch?.marks.sound ?? null;
}

/** [[what, milliseconds since the start]], steps that were not seen left out. */
export function stopwatchRows(stopwatch) {
  const marks = stopwatch?.marks ?? {};
  return STEPS.filter(([step]) => step in marks).map(([step, words]) => [words, Math.round(marks[step])]);
}
