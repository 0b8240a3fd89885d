import assert from 'node:assert/strict';
import test from 'node:test';
import { energyOf, followVoice, isSilent, newVoice } from '../../frontend/js/sound/loudness.js';
import { newResampler, resample } from '../../frontend/js/sound/resample.js';
import { packMicFrame, startMessage, stopMessage } from '../../frontend/js/wire/protocol.js';
import { isGateOpen, STATES } from '../../frontend/js/talk/states.js';
import { newCapture } from './worklet-stage.js';

const sine = (hz, rateHz, length, from = 0) => Float32Array.from({ length }, (_, index) => 0.5 * Math.sin((2 * Math.PI * hz * (from + index)) / rateHz));

test('a frame of the microphone is 8 bytes of header and the samples', () => {
  const view = new DataView(packMicFrame({ ms: 2 ** 32 + 7, energy: 200, isSilent: true, isFirst: true }, Int16Array.of(-2, 300)));
  assert.equal(view.byteLength, 12);
  assert.equal(view.getUint32(0, true), 7);
  assert.equal(view.getUint32(4, true), 200 | (1 << 8) | (1 << 9));
  assert.deepEqual([view.getInt16(8, true), view.getInt16(10, true)], [-2, 300]);
});

test('the frame that lets go of the button has no samples', () => {
  const view = new DataView(packMicFrame({ ms: 1, isLast: true }, []));
  assert.deepEqual([view.byteLength, view.getUint32(4, true)], [8, 1 << 10]);
});

test('a frame tells whether the loudspeaker beside the microphone sounds, and how loud', () => {
  const flags = (header) => new DataView(packMicFrame({ ms: 1, ...header }, [])).getUint32(4, true);
  assert.equal(flags({ energy: 7, isSpeakerOn: true, speakerEnergy: 255 }), 7 | (1 << 11) | (255 << 16));
  assert.equal(flags({ isSpeakerOn: false, speakerEnergy: 0 }), 0);
});

test('start tells how turns are taken, who shall answer and in which language, and stop says nothing else', () => {
  const start = (wishes) => startMessage({ sampleRate: 24000, ...wishes });
  assert.deepEqual(start({ turnTaking: 'barge', character: 'ben', language: 'de' }), { type: 'start', sample_rate: 24000, turn_taking: 'barge_in', character: 'ben', language: 'de' });
  assert.deepEqual(start({ turnTaking: 'push' }), { type: 'start', sample_rate: 24000, turn_taking: 'push_to_talk' });
  assert.equal(start({ turnTaking: 'automatic' }).turn_taking, 'automatic');
  assert.deepEqual(stopMessage(), { type: 'stop' });
});

test('the microphone is heard only when its way of taking turns allows it', () => {
  const open = (mode, isHeld) => STATES.filter((state) => isGateOpen(mode, state, isHeld));
  assert.deepEqual(open('automatic', false), ['listening']);
  assert.deepEqual(open('barge', false), STATES.filter((state) => state !== 'offline'));
  assert.deepEqual(open('push', false), []);
  assert.deepEqual(open('push', true), ['idle', 'listening', 'thinking', 'speaking', 'interrupted']);
});

test('energy goes from 0 at -60 dBFS to 255 at full scale', () => {
  assert.deepEqual([0, 0.0005, 0.001, 1].map(energyOf), [0, 0, 0, 255]);
  assert.equal(energyOf(0.1), 170);
  assert.deepEqual([0, 0.001, 0.01].map(isSilent), [true, true, false]);
});

test('the worklet makes frames of 20 ms, sample for sample', async () => {
  const { hear, posts } = await newCapture(24000);
  hear(sine(440, 24000, 128 * 15));
  assert.deepEqual(posts.map(({ samples }) => samples.length), [480, 480, 480, 480]);
  const expected = sine(440, 24000, 1920);
  const got = posts.flatMap(({ samples }) => [...samples]);
  got.forEach((sample, index) => assert.equal(sample, Math.round(expected[index] * 32768) + 0));
  assert.ok(Math.abs(posts[1].rms - 0.5 / Math.SQRT2) < 0.01);
});

for (const rateHz of [44100, 48000, 16000]) {
  test(`a microphone of ${rateHz} Hz becomes 24 kHz without noise, whatever its blocks`, () => {
    const resampler = newResampler(rateHz, 24000);
    const input = sine(1000, rateHz, rateHz / 4);
    const output = [];
    for (let start = 0; start < input.length; start += 128) output.push(...resample(resampler, input.subarray(start, start + 128)));
    assert.ok(Math.abs(output.length - 6000) < 40, `${output.length} samples`);
    const expected = sine(1000, 24000, output.length);
    const error = output.slice(100).reduce((sum, value, index) => sum + (value - expected[index + 100]) ** 2, 0) / (output.length - 100);
    assert.ok(10 * Math.log10(0.125 / error) > 60, `${10 * Math.log10(0.125 / error)} dB`);
  });
}

test('what is too high for 24 kHz is not folded down', () => {
  const output = resample(newResampler(48000, 24000), sine(16000, 48000, 12000)).slice(100);
  assert.ok(Math.max(...output.map(Math.abs)) < 0.005);
});

test('a worklet at another rate posts the same frames', async () => {
  const { hear, posts } = await newCapture(48000);
  hear(sine(440, 48000, 128 * 80));
  assert.ok(posts.length >= 10);
  assert.ok(posts.every(({ samples }) => samples.length === 480));
});

test('the end of a voice is its own last sound, not that of the room behind it', () => {
  let voice = newVoice();
  const hear = (rms, from, to) => { for (let ms = from; ms < to; ms += 20) voice = followVoice(voice, rms, ms); };
  hear(0.0005, 0, 200);
  assert.equal(voice.atMs, null);
  hear(0.2, 200, 1000);
  hear(0.01, 1000, 2600);
  assert.equal(voice.atMs, 980);
  hear(0.2, 2600, 2700);
  assert.equal(voice.atMs, 2680);
});
