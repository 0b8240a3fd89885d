import assert from 'node:assert/strict';
import test from 'node:test';
import { floatToInt16, floatsToInt16s, int16ToFloat, msToSamples, samplesToMs } from '../../frontend/js/sound/pcm.js';

test('every s16 value survives the way to float32 and back', () => {
  for (let sample = -32768; sample <= 32767; sample += 1) {
    assert.equal(floatToInt16(Math.fround(int16ToFloat(sample))), sample);
  }
});

test('what is too loud is cut, not turned over', () => {
  assert.deepEqual([...floatsToInt16s(new Float32Array([1, 2, -1, -2]))], [32767, 32767, -32768, -32768]);
});

test('24 samples are a millisecond', () => {
  assert.equal(samplesToMs(24), 1);
  assert.equal(msToSamples(200), 4800);
  assert.equal(msToSamples(20, 48000), 960);
});
