import assert from 'node:assert/strict';
import test from 'node:test';
import { isCast, isWish, likelyNext, sameCast, withMember, withMoved, withMuted, withOnly, withoutMember } from '../../frontend/js/cast/casting.js';

const member = (id, isMuted = false) => ({ id, name: id.toUpperCase(), colour: '#123456', is_muted: isMuted });
const cast = (ids, more = {}) => ({ members: ids.map((id) => member(id)), order: 'talk', answers: 0, ...more });

test('who joins comes last, once, and those who are two answer each other', () => {
  const wish = withMember(cast(['a']), 'b');
  assert.deepEqual(wish, { characters: ['a', 'b'], muted: [], order: 'talk', answers: 1 });
  assert.deepEqual(withMember(cast(['a', 'b']), 'b').characters, ['a', 'b']);
  assert.equal(withMember(cast(['a', 'b']), 'c').answers, 0, 'what was chosen stays');
  assert.equal(withMember(cast([...'abcdefgh']), 'i').characters.length, 8);
});

test('somebody is always left, and somebody who may speak', () => {
  assert.deepEqual(withoutMember(cast(['a']), 'a').characters, ['a']);
  const quiet = { ...cast([]), members: [member('a'), member('b', true)] };
  assert.deepEqual(withoutMember(quiet, 'a'), { characters: ['b'], muted: [], order: 'talk', answers: 0 });
  assert.deepEqual(withMuted(quiet, 'a', true).muted, ['b']);
  assert.deepEqual(withMuted(quiet, 'b', false).muted, []);
  assert.deepEqual(withOnly(quiet, 'c'), { characters: ['c'], muted: [], order: 'talk', answers: 0 });
});

test('a member moves by one place, and stays at the ends', () => {
  const moved = (id, by) => withMoved(cast(['a', 'b', 'c']), id, by).characters.join('');
  assert.deepEqual([moved('b', -1), moved('b', 1), moved('a', -1), moved('c', 1), moved('x', 1)], ['bac', 'acb', 'abc', 'abc', 'abc']);
});

test('what the page can know of who is next, and what it cannot', () => {
  const three = cast(['a', 'b', 'c'], { order: 'list' });
  assert.equal(likelyNext(three, 'B'), 'c');
  assert.equal(likelyNext(three, 'C'), 'a');
  assert.equal(likelyNext(three, 'nobody'), 'a');
  assert.equal(likelyNext({ ...three, members: [member('a', true), member('b')] }, 'B'), 'b');
  assert.equal(likelyNext({ ...three, order: 'talk' }, 'A'), '', 'that depends on what is said');
  assert.equal(likelyNext(cast(['a']), ''), 'a');
});

test('what is no cast or no wish is none', () => {
  assert.ok(isCast(cast(['a'])));
  for (const bad of [null, {}, cast([]), { ...cast(['a']), order: 'x' }, { members: [{ id: 1 }], order: 'talk', answers: 0 }]) assert.ok(!isCast(bad));
  const wish = { characters: ['a'], muted: [], order: 'list', answers: 4 };
  assert.ok(isWish(wish));
  for (const bad of [3, {}, { ...wish, characters: [] }, { ...wish, answers: 5 }, { ...wish, muted: 'a' }, { ...wish, characters: [1] }]) assert.ok(!isWish(bad));
  assert.ok(sameCast({ characters: ['a', 'b'], muted: [], order: 'talk', answers: 0 }, cast(['a', 'b'])));
  assert.ok(!sameCast({ characters: ['b', 'a'], muted: [], order: 'talk', answers: 0 }, cast(['a', 'b'])));
});
