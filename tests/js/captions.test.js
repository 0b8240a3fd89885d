import assert from 'node:assert/strict';
import test from 'node:test';
import { cutReply, placeInWords, splitAtVoice } from '../../frontend/js/talk/captions.js';

const TEXT = 'The tide is coming in, and the wind is fair.';

test('nothing is said at the start and all at the end', () => {
  assert.deepEqual(splitAtVoice(TEXT, 0, 2000), ['', TEXT]);
  assert.deepEqual(splitAtVoice(TEXT, 2000, 2000), [TEXT, '']);
  assert.deepEqual(splitAtVoice(TEXT, 9999, 2000), [TEXT, '']);
});

test('the said part only grows, word by word, and no letter is lost', () => {
  let before = '';
  for (let ms = 0; ms <= 2000; ms += 10) {
    const [said, rest] = splitAtVoice(TEXT, ms, 2000);
    assert.equal(said + rest, TEXT);
    assert.ok(said.startsWith(before));
    assert.ok(said === '' || said.endsWith(' ') || rest === '');
    before = said;
  }
});

test('without a known duration a letter takes 65 ms', () => {
  const [said] = splitAtVoice(TEXT, (TEXT.length * 65) / 2, null);
  assert.ok(said.length > TEXT.length / 3 && said.length < (TEXT.length * 2) / 3);
});

test('sound that was given up does not count, and while it is heard it has its own place', () => {
  assert.deepEqual(placeInWords({ heardMs: 300, durationMs: 1000 }), [300, 1000]);
  assert.deepEqual(placeInWords({ heardMs: 300, restartMs: 400, durationMs: 1400 }), [300, 1000]);
  assert.deepEqual(placeInWords({ heardMs: 600, restartMs: 400, durationMs: 1400 }), [200, 1000]);
  assert.deepEqual(placeInWords({ heardMs: 600, restartMs: 400, durationMs: null }), [200, null]);
  assert.deepEqual(placeInWords({ heardMs: 300, restartMs: 400, durationMs: 400 }), [300, 400]);
});

test('text without a word has nothing to say', () => assert.deepEqual(splitAtVoice('', 100, 0), ['', '']));

const REPLY = 'One fish.  Two fish, **red** fish.\nBlue "fish"!';

test('the pieces of a reply are the reply', () => {
  const pieces = cutReply(REPLY, [{ number: 0, text: 'One fish.' }, { number: 1, text: 'Two fish, red fish.' }, { number: 2, text: 'Blue "fish"!' }]);
  assert.equal(pieces.map(({ text }) => text).join(''), REPLY);
  assert.deepEqual(pieces.filter(({ number }) => number !== null).map(({ number, text }) => [number, text]), [
    [0, 'One fish.'], [1, 'Two fish, **red** fish.'], [2, 'Blue "fish"!'],
  ]);
});

test('a sentence that is not there yet leaves the text to the tail', () => {
  assert.deepEqual(cutReply('One fish. Tw', [{ number: 0, text: 'One fish.' }, { number: 1, text: 'Two fish.' }]), [
    { text: 'One fish.', number: 0 }, { text: ' Tw', number: null },
  ]);
});

test('the same words twice are two sentences', () => {
  const pieces = cutReply('No. No.', [{ number: 0, text: 'No.' }, { number: 1, text: 'No.' }]);
  assert.deepEqual(pieces.map(({ number }) => number), [0, null, 1]);
});

test('markup is words like any others', () => {
  const reply = '<script>alert(1)</script> said he.';
  assert.deepEqual(cutReply(reply, [{ number: 0, text: reply }]), [{ text: reply, number: 0 }]);
});

test('a sentence of signs only has no place', () => {
  assert.deepEqual(cutReply('Hm.', [{ number: 0, text: '***' }, { number: 1, text: ' ' }]), [{ text: 'Hm.', number: null }]);
});
