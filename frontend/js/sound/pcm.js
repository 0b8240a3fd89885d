/**
 * Samples, milliseconds and the two number formats of sound. Knows nothing of sockets, worklets or the page.
 */
export const SAMPLE_RATE = 24000;
const FULL_SCALE = 32768;

/** Exact: every s16 value has its own float32. */
export function int16ToFloat(sample) {
  return sample / FULL_SCALE;
}

export function floatToInt16(value) {
  const scaled = Math.round(value * FULL_SCALE);
  return Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, scaled));
}

export function floatsToInt16s(floats) {
  return Int16Array.from(floats, floatToInt16);
}

export function samplesToMs(samples, rateHz = SAMPLE_RATE) {
  return (samples * 1000) / rateHz;
}

export function msToSamples(ms, rateHz = SAMPLE_RATE) {
  return Math.round((ms * rateHz) / 1000);
}
