/**
 * How loud a sound is, in the terms of the wire. Pure: takes levels, gives numbers.
 */
const FLOOR_DB = -60;
const SILENT_DB = -55;

export function rmsToDb(rms) {
  return rms > 0 ? 20 * Math.log10(rms) : -Infinity;
}

/** 0 (-60 dBFS and less) to 255 (full scale). */
export function energyOf(rms) {
  return Math.round(255 * Math.min(1, Math.max(0, 1 - rmsToDb(rms) / FLOOR_DB)));
}

export function isSilent(rms) {
  return rmsToDb(rms) < SILENT_DB;
}
