/**
 * The playout buffer: plays s16 chunks one after another, sample for sample, and tells what was heard.
 * Knows nothing of sockets, text or the page. One player to an audio context, so its state is this module's.
 *
 * In:  chunk {turn, sentence, part, isLast, isFailed, samples} · end {turn} (no more chunks of it)
 *      stop {turn} (fade out, forget that turn and all before) · prebuffer {samples, isHolding} · reset
 *      pause {isPaused} (nothing sounds, nothing is lost: it goes on at the next sample)
 * Out: sentence_started · position · sentence_ended {samples} · drained {underruns, pauses} · underrun
 *      position and sentence_ended name the last part played to its end, and the samples up to there
 *      stopped {sentence, samples heard; sentence null if none; isPaused}
 */
import { int16ToFloat } from '../sound/pcm.js';

const FADE_OUT = 240;
const FADE_IN = 120;
const TAIL_FACTOR = 0.96;
const TAIL_FLOOR = 1e-4;
const POSITION_EVERY = 2400;

let post = () => {};
let queue = [];
let offset = 0;
let bufferedSamples = 0;
let wholeSentences = 0;
let ends = 0;
let mode = 'waiting';
let prebuffer = 4800;
let isHolding = false;
let isPaused = false;
let cancelledTurn = -1;
let stoppingTurn = -1;
let fadeOutLeft = 0;
let fadeInLeft = 0;
let lastValue = 0;
let heard = null;
let underruns = 0;
let pauses = 0;
let hasGap = false;
let untilPosition = POSITION_EVERY;
let level = 0;

const handlers = { chunk: addChunk, end: addEnd, stop: startStop, prebuffer: setPrebuffer, pause: setPaused, reset: forgetAll };

function onMessage(event) {
  handlers[event.data.type]?.(event.data);
}

function setPrebuffer(message) {
  prebuffer = message.samples;
  isHolding = message.isHolding;
}

/** The sample after the last one that sounded is the first one that sounds again. A fade that has begun goes on. */
function setPaused(message) {
  if (message.isPaused === isPaused) return;
  isPaused = message.isPaused;
  if (isPaused && heard?.isOpen) tellPosition();
  if (!isPaused && mode === 'playing') fadeInLeft = FADE_IN;
}

function addChunk(chunk) {
  if (chunk.turn <= cancelledTurn) return;
  enqueue(chunk);
}

/** The end of a turn stands in the queue like a chunk, so that the next turn may already wait behind it. */
function addEnd({ turn }) {
  if (turn <= cancelledTurn) return;
  enqueue({ turn, isEnd: true, samples: [] });
}

function enqueue(entry) {
  queue.push(entry);
  count(entry, 1);
}

function dequeue() {
  count(queue.shift(), -1);
  offset = 0;
}

function count(entry, sign) {
  bufferedSamples += sign * entry.samples.length;
  if (entry.isLast) wholeSentences += sign;
  if (entry.isEnd) ends += sign;
}

function startStop({ turn }) {
  cancelledTurn = Math.max(cancelledTurn, turn);
  stoppingTurn = Math.max(stoppingTurn, turn);
  if (mode === 'stopping') return;
  if (mode === 'playing' && !isPaused && queue.length && queue[0].turn <= turn) {
    mode = 'stopping';
    fadeOutLeft = FADE_OUT;
  } else {
    finishStop();
  }
}

/** What was heard counts after the fade: these are the last samples that reached the ear. */
function finishStop() {
  const place = heard && heard.turn <= stoppingTurn ? heard : null;
  if (mode === 'stopping') mode = 'waiting';
  dropTurns(stoppingTurn);
  post({ type: 'stopped', turn: stoppingTurn, sentence: place ? place.sentence : null, samples: place ? place.samples : 0, isPaused });
  isPaused = false;
  if (place) forgetHeard();
}

/** The next turn begins with nothing heard and nothing gone wrong. */
function forgetHeard() {
  heard = null;
  underruns = pauses = 0;
}

function dropTurns(turn) {
  if (queue.length && queue[0].turn <= turn) {
    offset = 0;
    mode = 'waiting';
    hasGap = false;
  }
  const kept = queue.filter((entry) => entry.turn > turn);
  queue = [];
  bufferedSamples = wholeSentences = ends = 0;
  kept.forEach(enqueue);
}

function forgetAll() {
  dropTurns(Infinity);
  cancelledTurn = stoppingTurn = -1;
  forgetHeard();
  isPaused = false;
  mode = 'waiting';
}

/** Fill one quantum. */
function render(out) {
  let index = 0;
  while (index < out.length) {
    if (isPaused && mode !== 'stopping') {
      decay(out, index);
      return;
    }
    if (mode === 'waiting') startPlaying();
    if (mode === 'waiting') {
      decay(out, index);
      return;
    }
    if (queue.length === 0) runDry();
    else if (queue[0].isEnd) endTurn();
    else index = playChunk(out, index);
  }
}

/** Enough in hand, a whole sentence (short ones must not wait for the next), or nothing more to come. */
function startPlaying() {
  const hasEnough = !isHolding && bufferedSamples > 0 && bufferedSamples - offset >= prebuffer;
  if (!hasEnough && wholeSentences === 0 && ends === 0) return;
  mode = 'playing';
  fadeInLeft = hasGap && !queue[0].isEnd ? FADE_IN : 0;
  hasGap = false;
}

function playChunk(out, from) {
  const chunk = queue[0];
  enterSentence(chunk);
  const length = Math.min(out.length - from, chunk.samples.length - offset, mode === 'stopping' ? fadeOutLeft : Infinity);
  for (let step = 0; step < length; step += 1) {
    lastValue = int16ToFloat(chunk.samples[offset + step]) * gain();
    level = Math.max(level, Math.abs(lastValue));
    out[from + step] = lastValue;
  }
  offset += length;
  heard.samples += length;
  reportPosition(length);
  if (offset >= chunk.samples.length) finishChunk(chunk);
  if (mode === 'stopping' && fadeOutLeft <= 0) finishStop();
  return from + length;
}

function gain() {
  let factor = 1;
  if (fadeInLeft > 0) factor = 1 - fadeInLeft-- / (FADE_IN + 1);
  if (mode === 'stopping') factor *= --fadeOutLeft / FADE_OUT;
  return factor;
}

/** A sentence whose last part never came ends where the next one begins. */
function enterSentence(chunk) {
  if (heard && heard.turn === chunk.turn && heard.sentence === chunk.sentence) return;
  leaveSentence(false);
  heard = { turn: chunk.turn, sentence: chunk.sentence, samples: 0, part: null, partSamples: 0, isOpen: true };
  if (chunk.samples.length) post({ type: 'sentence_started', turn: chunk.turn, sentence: chunk.sentence });
  untilPosition = POSITION_EVERY;
}

function finishChunk(chunk) {
  dequeue();
  heard.part = chunk.part;
  heard.partSamples = heard.samples;
  if (chunk.isLast) leaveSentence(chunk.isFailed);
}

function leaveSentence(isFailed) {
  if (!heard?.isOpen) return;
  heard.isOpen = false;
  const { turn, sentence, samples, part, partSamples } = heard;
  post({ type: 'sentence_ended', turn, sentence, samples, part, partSamples, isFailed: Boolean(isFailed) });
}

function reportPosition(length) {
  untilPosition -= length;
  if (untilPosition > 0) return;
  untilPosition += POSITION_EVERY;
  tellPosition();
}

function tellPosition() {
  const { turn, sentence, samples, part, partSamples } = heard;
  post({ type: 'position', turn, sentence, samples, part, partSamples, buffered: bufferedSamples - offset, level, isPaused });
  level = 0;
}

/** Nothing left although the turn goes on: inside a sentence an underrun, between two only a pause. */
function runDry() {
  if (mode === 'stopping') {
    finishStop();
    return;
  }
  mode = 'waiting';
  if (!heard?.isOpen) {
    pauses += 1;
    lastValue = 0;
    return;
  }
  hasGap = true;
  underruns += 1;
  post({ type: 'underrun', turn: heard.turn, sentence: heard.sentence });
}

function endTurn() {
  if (mode === 'stopping') {
    finishStop();
    return;
  }
  const { turn } = queue[0];
  dequeue();
  leaveSentence(false);
  post({ type: 'drained', turn, underruns, pauses });
  forgetHeard();
  lastValue = 0;
  mode = 'waiting';
}

/** Let the last value of a broken sentence die away instead of dropping it: a step would click. */
function decay(out, from) {
  for (let index = from; index < out.length; index += 1) {
    lastValue = Math.abs(lastValue) > TAIL_FLOOR ? lastValue * TAIL_FACTOR : 0;
    out[index] = lastValue;
  }
}

/** A processor without the class form: what registerProcessor asks for is only a constructor. */
function PlayerProcessor() {
  const processor = Reflect.construct(AudioWorkletProcessor, [], new.target);
  processor.port.onmessage = onMessage;
  post = (message) => processor.port.postMessage(message);
  return processor;
}

Object.setPrototypeOf(PlayerProcessor, AudioWorkletProcessor);
Object.setPrototypeOf(PlayerProcessor.prototype, AudioWorkletProcessor.prototype);
PlayerProcessor.prototype.process = function process(inputs, outputs) {
  render(outputs[0][0]);
  return true;
};

registerProcessor('player', PlayerProcessor);
