/**
 * Sound of one sample rate turned into another, block after block: a windowed sinc from a table. For browsers whose
 * microphone cannot be had at 24 kHz. Pure; knows nothing of worklets or of the page.
 */
const HALF_TAPS = 16;
const PHASES = 128;

/** The state between two blocks. Rates in Hz. */
export function newResampler(fromHz, toHz) {
  const cutoff = Math.min(1, toHz / fromHz);
  return { step: fromHz / toHz, position: 0, table: makeTable(), reach: Math.ceil(HALF_TAPS / cutoff), cutoff, tail: new Float32Array(0) };
}

/** The samples that a block (Float32Array) makes possible; what is needed for the next ones is kept in the resampler. */
export function resample(resampler, block) {
  const { step, reach, cutoff, table } = resampler;
  const input = new Float32Array(resampler.tail.length + block.length);
  input.set(resampler.tail);
  input.set(block, resampler.tail.length);
  const output = [];
  let { position } = resampler;
  for (; position + reach + 1 < input.length; position += step) output.push(valueAt(input, position, reach, cutoff, table));
  const used = Math.max(0, Math.floor(position) - reach);
  resampler.tail = input.slice(used);
  resampler.position = position - used;
  return Float32Array.from(output);
}

function valueAt(input, position, reach, cutoff, table) {
  const centre = Math.floor(position);
  let sum = 0;
  for (let index = Math.max(0, centre - reach); index <= centre + reach; index += 1) {
    sum += input[index] * tableAt(table, Math.abs(position - index) * cutoff);
  }
  return sum * cutoff;
}

function tableAt(table, distance) {
  if (distance >= HALF_TAPS) return 0;
  const place = distance * PHASES;
  const before = Math.floor(place);
  return table[before] + (table[before + 1] - table[before]) * (place - before);
}

function makeTable() {
  return Float32Array.from({ length: HALF_TAPS * PHASES + 2 }, (_, index) => sincAt(index / PHASES));
}

/** Windowed by Hann. */
function sincAt(distance) {
  if (distance === 0) return 1;
  if (distance >= HALF_TAPS) return 0;
  const angle = Math.PI * distance;
  return (Math.sin(angle) / angle) * (0.5 + 0.5 * Math.cos(angle / HALF_TAPS));
}
