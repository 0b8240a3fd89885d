/**
 * Sound in: the microphone, opened and closed, and its frames while the gate is open. News travels up as DOM events:
 * mic_frame {samples, rms, isFirst}, mic_level {rms}, mic_lost. Knows nothing of the socket, of who speaks or of the page.
 *
 * The device stays open while the gate is shut: opening it takes time, and may ask the person.
 */
import { SAMPLE_RATE } from './pcm.js';

const NO_VOICE_PROCESSING = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const VOICE_PROCESSING = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** Why a microphone did not open. */
const REASONS = {
  NotAllowedError: 'refused', SecurityError: 'refused', NotFoundError: 'none', OverconstrainedError: 'none',
  NotReadableError: 'in_use', AbortError: 'in_use',
};

let stream = null;
let context = null;
let node = null;
let isGateOpen = false;
let isFirstFrame = true;
let openings = 0;

/** Counters for the curious and for tests. */
export const counts = { frames: 0, gated: 0 };

/** 'insecure' or 'unsupported' when this page can have no microphone at all, else null. */
export function missingMicrophone() {
  if (!globalThis.isSecureContext) return 'insecure';
  return navigator.mediaDevices?.getUserMedia && typeof AudioWorkletNode !== 'undefined' ? null : 'unsupported';
}

export function isMicrophoneOpen() {
  return stream !== null;
}

/** Opens the device; throws an Error whose cause is one of the reasons. What was open before is closed. */
export async function openMicrophone({ deviceId = '', isRaw = false } = {}) {
  closeMicrophone();
  openings += 1;
  const opening = openings;
  const missing = missingMicrophone();
  if (missing) throw new Error('no microphone here', { cause: missing });
  if (navigator.audioSession) navigator.audioSession.type = 'play-and-record';
  const opened = await askForStream(deviceId, isRaw);
  if (opening !== openings) {
    opened.getTracks().forEach((track) => track.stop());
    return;
  }
  stream = opened;
  stream.getAudioTracks()[0].onended = onTrackEnded;
  try {
    await buildGraph();
  } catch (error) {
    closeMicrophone();
    throw new Error(error.message, { cause: 'in_use' });
  }
}

async function askForStream(deviceId, isRaw) {
  const audio = { ...(isRaw ? NO_VOICE_PROCESSING : VOICE_PROCESSING), ...(deviceId && { deviceId: { ideal: deviceId } }) };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(error.message, { cause: REASONS[error.name] ?? 'in_use' });
  }
}

/** At 24 kHz where the browser can; else at its own rate, and the worklet makes 24 kHz of it. */
async function buildGraph() {
  try {
    await connectAt(SAMPLE_RATE);
  } catch (error) {
    if (error.name !== 'NotSupportedError') throw error;
    context.close();
    await connectAt(undefined);
  }
}

async function connectAt(sampleRate) {
  context = new AudioContext({ sampleRate, latencyHint: 'interactive' });
  context.resume().catch(() => {});
  const source = context.createMediaStreamSource(stream);
  const built = context;
  await built.audioWorklet.addModule('js/worklets/capture-worklet.js');
  if (context !== built) return;
  node = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0 });
  node.port.onmessage = onFrame;
  source.connect(node);
}

function onFrame({ data: { samples, rms } }) {
  announce('mic_level', { rms });
  if (!isGateOpen) {
    counts.gated += 1;
    return;
  }
  counts.frames += 1;
  announce('mic_frame', { samples, rms, isFirst: isFirstFrame });
  isFirstFrame = false;
}

/** While it is shut nothing leaves this file but the level. */
export function setMicrophoneGate(isOpen) {
  if (isOpen && !isGateOpen) isFirstFrame = true;
  isGateOpen = isOpen;
}

/** The device was unplugged, or the person took the permission back. */
function onTrackEnded() {
  closeMicrophone();
  announce('mic_lost');
}

export function closeMicrophone() {
  openings += 1;
  if (node) node.port.onmessage = null;
  stream?.getTracks().forEach((track) => {
    track.onended = null;
    track.stop();
  });
  if (context && context.state !== 'closed') context.close();
  stream = context = node = null;
}

function announce(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}
