import assert from 'node:assert/strict';
import test from 'node:test';
import {
  HEADER_BYTES, chatMessage, interruptMessage, judgeFrame, laterEvent, parseMessage, playedMessage, resumeMessage, unpackFrame,
} from '../../frontend/js/wire/protocol.js';

function pack({ turn = 0, sentence = 0, part = 0, attempt = 1, flags = 0, version = 1, samples = [] }) {
  const buffer = new ArrayBuffer(HEADER_BYTES + samples.length * 2);
  const view = new DataView(buffer);
  view.setUint32(0, turn, true);
  view.setUint32(4, sentence, true);
  view.setUint32(8, part, true);
  view.setUint16(12, attempt, true);
  view.setUint8(14, flags);
  view.setUint8(15, version);
  samples.forEach((sample, index) => view.setInt16(HEADER_BYTES + index * 2, sample, true));
  return buffer;
}

test('a frame gives its numbers, flags and samples', () => {
  const frame = unpackFrame(pack({ turn: 7, sentence: 3, part: 70000, attempt: 2, flags: 1, samples: [1, -2, 32767] }));
  assert.deepEqual({ ...frame, samples: [...frame.samples] }, {
    turn: 7, sentence: 3, part: 70000, attempt: 2, isLast: true, isFailed: false, samples: [1, -2, 32767],
  });
});

test('the tombstone of a failed sentence is last, failed and empty', () => {
  const { isLast, isFailed, samples } = unpackFrame(pack({ flags: 3 }));
  assert.deepEqual([isLast, isFailed, samples.length], [true, true, 0]);
});

test('what is no frame of ours is null', () => {
  assert.equal(unpackFrame(new ArrayBuffer(0)), null);
  assert.equal(unpackFrame(new ArrayBuffer(15)), null);
  assert.equal(unpackFrame(new ArrayBuffer(17)), null);
  assert.equal(unpackFrame(pack({ version: 2 })), null);
});

test('a good message passes, with fields we do not know', () => {
  const text = '{"type":"turn","turn":0,"state":"started","event":"17-0","later":[1]}';
  assert.equal(parseMessage(text).message.event, '17-0');
});

const PROBLEMS = [
  ['{', 'broken_json'], ['', 'broken_json'], ['null', 'not_an_object'], ['[]', 'not_an_object'], ['3', 'not_an_object'],
  ['{}', 'unknown_type'], ['{"type":"zzz"}', 'unknown_type'], ['{"type":"__proto__"}', 'unknown_type'], ['{"type":"constructor"}', 'unknown_type'],
  ['{"type":"turn","state":"started"}', 'bad_field'], ['{"type":"turn","turn":"0","state":"started"}', 'bad_field'],
  ['{"type":"turn","turn":-1,"state":"started"}', 'bad_field'], ['{"type":"turn","turn":1.5,"state":"started"}', 'bad_field'],
  ['{"type":"llm_response","turn":0,"content":null}', 'bad_field'], ['{"type":"sentence","turn":0,"sentence":0,"state":"queued","text":5}', 'bad_field'],
];
for (const [text, problem] of PROBLEMS) {
  test(`a bad message is named, never thrown: ${text}`, () => assert.equal(parseMessage(text).problem, problem));
}

test('the time of a message is a number of milliseconds', () => {
  const at = (value) => parseMessage(`{"type":"stop_acknowledged","at":${value}}`);
  assert.equal(at('1763655000000.25').message.at, 1763655000000.25);
  assert.equal(at('"17:00"').problem, 'bad_field');
  assert.equal(at('1e300').problem, 'bad_field');
});

test('what was missed is named, with or without the place where it goes on', () => {
  assert.ok(parseMessage('{"type":"gap","what":"audio","turn":1,"sentence":2,"part":0,"message":"Gone."}').message);
  assert.ok(parseMessage('{"type":"gap","what":"messages","message":"Gone."}').message);
  assert.equal(parseMessage('{"type":"gap","what":"audio","turn":1}').problem, 'bad_field');
});

test('null stands for a field that is not there', () => {
  assert.ok(parseMessage('{"type":"sentence","turn":0,"sentence":0,"state":"queued","duration_ms":null}').message);
});

const ORDER = [
  ['the first frame', null, { turn: 0, sentence: 0, part: 0 }, 'next'],
  ['the next part', { turn: 0, sentence: 0, part: 0 }, { turn: 0, sentence: 0, part: 1 }, 'next'],
  ['the next sentence', { turn: 0, sentence: 0, part: 4, isLast: true }, { turn: 0, sentence: 1, part: 0 }, 'next'],
  ['the next turn', { turn: 0, sentence: 2, part: 4, isLast: false }, { turn: 1, sentence: 0, part: 0 }, 'next'],
  ['the same part', { turn: 0, sentence: 0, part: 4 }, { turn: 0, sentence: 0, part: 4 }, 'duplicate'],
  ['an earlier part', { turn: 0, sentence: 0, part: 4 }, { turn: 0, sentence: 0, part: 2 }, 'duplicate'],
  ['an earlier sentence', { turn: 0, sentence: 2, part: 0 }, { turn: 0, sentence: 1, part: 9 }, 'duplicate'],
  ['an earlier turn', { turn: 3, sentence: 0, part: 0 }, { turn: 2, sentence: 5, part: 5 }, 'old'],
  ['a part left out', { turn: 0, sentence: 0, part: 0 }, { turn: 0, sentence: 0, part: 2 }, 'hole'],
  ['an end left out', { turn: 0, sentence: 0, part: 3, isLast: false }, { turn: 0, sentence: 1, part: 0 }, 'hole'],
  ['a sentence left out', { turn: 0, sentence: 0, part: 3, isLast: true }, { turn: 0, sentence: 2, part: 0 }, 'hole'],
  ['a turn joined late', null, { turn: 4, sentence: 1, part: 3 }, 'hole'],
];
for (const [name, last, frame, verdict] of ORDER) {
  test(`${name} is ${verdict}`, () => assert.equal(judgeFrame(last, frame), verdict));
}

test('events are compared as numbers, not as text', () => {
  assert.equal(laterEvent('9-0', '10-0'), '10-0');
  assert.equal(laterEvent('10-2', '10-10'), '10-10');
  assert.equal(laterEvent('10-0', '9-9'), '10-0');
  assert.equal(laterEvent(null, '1-0'), '1-0');
  assert.equal(laterEvent('1-0', undefined), '1-0');
});

test('what we send has the fields of the protocol and no others', () => {
  assert.deepEqual(chatMessage('Hi', 'a1'), { type: 'chat', text: 'Hi', id: 'a1' });
  assert.deepEqual(chatMessage('Hi', 'a1', 'ben'), { type: 'chat', text: 'Hi', id: 'a1', character: 'ben' });
  assert.deepEqual(interruptMessage(2, { sentence: 1, ms: 40 }), { type: 'interrupt', turn: 2, heard: { sentence: 1, ms: 40 } });
  assert.deepEqual(interruptMessage(null, null), { type: 'interrupt' });
  assert.deepEqual(resumeMessage({ turn: 1, sentence: 2, part: 3, isLast: true }, '17-0'), { type: 'resume', turn: 1, sentence: 2, part: 3, event: '17-0' });
  assert.deepEqual(resumeMessage({ turn: 4, sentence: 0, part: 3 }, '17-0', 4), { type: 'resume', turn: 4, sentence: 0, part: 3, event: '17-0' });
  assert.deepEqual(resumeMessage({ turn: 3, sentence: 2, part: 3 }, '17-0', 4), { type: 'resume', turn: 4, event: '17-0' });
  assert.deepEqual(resumeMessage(null, '17-0', 4), { type: 'resume', turn: 4, event: '17-0' });
  assert.deepEqual(resumeMessage(null, null), { type: 'resume', event: '0-0' });
  assert.deepEqual(playedMessage(0, 1, 12.6), { type: 'played', turn: 0, sentence: 1, ms: 13 });
});
