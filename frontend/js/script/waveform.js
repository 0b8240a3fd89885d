/**
 * The outline of the whole script on a canvas: what was heard, what is to come, and dots where nothing is made yet.
 * Knows nothing of where it comes from. Peaks are pairs, least and greatest, -128 to 127.
 */
const BAR_PX = 3;
const DOT_PX = 1.5;

let canvas = null;
let drawn = null;

/** A canvas cannot read style sheets by itself; of a theme's colours only real properties are resolved. */
function colours() {
  const style = getComputedStyle(canvas);
  return { heard: style.color, rest: style.textDecorationColor, edge: style.columnRuleColor };
}

export function useCanvas(element) {
  canvas = element;
  new ResizeObserver(redraw).observe(canvas);
}

/** places: as timeline gives them, with peaks. atMs: where the ear is, or null. */
export function drawWaveform(places, totalMs, atMs) {
  drawn = { places, totalMs, atMs };
  redraw();
}

function redraw() {
  if (!canvas || !drawn) return;
  const ratio = globalThis.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const palette = colours();
  const { places, totalMs, atMs } = drawn;
  for (let x = 0; x < width; x += BAR_PX) {
    const ms = ((x + BAR_PX / 2) / width) * totalMs;
    const place = places.find(({ startMs, lengthMs }) => ms >= startMs && ms < startMs + lengthMs);
    pen.fillStyle = atMs !== null && ms <= atMs ? palette.heard : palette.rest;
    if (place?.peaks?.length) drawBar(pen, x, height, loudness(place, ms, totalMs / width * BAR_PX));
    else if (place) pen.fillRect(x, height / 2 - DOT_PX / 2, DOT_PX, DOT_PX);
  }
  pen.fillStyle = palette.edge;
  places.slice(1).forEach(({ startMs }) => pen.fillRect((startMs / totalMs) * width - 1, 0, 1, height));
  if (atMs !== null) {
    pen.fillStyle = palette.heard;
    pen.fillRect((atMs / totalMs) * width - 1, 0, 2, height);
  }
}

function drawBar(pen, x, height, share) {
  const tall = Math.max(2, share * (height - 4));
  pen.fillRect(x, (height - tall) / 2, BAR_PX - 1, tall);
}

/** 0 to 1, over as many pairs as fall into one bar. */
function loudness({ peaks, startMs, lengthMs }, ms, spanMs) {
  const pairs = peaks.length / 2;
  const first = Math.floor(((ms - startMs) / lengthMs) * pairs);
  const last = Math.min(pairs - 1, first + Math.max(0, Math.floor((spanMs / lengthMs) * pairs)));
  let most = 0;
  for (let pair = first; pair <= last; pair += 1) most = Math.max(most, Math.abs(peaks[2 * pair] ?? 0), Math.abs(peaks[2 * pair + 1] ?? 0));
  return most / 128;
}
