import assert from 'node:assert/strict';
import test from 'node:test';
import { checkFields, emptyFields, fieldsOf, freeColour, freeName, isSame, refusalToField, COLOURS } from '../../frontend/js/cast/character-fields.js';
import { groupVoices, languageName } from '../../frontend/js/cast/voice-groups.js';

const fields = (more = {}, voice = {}) => ({ ...emptyFields(), name: 'Eve', ...more, voice: { ...emptyFields().voice, ...voice } });

test('what is fine has no problem, and what is not has one each', () => {
  assert.deepEqual(checkFields(fields()), {});
  assert.deepEqual(Object.keys(checkFields(fields({ name: '  ', persona: 'x'.repeat(12001) }, { language: 'a b', scene: 'x'.repeat(501) }))).sort(), ['language', 'name', 'persona', 'scene']);
  for (const name of ['a:b', '<b>', '[x]']) assert.match(checkFields(fields({ name })).name, /none of/);
  assert.match(checkFields(fields({ name: 'x'.repeat(200) })).name, /at most 40 letters; these are 200/);
});

test('letters are counted whole, as the server counts them', () => {
  assert.deepEqual(checkFields(fields({ name: '🌊'.repeat(40) })), {});
  assert.ok(checkFields(fields({ name: '🌊'.repeat(41) })).name);
});

test('a refusal of the server stands at its field, or where all can see it', () => {
  assert.equal(refusalToField({ code: 'name_taken', message: 'x' })[0], 'name');
  assert.deepEqual(refusalToField({ code: 'message_invalid', message: 'body.voice.language: Value error, no.' }), ['language', 'no.']);
  assert.deepEqual(refusalToField({ code: 'message_invalid', message: 'body.zzz: no.' }), ['', 'body.zzz: no.']);
  assert.deepEqual(refusalToField({ code: 'store_unreachable', message: 'Away.' }), ['', 'Away.']);
});

test('a copy has a name of its own and the least used colour', () => {
  assert.equal(freeName('Ava', ['Ava', 'ava 2']), 'Ava 3');
  assert.equal(freeName('Ava 2', ['Ava', 'Ava 2']), 'Ava 3');
  assert.ok([...freeName('x'.repeat(40), [])].length <= 40);
  assert.equal(freeColour(COLOURS.slice(0, 3)), COLOURS[3]);
});

test('only what a person can change counts as a change', () => {
  assert.ok(isSame({ id: 'a', is_own: true, ...fields() }, fields()));
  assert.ok(!isSame(fields({}, { rate: 1.1 }), fields()));
  assert.deepEqual(fieldsOf({}).voice, emptyFields().voice);
});

const voices = [
  { name: 'en+f', label: 'Female, American', language: 'en-us', gender: 'female', engine: 'espeak' },
  { name: 'de', label: 'Anna', language: 'de', engine: 'espeak' },
  { name: 'en+m', label: 'Male, British', language: 'en-gb', gender: 'male', engine: 'espeak' },
];

test('voices are grouped by language, the wanted one first, and found by any word', () => {
  const names = (...args) => groupVoices(voices, ...args).map(({ name, voices: found }) => [name, found.map((voice) => voice.name)]);
  assert.deepEqual(names(), [['English', ['en+f', 'en+m']], ['German', ['de']]]);
  assert.deepEqual(names('', 'de')[0], ['German', ['de']]);
  assert.deepEqual(names('male british'), [['English', ['en+m']]]);
  assert.deepEqual(names('german'), [['German', ['de']]]);
  assert.deepEqual(names('zz'), []);
  assert.equal(languageName('not a tag!'), 'not a tag!');
});
