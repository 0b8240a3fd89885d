import assert from 'node:assert/strict';
import test from 'node:test';
import { jobDetails, jobNote, shareHeard, shareMade, turnStateWords, turnToLine } from '../../frontend/js/queue/job-words.js';
import { firstSoundMs, mark, newStopwatch, stopwatchRows } from '../../frontend/js/talk/stopwatch.js';
import { talkToJson, talkToText } from '../../frontend/js/talk/talk-file.js';

const sentence = (more) => ({
  number: 0, text: 'Twelve chars', status: 'queued', durationMs: null, heardMs: 0, restartMs: 0, madeMs: 0, reason: '', attempt: 1,
  worker: '', queueMs: null, firstAudioMs: null, isCached: false, ...more,
});

test('a sentence says what matters in its state', () => {
  const notes = [
    [{}, 0, 'next'], [{}, 1, '2nd in line'], [{}, 10, '11th in line'], [{}, 21, '22nd in line'], [{ attempt: 2 }, 0, 'next, try 2'],
    [{ status: 'synthesizing', madeMs: 640 }, 0, '0.6 s made'], [{ status: 'synthesizing', attempt: 3 }, 0, 'try 3'],
    [{ status: 'ready', durationMs: 2600 }, 0, '2.6 s'], [{ status: 'playing', durationMs: 2600, heardMs: 1000 }, 0, '1.6 s left'],
    [{ status: 'played', durationMs: 2600, attempt: 2 }, 0, '2.6 s'], [{ status: 'interrupted', heardMs: 1800 }, 0, 'heard 1.8 s'],
    [{ status: 'failed', reason: 'No worker.' }, 0, 'No worker.'], [{ status: 'skipped', durationMs: 2600 }, 0, ''], [{ status: 'missed' }, 0, ''],
  ];
  for (const [more, place, words] of notes) assert.equal(jobNote(sentence(more), place), words);
});

test('how a sentence was made is told on demand', () => {
  const rows = Object.fromEntries(jobDetails(sentence({ worker: 'speech1', attempt: 2, queueMs: 12.4, firstAudioMs: 80.6, durationMs: 1500, restartMs: 300, isCached: true })));
  assert.deepEqual(rows, { Worker: 'speech1', Attempt: '2', Waited: '12 ms', 'First audio': '81 ms', Length: '1.5 s', 'Given up': '0.3 s', Source: 'cache' });
  assert.deepEqual(Object.fromEntries(jobDetails(sentence({}))).Worker, 'not yet');
});

test('shares stay between nothing and all', () => {
  assert.deepEqual([shareHeard(sentence({})), shareHeard(sentence({ status: 'played' })), shareHeard(sentence({ durationMs: 100, heardMs: 300 }))], [0, 1, 1]);
  assert.deepEqual([shareMade(sentence({})), shareMade(sentence({ status: 'ready' })), shareMade(sentence({ madeMs: 9e9 })) < 1], [0, 1, true]);
  assert.equal(shareMade(sentence({ text: '' })), 0);
});

test('a turn fits into one line', () => {
  const turn = { sentences: new Map([[0, sentence({ status: 'played', durationMs: 1400 })], [1, sentence({ status: 'ready', durationMs: 1000 })]]), firstSoundMs: 216.7, isHeard: true, underruns: 1 };
  assert.deepEqual(turnToLine(turn), { toCome: 1, line: '2 sentences, 2.4 s, first sound 217 ms, 1 underrun' });
  assert.equal(turnToLine({ sentences: new Map([[0, sentence({})]]), firstSoundMs: null, isHeard: false, underruns: 0 }).line, '1 sentence');
});

test('what went wrong in a turn is said where it stands', () => {
  const turn = { sentences: new Map([[0, sentence({ status: 'failed' })]]), isCut: false, underruns: 0 };
  assert.equal(turnStateWords(turn), 'with a failure');
  assert.equal(turnStateWords({ ...turn, isCut: true, underruns: 2 }), 'cut, 2 underruns');
  assert.equal(turnStateWords({ ...turn, sentences: new Map(), underruns: 1 }), '1 underrun');
  assert.equal(turnStateWords({ ...turn, sentences: new Map() }), '');
});

test('of each step only the first time counts', () => {
  let watch = newStopwatch(100);
  for (const [step, ms] of [['taken', 103], ['token', 150], ['token', 170], ['sound', 310.25]]) watch = mark(watch, step, ms);
  assert.equal(firstSoundMs(watch), 210.25);
  assert.deepEqual(stopwatchRows(watch), [['Taken by the server', 3], ['First word of the reply', 50], ['First sound', 210]]);
  assert.deepEqual([mark(null, 'sound', 5), firstSoundMs(null), stopwatchRows(null)], [null, null, []]);
});

const SAID = [
  { turn: 0, name: 'You', isUser: true, text: 'Hi <b>', at: 0, heard: null },
  { turn: 0, name: 'Ava', isUser: false, text: 'Hello. And more.', at: 61000, heard: 'Hello.' },
];

test('a talk becomes text that a person reads', () => {
  assert.equal(talkToText(SAID), '[1970-01-01 00:00] You: Hi <b>\n\n[1970-01-01 00:01] Ava: Hello. And more.\n    (heard: Hello.)\n');
});

test('a talk becomes JSON that a program reads', () => {
  const { session, messages } = JSON.parse(talkToJson('s1', SAID));
  assert.equal(session, 's1');
  assert.deepEqual(messages.map(({ role, heard }) => [role, heard]), [['user', undefined], ['assistant', 'Hello.']]);
});
