import assert from 'node:assert/strict';
import test from 'node:test';

const stored = new Map();
let loads = 0;

globalThis.sessionStorage = { getItem: (key) => stored.get(key) ?? null, setItem: (key, text) => stored.set(key, text) };

/** As a page does that is loaded anew. */
async function load() {
  loads += 1;
  return import(`../../frontend/js/sound/heard-place.js?load=${loads}`);
}

async function listen() {
  stored.clear();
  const page = await load();
  page.openHeardPlace('a', true);
  return page;
}

async function reload(session = 'a') {
  const page = await load();
  page.openHeardPlace(session, false);
  return page;
}

test('a new session has all of its sound before it', async () => {
  const page = await listen();
  assert.deepEqual(page.lastHeardFrame(), { turn: 0, sentence: undefined, part: undefined });
});

test('after a reload the sound goes on behind the last frame that was heard', async () => {
  (await listen()).keepHeardPlace({ turn: 1, sentence: 2, part: 3, ms: 340, isWhole: false });
  const page = await reload();
  assert.deepEqual(page.lastHeardFrame(), { turn: 1, sentence: 2, part: 3 });
  assert.deepEqual([page.msHeardBefore(1, 2), page.msHeardBefore(1, 3), page.msHeardBefore(0, 2)], [340, 0, 0]);
  assert.deepEqual([[1, 1], [1, 2], [1, 3], [2, 0]].map(([turn, sentence]) => page.wasHeardBefore(turn, sentence, true)), [true, false, false, false]);
  assert.deepEqual([page.wasHeardBefore(0, 9, false), page.wasHeardBefore(0, 9, true)], [false, true]);
});

test('a turn that was heard or cut does not come back', async () => {
  const before = await listen();
  before.keepHeardPlace({ turn: 0, sentence: 1, part: 4, ms: 440, isWhole: true });
  before.closeHeardTurn(0);
  let page = await reload();
  assert.deepEqual(page.lastHeardFrame(), { turn: 1 });
  assert.deepEqual([page.wasHeardBefore(0, 1, true), page.wasHeardBefore(0, 2, true)], [true, false]);
  page.closeHeardTurn(3, undefined);
  page = await reload();
  assert.deepEqual([page.lastHeardFrame(), page.wasHeardBefore(3, 0, true)], [{ turn: 4 }, false]);
});

test('the place goes onward only, and belongs to one session', async () => {
  const before = await listen();
  before.keepHeardPlace({ turn: 2, sentence: 0, part: 0, ms: 40, isWhole: false });
  before.keepHeardPlace({ turn: 1, sentence: 5, part: 9, ms: 940, isWhole: true });
  assert.equal((await reload()).lastHeardFrame().turn, 2);
  assert.equal((await reload('b')).lastHeardFrame(), null);
});

test('what is no place is none', async () => {
  for (const text of ['{', 'null', '{"session":"a"}', '{"session":"a","place":{"turn":"x"}}']) {
    stored.set('cueline.heard', text);
    assert.equal((await reload()).lastHeardFrame(), null);
  }
});
