import assert from 'node:assert/strict';
import test from 'node:test';
import {
  canPatch, clockWords, fileName, isChanged, lineState, lineToChange, newLine, newPlay, playToOrder, progressOf, readPlay, renderLine, renderToPlay, timeline,
  withRender,
} from '../../frontend/js/script/play.js';
import { speakersOf, textToLines } from '../../frontend/js/script/intake/script-text.js';

const line = (key, speaker, text, more = {}) => newLine(key, { speaker, text, ...more });
const play = (lines, more = {}) => ({ ...newPlay(), cast: { Ava: 'ava' }, lines, ...more });
const done = (more = {}) => ({ state: 'done', duration_ms: 1000, ...more });

test('a play is ordered whole, without empty lines and idle roles', () => {
  const two = play([line('a', ' Ava ', ' Hello. '), line('b', 'Ava', '  '), line('c', 'Ava', 'Bye.', { speed: 1.5, pauseMs: 800 })], { cast: { Ava: 'ava', Ben: 'ben' } });
  assert.deepEqual(playToOrder(two), {
    title: '', cast: { Ava: 'ava' }, gap_ms: 250,
    script: [{ speaker: 'Ava', text: 'Hello.' }, { speaker: 'Ava', text: 'Bye.', speed: 1.5, pause_before_ms: 800 }],
  });
  assert.deepEqual(lineToChange(two.lines[0], two.cast), { speaker: 'Ava', text: 'Hello.', voice: 'ava', speed: 1 });
});

test('what was edited after it was asked for is changed, and only that', () => {
  const asked = withRender(play([line('a', 'Ava', 'Hello.'), line('b', 'Ava', 'Bye.')]), 'r1');
  const edited = { ...asked, lines: [{ ...asked.lines[0], text: 'Hallo.' }, asked.lines[1]] };
  assert.deepEqual(edited.lines.map((one) => isChanged(edited, one)), [true, false]);
  assert.ok(canPatch(edited));
  assert.ok(isChanged({ ...asked, cast: { Ava: 'ben' } }, asked.lines[0]), 'another voice is a change');
  const spaced = { ...asked.lines[0], text: ' Hello. ' };
  assert.ok(!isChanged(asked, spaced), 'white space is none');
});

test('another order, a line more or less, or another gap is a new render', () => {
  const asked = withRender(play([line('a', 'Ava', 'Hello.'), line('b', 'Ava', 'Bye.')]), 'r1');
  assert.ok(!canPatch({ ...asked, lines: [...asked.lines].reverse() }));
  assert.ok(!canPatch({ ...asked, lines: asked.lines.slice(1) }));
  assert.ok(!canPatch({ ...asked, gapMs: 0 }));
  assert.ok(canPatch({ ...asked, lines: [...asked.lines, line('c', 'Ava', ' ')] }), 'an empty line is nobody’s');
});

test('what was rendered is opened as if it had just been ordered', () => {
  const voice = { name: 'low' };
  const said = (line, text, chapter, more = {}) => ({ line, speaker: 'Ava', text, chapter, speed: 1, direction: '', pause_before_ms: null, voice, ...more });
  const render = {
    id: 'r1', title: 'The pier', settings: {}, chapters: ['', 'Two'],
    script: [said(0, 'Hello.', 0), said(1, 'Bye.', 1, { speed: 1.5, pause_before_ms: 800, direction: 'low' }), said(2, 'Gone.', 1)],
  };
  const opened = renderToPlay(render, ['a', 'b', 'c'], () => 'ava');
  assert.deepEqual(opened.render.order, ['a', 'b', 'c']);
  assert.ok(canPatch(opened));
  assert.ok(!opened.lines.some((one) => isChanged(opened, one)));
  assert.deepEqual(playToOrder(opened).script, [
    { speaker: 'Ava', text: 'Hello.' }, { speaker: 'Ava', text: 'Bye.', speed: 1.5, pause_before_ms: 800, direction: 'low', chapter: 'Two' },
    { speaker: 'Ava', text: 'Gone.' },
  ]);
  assert.deepEqual(readPlay(JSON.parse(JSON.stringify(opened))), opened, 'and is kept like that');
  assert.match(renderLine({ lines: 1, state: 'done', created_at: 0 }, 86400000), /^1 line · done · .*19/);
});

test('a line goes through its states', () => {
  const one = line('a', 'Ava', 'Hello.');
  const asked = withRender(play([one]), 'r1');
  const state = (told, isCancelled) => lineState(asked, one, new Map(told ? [['a', told]] : []), isCancelled);
  assert.equal(lineState(play([one]), one, new Map()), 'draft');
  assert.deepEqual([state(null), state({ state: 'making' }), state(done()), state({ state: 'failed' })], ['queued', 'making', 'ready', 'failed']);
  assert.deepEqual([state({ state: 'making' }, true), state(done(), true)], ['cancelled', 'ready']);
});

test('the whole is told in one line', () => {
  const asked = withRender(play(['a', 'b', 'c'].map((key) => line(key, 'Ava', 'Hello.'))), 'r1');
  const made = new Map([['a', done()], ['b', { state: 'failed' }]]);
  const shown = progressOf(asked, made, { state: 'rendering', waiting: 'talk' }, 0.0005);
  assert.equal(shown.words, '1 of 3 lines ready, about 2 s left, paused while somebody talks, 1 failed');
  assert.deepEqual([shown.ready, shown.isRunning, shown.toMake], [1, true, 1]);
  assert.equal(progressOf(play([line('a', 'Ava', 'Hello.')]), new Map(), null).words, '1 line, not rendered yet');
  assert.equal(progressOf(newPlay(), new Map(), null).words, '');
});

test('lines lie one after the other, their pauses between them', () => {
  const asked = withRender(play([line('a', 'Ava', 'Hello.'), line('b', 'Ava', 'Bye.', { pauseMs: 800 }), line('c', 'Ava', 'x'.repeat(10))]), 'r1');
  const { places, totalMs } = timeline(asked, new Map([['a', done()], ['b', done()]]));
  assert.deepEqual(places.map(({ startMs, lengthMs, isReady }) => [startMs, lengthMs, isReady]), [[0, 1000, true], [1800, 1000, true], [3050, 650, false]]);
  assert.equal(totalMs, 3700);
  assert.deepEqual([clockWords(61500), clockWords(3661000)], ['1:01', '1:01:01']);
  assert.equal(fileName('../Ein <b>Hafen</b>', 'mp3'), 'Ein bHafenb.mp3');
});

test('what a browser has kept is not trusted', () => {
  for (const bad of [null, 3, {}, { lines: 'x' }]) assert.deepEqual(readPlay(bad), newPlay());
  const read = readPlay({ lines: [{ key: 'a', speaker: 1, text: 'x', speed: 99 }, { text: 'no key' }], cast: { A: 3, B: 'ben' }, gapMs: -1, title: 7, render: { id: 3 } });
  assert.deepEqual(read, { title: '', gapMs: 250, cast: { B: 'ben' }, lines: [{ key: 'a', speaker: '', text: 'x', speed: 1, pauseMs: 0 }], render: null });
  const whole = withRender(play([line('a', 'Ava', 'Hello.')]), 'r1');
  assert.deepEqual(readPlay(JSON.parse(JSON.stringify(whole))), whole);
});

test('a script that is pasted is cut into lines', () => {
  const cut = (text) => textToLines(text).map(({ speaker, text: words, pauseMs }) => `${speaker}|${words}|${pauseMs}`);
  assert.deepEqual(cut('# A comment\nAva: Good morning.\n[pause 800ms]\nBen (yawning): Tea?\nIt is late.\n\n**Cleo**: No.'), [
    'Ava|Good morning.|0', 'Ben|Tea?|800', 'Ben|It is late.|0', 'Cleo|No.|0',
  ]);
  assert.deepEqual(cut('[SPEAKER0] Hi.\n[SPEAKER1]: Hello.'), ['Speaker 1|Hi.|0', 'Speaker 2|Hello.|0']);
  assert.deepEqual(cut('One is here. Two, too! "Three?" he said'), ['Narrator|One is here.|0', 'Narrator|Two, too!|0', 'Narrator|"Three?"|0', 'Narrator|he said|0']);
  assert.deepEqual(cut('https://example.org is a link.'), ['Narrator|https://example.org is a link.|0']);
  assert.deepEqual(cut('***\n\n---'), []);
  assert.deepEqual(speakersOf(textToLines('Ava: A.\nBen: B.\nAva: C.')), [['Ava', 2], ['Ben', 1]]);
});
