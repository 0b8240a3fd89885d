/**
 * Sound out: the audio context, the player worklet, and the order of frames. News travels up as DOM events:
 * audio_stream_start, audio_sentence_start, audio_sentence_end, audio_position, audio_underrun, audio_stream_stop,
 * audio_blocked, audio_dropped, audio_running, audio_pace {isHolding, targetMs}. Knows nothing of the socket, of text
 * or of what the page shows.
 */
import { judgeFrame } from '../wire/protocol.js';
import { msHeardBefore } from './heard-place.js';
import { closeOutlet, openOutlet, outletLatencyMs } from './outlet.js';
import { SAMPLE_RATE, floatsToInt16s, msToSamples, samplesToMs } from './pcm.js';
import { finishReply, newPolicy, newReply, noteUnderrun, observeChunk } from './jitter.js';

const MOST_HELD_FRAMES = 6000;
const STOP_PATIENCE_MS = 250;
const MOST_FAILED_STARTS = 5;

let context = null;
let mayStart = false;
let failedStarts = 0;
let playerNode = null;
let held = [];
let newest = null;
let cancelledTurn = -1;
let startedTurn = null;
let lastHeard = null;
const waitingForStop = [];
let policy = newPolicy();
let reply = newReply();

/** Counters for the curious and for tests. */
export const counts = { holes: 0, duplicates: 0, dropped: 0, underruns: 0 };

/** Call inside a click or a key press, before any await: browsers give sound to nobody else. */
export function unlockAudio() {
  if (!hasWorklets()) return;
  mayStart = true;
  if (!context) startContext();
  else if (context.state !== 'running') context.resume().catch(() => announce('audio_blocked'));
}

export function hasWorklets() {
  return typeof AudioWorkletNode !== 'undefined' && globalThis.isSecureContext;
}

export function isSounding() {
  return playerNode !== null && context.state === 'running';
}

function startContext() {
  context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: 'interactive' });
  context.onstatechange = onContextState;
  context.resume().catch(() => announce('audio_blocked'));
  buildGraph().catch(onFailedStart);
}

/** The line was down when a worklet was fetched. A context remembers that for good: the next start takes a new one. */
function onFailedStart() {
  failedStarts += 1;
  context.onstatechange = null;
  context.close();
  context = null;
  closeOutlet();
  announce('audio_blocked');
}

async function buildGraph() {
  await context.audioWorklet.addModule('js/worklets/player-worklet.js');
  const node = new AudioWorkletNode(context, 'player', { numberOfInputs: 0, outputChannelCount: [1] });
  node.port.onmessage = onWorkletMessage;
  const outlet = await openOutlet(context);
  node.connect(outlet);
  const last = wantsTap() ? outlet.connect(await buildTap()) : outlet;
  last.connect(context.destination);
  playerNode = node;
  failedStarts = 0;
  sendPrebuffer();
  held.splice(0).forEach(postToWorklet);
}

function wantsTap() {
  return new URLSearchParams(location.search).get('tap') === '1';
}

/** The test observer, see worklets/tap-worklet.js: every sample that was rendered, as s16. */
async function buildTap() {
  await context.audioWorklet.addModule('js/worklets/tap-worklet.js');
  const tap = new AudioWorkletNode(context, 'tap', { outputChannelCount: [1] });
  globalThis.cuelineTap = [];
  tap.port.onmessage = (event) => globalThis.cuelineTap.push(floatsToInt16s(event.data));
  return tap;
}

function onContextState() {
  if (context.state === 'running') announce('audio_running');
  else if (startedTurn !== null) announce('audio_blocked');
}

/** Take one frame; true when it will be heard (or is kept until the page may sound). */
export function playFrame(frame) {
  const verdict = judgeFrame(newest, frame);
  if (verdict === 'old' || verdict === 'duplicate') {
    counts[verdict === 'old' ? 'dropped' : 'duplicates'] += 1;
    return false;
  }
  if (verdict === 'hole') counts.holes += 1;
  if (frame.turn !== newest?.turn) reply = newReply();
  newest = { turn: frame.turn, sentence: frame.sentence, part: frame.part, isLast: frame.isLast };
  if (frame.turn <= cancelledTurn || !hasWorklets()) {
    counts.dropped += 1;
    return false;
  }
  reply = observeChunk(reply, frame.sentence, performance.now(), samplesToMs(frame.samples.length));
  const { turn, sentence, part, isLast, isFailed, samples } = frame;
  passOn({ type: 'chunk', turn, sentence, part, isLast, isFailed, samples });
  return true;
}

/** No more frames of this turn: play what there is to its end. */
export function endTurn(turn) {
  if (newest?.turn === turn) policy = finishReply(policy, reply);
  reply = newReply();
  passOn({ type: 'end', turn });
  sendPrebuffer();
}

/** Until the page may sound, the newest turn waits; an older one is nobody's wish any more. */
function passOn(entry) {
  if (playerNode) {
    postToWorklet(entry);
    return;
  }
  if (held.length && held[0].turn < entry.turn) announce('audio_dropped', { turn: held[0].turn });
  held = held.filter(({ turn }) => turn === entry.turn).slice(0, MOST_HELD_FRAMES);
  held.push(entry);
  if (entry.type !== 'chunk' || context) return;
  if (mayStart && failedStarts < MOST_FAILED_STARTS) startContext();
  else announce('audio_blocked');
}

function postToWorklet(entry) {
  playerNode.port.postMessage(entry, entry.samples ? [entry.samples.buffer] : []);
}

function sendPrebuffer() {
  announce('audio_pace', { isHolding: policy.isHolding, targetMs: policy.targetMs });
  playerNode?.port.postMessage({ type: 'prebuffer', samples: msToSamples(policy.targetMs), isHolding: policy.isHolding });
}

/** Fade out within 10 ms and forget the turn; gives {sentence, ms} last heard of it, or null. */
export function stopTurn(turn) {
  cancelledTurn = Math.max(cancelledTurn, turn);
  held = held.filter((entry) => entry.turn > turn);
  playerNode?.port.postMessage({ type: 'stop', turn });
  if (!isSounding()) return Promise.resolve(lastHeardOf(turn));
  return new Promise((resolve) => {
    waitingForStop.push(resolve);
    setTimeout(() => resolve(lastHeardOf(turn)), STOP_PATIENCE_MS);
  });
}

function lastHeardOf(turn) {
  return lastHeard?.turn === turn ? { sentence: lastHeard.sentence, ms: lastHeard.ms } : null;
}

/** The voice stops where it is, and goes on there: nothing of it is lost, and what comes meanwhile is kept. */
export function pausePlayer(isPaused) {
  playerNode?.port.postMessage({ type: 'pause', isPaused });
}

/** A new session counts its turns from 0 again. */
export function resetPlayer() {
  newest = lastHeard = startedTurn = null;
  cancelledTurn = -1;
  held = [];
  playerNode?.port.postMessage({ type: 'reset' });
}

/** The newest frame received, for resume. */
export function newestFrame() {
  return newest;
}

function onWorkletMessage({ data }) {
  workletHandlers[data.type]?.(data);
}

const workletHandlers = {
  sentence_started: onSentenceStarted,
  sentence_ended: onSentenceEnded,
  position: onPosition,
  underrun: onUnderrun,
  drained: onDrained,
  stopped: onStopped,
};

function onSentenceStarted({ turn, sentence }) {
  lastHeard = { turn, sentence, ms: 0 };
  if (startedTurn !== turn) {
    startedTurn = turn;
    announce('audio_stream_start', { turn });
  }
  announce('audio_sentence_start', { turn, sentence });
}

function onSentenceEnded({ turn, sentence, samples, part, partSamples, isFailed }) {
  const beforeMs = msHeardBefore(turn, sentence);
  lastHeard = { turn, sentence, ms: beforeMs + samplesToMs(samples) };
  announce('audio_sentence_end', { ...lastHeard, part, partMs: beforeMs + samplesToMs(partSamples), isFailed });
}

function onPosition({ turn, sentence, samples, part, partSamples, level, isPaused }) {
  const beforeMs = msHeardBefore(turn, sentence);
  lastHeard = { turn, sentence, ms: beforeMs + samplesToEarMs(samples, isPaused) };
  announce('audio_position', { ...lastHeard, part, partMs: beforeMs + samplesToMs(partSamples), level, isPaused });
}

function onUnderrun() {
  counts.underruns += 1;
  policy = noteUnderrun(policy);
  sendPrebuffer();
  announce('audio_underrun');
}

function onDrained({ turn, underruns, pauses }) {
  startedTurn = null;
  announce('audio_stream_stop', { turn, underruns, pauses });
}

function onStopped({ turn, sentence, samples, isPaused }) {
  if (startedTurn !== null && startedTurn <= turn) startedTurn = null;
  const heard = sentence === null ? null : { sentence, ms: Math.round(msHeardBefore(turn, sentence) + samplesToEarMs(samples, isPaused)) };
  waitingForStop.splice(0).forEach((resolve) => resolve(heard));
}

/** The ear is behind the worklet by the latency of the device; in a pause it hears the rest of it. */
function samplesToEarMs(samples, isPaused) {
  return isPaused ? samplesToMs(samples) : Math.max(0, samplesToMs(samples) - outletLatencyMs());
}

function announce(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}
