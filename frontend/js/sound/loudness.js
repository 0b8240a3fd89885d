/**
 * How loud a sound is, in the terms of the wire. Pure: takes levels, gives numbers.
 */
const FLOOR_DB = -60;
const SILENT_DB = -55;
/** A frame of 20 ms; the peak is halved in three seconds. */
const PEAK_FADES = 0.9954;
const VOICED_SHARE = 0.15;

export function rmsToDb(rms) {
  return rms > 0 ? 20 * Math.log10(rms) : -Infinity;
}

/** 0 (-60 dBFS and less) to 255 (full scale). */
export function energyOf(rms) {
  return Math.round(255 * Math.min(1, Math.max(0, 1 - rmsToDb(rms) / FLOOR_DB)));
}

export function newVoice() {
  return { peak: 0, atMs: null };
}

/** When a voice was heard last: {peak, atMs}. Beside the voice before it, a room that is not quiet is none. */
export function followVoice({ peak, atMs }, rms, nowMs) {
  const faded = Math.max(rms, peak * PEAK_FADES);
  return { peak: faded, atMs: !isSilent(rms) && rms > faded * VOICED_SHARE ? nowMs : atMs };
}

export function isSilent(rms) {
  return rmsToDb(rms) < SILENT_DB;
}
