/**
 * The way out of the page for every sound: volume, loudspeaker, how loud it is there, and short sounds that are no part
 * of the talk.
 * Knows nothing of turns, frames or the page. The context and what plays into it belong to audio-player.js.
 */
import { SAMPLE_RATE, int16ToFloat } from './pcm.js';

const VOLUME_RAMP_S = 0.02;
const DUCK_RAMP_S = 0.005;
const METER_SAMPLES = 512;
const FADE_S = 0.01;
const DUCKED = 0.25;

let context = null;
let volumeNode = null;
let meterNode = null;
let volume = 1;
let isDucked = false;
let speaker = '';
let extra = null;

const metered = new Float32Array(METER_SAMPLES);

/** The node that sound is to be connected to, and from there to the loudspeaker. */
export async function openOutlet(opened) {
  context = opened;
  volumeNode = new GainNode(context, { gain: volume });
  meterNode = new AnalyserNode(context, { fftSize: METER_SAMPLES });
  volumeNode.connect(meterNode);
  if (speaker) await chooseSpeaker(speaker);
  return volumeNode;
}

export function closeOutlet() {
  context = volumeNode = meterNode = extra = null;
}

/** The ear is behind the samples by this. */
export function outletLatencyMs() {
  return (context?.outputLatency || context?.baseLatency || 0) * 1000;
}

/** What has left for the loudspeaker in the last 20 ms, volume and all: 0 to 1. */
export function outletRms() {
  if (context?.state !== 'running' || !meterNode) return 0;
  meterNode.getFloatTimeDomainData(metered);
  return Math.sqrt(metered.reduce((sum, value) => sum + value * value, 0) / METER_SAMPLES);
}

/** 0 to 1; at 1 the samples pass untouched. */
export function setVolume(wanted) {
  volume = wanted;
  rampVolume(VOLUME_RAMP_S);
}

/** A quarter as loud (-12 dB) while somebody seems to speak; back slowly enough not to lift what is fading out. */
export function duck(isWanted) {
  if (isDucked === isWanted) return;
  isDucked = isWanted;
  rampVolume(isDucked ? DUCK_RAMP_S : VOLUME_RAMP_S);
}

function rampVolume(seconds) {
  if (!volumeNode) return;
  const { gain } = volumeNode;
  gain.cancelScheduledValues(context.currentTime);
  gain.setValueAtTime(gain.value, context.currentTime);
  gain.linearRampToValueAtTime(isDucked ? volume * DUCKED : volume, context.currentTime + seconds);
}

/** An empty id means the one that the system has chosen. False when the device cannot be had. */
export async function chooseSpeaker(id) {
  speaker = id;
  try {
    await context?.setSinkId?.(id);
    return true;
  } catch {
    return false;
  }
}

/**
 * Sound that is no part of the talk (a turn once more, the test sound), through the same volume and loudspeaker.
 * samples: s16. onEnd is called when it has ended by itself. Gives {positionMs(), stop()}, or null without sound.
 */
export function playExtra(samples, onEnd) {
  if (context?.state !== 'running') return null;
  extra?.stop();
  const buffer = new AudioBuffer({ length: Math.max(1, samples.length), numberOfChannels: 1, sampleRate: SAMPLE_RATE });
  buffer.copyToChannel(Float32Array.from(samples, int16ToFloat), 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  const fader = new GainNode(context);
  source.connect(fader).connect(volumeNode);
  const startedAt = context.currentTime;
  source.onended = onEnd;
  source.start();
  extra = { positionMs: () => Math.max(0, (context.currentTime - startedAt) * 1000 - outletLatencyMs()), stop: () => fadeOut(source, fader) };
  return extra;
}

function fadeOut(source, fader) {
  source.onended = null;
  fader.gain.setValueAtTime(1, context.currentTime);
  fader.gain.linearRampToValueAtTime(0, context.currentTime + FADE_S);
  source.stop(context.currentTime + FADE_S);
}
