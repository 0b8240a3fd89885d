import assert from 'node:assert/strict';
import test from 'node:test';
import { groupByDay, keptTurns, talkLine, timeWords, worthListing } from '../../frontend/js/talks/talk-words.js';

const now = new Date(2026, 10, 27, 12, 0).getTime();
const daysAgo = (days) => new Date(2026, 10, 27 - days, 23, 59).getTime();

test('conversations stand under the day they were last spoken in', () => {
  const talks = [0, 1, 3, 6, 40].map((days) => ({ updated_at: Math.min(now, daysAgo(days)) }));
  assert.deepEqual(groupByDay([{}, ...talks], now).map(({ name, talks: found }) => [name, found.length]), [
    ['Today', 2], ['Yesterday', 1], ['This week', 2], ['October 2026', 1],
  ]);
});

test('the time of today, the day of this week, the date before', () => {
  assert.match(timeWords(now, now), /12:00/);
  assert.match(timeWords(daysAgo(2), now), /Wednesday/);
  assert.doesNotMatch(timeWords(daysAgo(30), now), /2026/);
  assert.match(timeWords(daysAgo(400), now), /2025/);
});

test('who, how much, when; somebody who is gone is not named', () => {
  assert.match(talkLine({ character: 'a', turns: 1, updated_at: now }, () => 'Ava', now), /^Ava · 1 turn · /);
  assert.equal(talkLine({ character: 'a', turns: 2 }, () => undefined, now), '2 turns');
});

test('where nothing was said is not listed, but for the open one', () => {
  const talks = [{ id: 'a', turns: 0 }, { id: 'b', turns: 1 }, { id: 'c', turns: 0, title: 'Mine' }, { id: 'd', turns: 0 }];
  assert.deepEqual(worthListing(talks, 'd').map(({ id }) => id), ['b', 'c', 'd']);
});

test('a transcript becomes turns, the newest of them, and nonsense is left out', () => {
  const said = (turn, role, text, heard = text) => ({ turn, role, character: role === 'user' ? '' : 'Ava', text, heard, said_at: 1 });
  const messages = [said(1, 'user', 'b'), said(0, 'user', 'a'), said(1, 'assistant', 'cut off', 'cut'), said(-1, 'user', 'x'), { turn: 'x' }, { turn: 3 }];
  assert.deepEqual(keptTurns({ messages }, 9).map(({ turn, messages: found }) => [turn, found.map(({ name, heard }) => `${name}: ${heard}`)]), [
    [0, ['You: a']], [1, ['You: b', 'Ava: cut']],
  ]);
  assert.deepEqual(keptTurns({ messages }, 1).map(({ turn }) => turn), [1]);
  assert.deepEqual(keptTurns({}, 5), []);
});
