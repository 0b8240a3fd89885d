import assert from 'node:assert/strict';
import test from 'node:test';

const MOST_STARTS = 6;
const heardNews = [];
const posted = [];
let starts = 0;
let isLineDown = false;

function AudioContext() {
  starts += 1;
  const addModule = async () => { if (isLineDown) throw new Error('not fetched'); };
  return { state: 'running', audioWorklet: { addModule }, resume: async () => {}, close: () => {}, destination: {} };
}

function AudioWorkletNode() {
  return { port: { postMessage: (message) => posted.push(message) }, connect: () => {} };
}

Object.assign(globalThis, {
  AudioContext, AudioWorkletNode, isSecureContext: true, location: { search: '' },
  GainNode: function GainNode() { return { connect: () => {} }; },
  AnalyserNode: function AnalyserNode() { return {}; },
  CustomEvent: function CustomEvent(type) { return { type }; },
  document: { dispatchEvent: ({ type }) => heardNews.push(type) },
});

let loads = 0;

async function loadPlayer() {
  heardNews.length = posted.length = starts = 0;
  loads += 1;
  return import(`../../frontend/js/sound/audio-player.js?load=${loads}`);
}

function frame(part) {
  return { turn: 0, sentence: 0, part, isLast: false, isFailed: false, samples: new Int16Array(4) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
const partsPosted = () => posted.filter(({ type }) => type === 'chunk').length;

test('without a touch no sound is tried, and what came is kept', async () => {
  isLineDown = false;
  const player = await loadPlayer();
  assert.equal(player.playFrame(frame(0)), true);
  assert.deepEqual([starts, heardNews], [0, ['audio_blocked']]);
  player.unlockAudio();
  await settled();
  assert.deepEqual([starts, partsPosted(), player.isSounding()], [1, 1, true]);
});

test('a worklet that the lost line kept from us is fetched again when sound comes', async () => {
  isLineDown = true;
  const player = await loadPlayer();
  player.unlockAudio();
  await settled();
  assert.equal(player.isSounding(), false);
  isLineDown = false;
  player.playFrame(frame(0));
  player.playFrame(frame(1));
  await settled();
  assert.deepEqual([starts, partsPosted(), player.isSounding()], [2, 2, true]);
});

test('a worklet that never comes is not asked for with every frame, but with every touch', async () => {
  isLineDown = true;
  const player = await loadPlayer();
  player.unlockAudio();
  for (let part = 0; part < 20; part += 1) {
    await settled();
    player.playFrame(frame(part));
  }
  assert.ok(starts < MOST_STARTS, `${starts} starts`);
  isLineDown = false;
  player.unlockAudio();
  await settled();
  assert.deepEqual([partsPosted(), player.isSounding()], [20, true]);
});
