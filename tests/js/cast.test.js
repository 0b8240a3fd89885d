import assert from 'node:assert/strict';
import test from 'node:test';
import { whoAnswers } from '../../frontend/js/talk/cast.js';

const characters = [{ id: 'ava', name: 'Ava' }, { id: 'ben', name: 'Ben' }, { id: 'cleo', name: 'Cleo O’Neil' }];
const ask = (more) => whoAnswers({ order: 'choose', characters, chosen: '', last: '', muted: [], text: '', ...more });

test('the chosen one answers until another is chosen', () => {
  assert.equal(ask({}), 'ava');
  assert.equal(ask({ chosen: 'ben', last: 'cleo', text: 'Hello Cleo' }), 'ben');
  assert.equal(ask({ chosen: 'gone' }), 'ava');
});

test('in turn, each answers once before anybody answers twice', () => {
  assert.equal(ask({ order: 'turns' }), 'ava');
  assert.deepEqual(['ava', 'ben', 'cleo'].map((last) => ask({ order: 'turns', last })), ['ben', 'cleo', 'ava']);
});

test('whoever is named answers, as a whole word in any case; else the last one', () => {
  const named = (text, last = 'ben') => ask({ order: 'named', text, last });
  assert.equal(named('AVA, what is new?'), 'ava');
  assert.equal(named('What does cleo o’neil think?'), 'cleo');
  assert.equal(named('I have an available bench.'), 'ben');
  assert.equal(named('Cleo O’Neil before Ava.'), 'cleo');
  assert.equal(named('Nobody.', ''), 'ava');
});

test('who is left out never answers, and with all left out nobody is named', () => {
  assert.equal(ask({ order: 'turns', last: 'ava', muted: ['ben'] }), 'cleo');
  assert.equal(ask({ order: 'named', text: 'Ben?', last: 'ben', muted: ['ben'] }), 'ava');
  assert.equal(ask({ chosen: 'ben', muted: ['ben'] }), 'ava');
  assert.equal(ask({ muted: ['ava', 'ben', 'cleo'] }), null);
  assert.equal(ask({ characters: [] }), null);
});
