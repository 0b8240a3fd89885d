import assert from 'node:assert/strict';
import test from 'node:test';
import { counter, newPlayer, sentenceChunks } from './worklet-stage.js';

const FADE = 240;
const FADE_IN = 120;

/** The same numbers for the same seed, so that a failure can be repeated. */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

function withoutSilence(samples) {
  return samples.filter((sample) => sample !== 0);
}

test('every sample of a reply is heard once, in order, exactly', async () => {
  const { say, play, told } = await newPlayer();
  [0, 1, 2].flatMap((n) => sentenceChunks(0, n, n * 7000, 7000)).forEach(say);
  say({ type: 'end', turn: 0 });
  const heard = withoutSilence(play(24000));
  assert.deepEqual(heard, Array.from(counter(0, 21000)));
  assert.deepEqual(told('sentence_started').map(({ sentence }) => sentence), [0, 1, 2]);
  assert.deepEqual(told('sentence_ended').map(({ samples }) => samples), [7000, 7000, 7000]);
  assert.deepEqual(told('drained'), [{ type: 'drained', turn: 0, underruns: 0, pauses: 0 }]);
});

test('no sample sounds before the prebuffer is full', async () => {
  const { say, play, told } = await newPlayer();
  say({ type: 'prebuffer', samples: 4800, isHolding: false });
  const chunks = sentenceChunks(0, 0, 0, 24000);
  chunks.slice(0, 2).forEach(say);
  assert.deepEqual(withoutSilence(play(1280)), []);
  say(chunks[2]);
  assert.equal(withoutSilence(play(1280)).length, 1280);
  assert.equal(told('sentence_started').length, 1);
});

test('a sentence shorter than the prebuffer does not wait for the next one', async () => {
  const { say, play } = await newPlayer();
  sentenceChunks(0, 0, 0, 2000).forEach(say);
  assert.equal(withoutSilence(play(2560)).length, 2000);
});

test('holding, a sentence starts only when it is whole', async () => {
  const { say, play } = await newPlayer();
  say({ type: 'prebuffer', samples: 2880, isHolding: true });
  const chunks = sentenceChunks(0, 0, 0, 24000);
  chunks.slice(0, -1).forEach(say);
  assert.deepEqual(withoutSilence(play(1280)), []);
  say(chunks.at(-1));
  assert.equal(withoutSilence(play(24064)).length, 24000);
});

test('an underrun dies away and comes back without a step, and loses no sample', async () => {
  const { say, play, told } = await newPlayer();
  const loud = (isLast) => ({ type: 'chunk', turn: 0, sentence: 0, isLast, samples: new Int16Array(4800).fill(20000) });
  say(loud(false));
  const before = play(7680);
  say(loud(true));
  const samples = [...before, ...play(7680)];
  const steps = samples.slice(1).map((sample, index) => Math.abs(sample - samples[index]));
  const start = samples.findIndex((sample) => sample !== 0);
  const end = samples.lastIndexOf(20000);
  assert.ok(Math.max(...steps.slice(start, end)) <= 0.06 * 32768);
  assert.equal(told('underrun').length, 1);
  assert.equal(told('sentence_ended')[0].samples, 9600);
});

test('silence between two sentences is a pause, not an underrun', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(0, 0, 0, 4800).forEach(say);
  const first = play(9600);
  sentenceChunks(0, 1, 4800, 4800).forEach(say);
  say({ type: 'end', turn: 0 });
  const heard = withoutSilence([...first, ...play(9600)]);
  assert.deepEqual(heard, Array.from(counter(0, 9600)));
  assert.deepEqual(told('drained'), [{ type: 'drained', turn: 0, underruns: 0, pauses: 1 }]);
});

test('stop fades to silence within 10 ms and tells what was heard', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(3, 0, 0, 4800).forEach(say);
  sentenceChunks(3, 1, 4800, 24000).forEach(say);
  play(6400);
  say({ type: 'stop', turn: 3 });
  const after = play(1280);
  assert.equal(after.findLastIndex((sample) => sample !== 0) < FADE, true);
  assert.ok(Math.abs(after[FADE - 2]) < 0.005 * 32768);
  assert.deepEqual(told('stopped'), [{ type: 'stopped', turn: 3, sentence: 1, samples: 6400 + FADE - 4800, isPaused: false }]);
  assert.equal(told('drained').length, 0);
});

test('stop before the first sound answers that nothing was heard', async () => {
  const { say, play, told } = await newPlayer();
  say(sentenceChunks(0, 0, 0, 24000)[0]);
  say({ type: 'stop', turn: 0 });
  assert.deepEqual(withoutSilence(play(1280)), []);
  assert.deepEqual(told('stopped'), [{ type: 'stopped', turn: 0, sentence: null, samples: 0, isPaused: false }]);
});

test('stop is answered once, however often and however late it comes', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(0, 0, 0, 4900).forEach(say);
  play(4736);
  say({ type: 'stop', turn: 0 });
  say({ type: 'stop', turn: 0 });
  play(1280);
  assert.equal(told('stopped').length, 1);
});

test('nothing of a stopped turn is heard, and the next turn works', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(0, 0, 0, 9600).forEach(say);
  play(1280);
  say({ type: 'stop', turn: 0 });
  play(1280);
  sentenceChunks(0, 1, 500, 9600).forEach(say);
  say({ type: 'end', turn: 0 });
  assert.deepEqual(withoutSilence(play(9600)), []);
  sentenceChunks(1, 0, 9000, 9600).forEach(say);
  say({ type: 'end', turn: 1 });
  assert.deepEqual(withoutSilence(play(12800)), Array.from(counter(9000, 9600)));
  assert.deepEqual(told('drained').map(({ turn }) => turn), [1]);
});

test('stop leaves the turn that waits behind', async () => {
  const { say, play } = await newPlayer();
  sentenceChunks(0, 0, 0, 9600).forEach(say);
  say({ type: 'end', turn: 0 });
  sentenceChunks(1, 0, 20000, 4800).forEach(say);
  play(1280);
  say({ type: 'stop', turn: 0 });
  const after = withoutSilence(play(7680));
  assert.deepEqual(after.slice(-4800), Array.from(counter(20000, 4800)));
});

test('a failed sentence ends without a sound and the next one is heard', async () => {
  const { say, play, told } = await newPlayer();
  say({ type: 'chunk', turn: 0, sentence: 0, isLast: true, isFailed: true, samples: new Int16Array(0) });
  sentenceChunks(0, 1, 0, 4800).forEach(say);
  say({ type: 'end', turn: 0 });
  assert.deepEqual(withoutSilence(play(7680)), Array.from(counter(0, 4800)));
  assert.deepEqual(told('sentence_started').map(({ sentence }) => sentence), [1]);
  assert.deepEqual(told('sentence_ended').map(({ sentence, samples, isFailed }) => [sentence, samples, isFailed]), [[0, 0, true], [1, 4800, false]]);
});

test('a turn without a single frame still drains', async () => {
  const { say, play, told } = await newPlayer();
  say({ type: 'end', turn: 5 });
  play(128);
  assert.deepEqual(told('drained').map(({ turn }) => turn), [5]);
});

test('a sentence whose end was lost ends where the next one begins', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(0, 0, 0, 9600).slice(0, -1).forEach(say);
  sentenceChunks(0, 1, 9600, 4800).forEach(say);
  say({ type: 'end', turn: 0 });
  play(19200);
  assert.deepEqual(told('sentence_ended').map(({ sentence, samples }) => [sentence, samples]), [[0, 8160], [1, 4800]]);
});

test('position is told ten times a second while playing', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(0, 0, 0, 24000).forEach(say);
  play(24064);
  assert.equal(told('position').length, 10);
  assert.ok(told('position').every(({ samples, level }) => samples > 0 && level > 0 && level <= 1));
});

test('however late the chunks come, each sentence is heard whole and in order', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const { say, play, told } = await newPlayer();
    const random = randomFrom(seed);
    const lengths = [0, 1, 2, 3].map(() => 1 + Math.floor(random() * 20000));
    for (const chunk of lengths.flatMap((length, n) => sentenceChunks(0, n, 0, length))) {
      say(chunk);
      if (random() < 0.4) play(Math.floor(random() * 9000));
    }
    say({ type: 'end', turn: 0 });
    play(90000);
    assert.deepEqual(told('sentence_ended').map(({ sentence, samples }) => [sentence, samples]), [...lengths.entries()], `seed ${seed}`);
    assert.equal(told('drained')[0].underruns, told('underrun').length);
  }
});

test('after a reset turn 0 may be heard again', async () => {
  const { say, play } = await newPlayer();
  say({ type: 'stop', turn: 9 });
  say({ type: 'reset' });
  sentenceChunks(0, 0, 0, 4800).forEach(say);
  assert.equal(withoutSilence(play(5120)).length, 4800);
});

/** The gain of a fade is known, so the samples below it are. */
function undoFadeIn(samples) {
  return samples.map((sample, index) => (index < FADE_IN ? sample * (FADE_IN + 1) / (index + 1) : sample));
}

test('a pause stops the voice at once, and it goes on with the very next sample, however often', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const { say, play, told } = await newPlayer();
    const random = randomFrom(seed);
    const chunks = [0, 1, 2].flatMap((n) => sentenceChunks(0, n, n * 9000, 9000));
    chunks.splice(0, 6).forEach(say);
    const pieces = [play(128 * (10 + Math.floor(random() * 40)))];
    for (let pause = 0; pause < 3; pause += 1) {
      say({ type: 'pause', isPaused: true });
      chunks.splice(0, Math.floor(random() * 4)).forEach(say);
      const quiet = play(128 * (5 + Math.floor(random() * 30)));
      assert.ok(quiet.slice(384).every((sample) => sample === 0), `seed ${seed}: it sounds on`);
      say({ type: 'pause', isPaused: false });
      chunks.splice(0, 3).forEach(say);
      pieces.push(undoFadeIn(play(128 * (10 + Math.floor(random() * 10)))));
    }
    chunks.forEach(say);
    say({ type: 'end', turn: 0 });
    pieces.push(play(30000));
    const heard = pieces.flat().map(Math.round).filter((sample) => sample !== 0);
    assert.deepEqual(heard, Array.from(counter(0, 27000)), `seed ${seed}`);
    assert.deepEqual(told('sentence_ended').map(({ samples }) => samples), [9000, 9000, 9000]);
    assert.equal(told('drained')[0].underruns, told('underrun').length);
  }
});

test('a voice that has paused and is stopped is silent at once, and what was heard is exact', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(0, 0, 0, 24000).forEach(say);
  play(6400);
  say({ type: 'pause', isPaused: true });
  assert.deepEqual(told('position').at(-1).samples, 6400);
  assert.equal(told('position').at(-1).isPaused, true);
  play(1280);
  say({ type: 'stop', turn: 0 });
  assert.deepEqual(withoutSilence(play(1280)), []);
  assert.deepEqual(told('stopped'), [{ type: 'stopped', turn: 0, sentence: 0, samples: 6400, isPaused: true }]);
});

test('the underruns of a reply that was cut are not those of the next one', async () => {
  const { say, play, told } = await newPlayer();
  sentenceChunks(0, 0, 0, 24000).slice(0, 4).forEach(say);
  play(24000);
  assert.equal(told('underrun').length, 1);
  say({ type: 'stop', turn: 0 });
  play(1280);
  sentenceChunks(1, 0, 0, 4800).forEach(say);
  say({ type: 'end', turn: 1 });
  play(9600);
  assert.deepEqual(told('drained'), [{ type: 'drained', turn: 1, underruns: 0, pauses: 0 }]);
});

test('a pause ends with its reply: the next one is heard', async () => {
  for (const last of [{ type: 'stop', turn: 0 }, { type: 'reset' }]) {
    const { say, play } = await newPlayer();
    sentenceChunks(0, 0, 0, 9600).forEach(say);
    play(1280);
    say({ type: 'pause', isPaused: true });
    play(1280);
    say(last);
    sentenceChunks(1, 0, 9000, 4800).forEach(say);
    say({ type: 'end', turn: 1 });
    assert.deepEqual(withoutSilence(play(7680)), Array.from(counter(9000, 4800)));
  }
});

test('a pause before the first sample begins with the first sample', async () => {
  const { say, play } = await newPlayer();
  say({ type: 'pause', isPaused: true });
  sentenceChunks(0, 0, 0, 9600).forEach(say);
  assert.deepEqual(withoutSilence(play(9600)), []);
  say({ type: 'pause', isPaused: false });
  assert.deepEqual(withoutSilence(play(12800)), Array.from(counter(0, 9600)));
});
