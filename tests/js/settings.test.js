import assert from 'node:assert/strict';
import test from 'node:test';

const stored = new Map();
const news = [];
let loads = 0;

Object.assign(globalThis, {
  localStorage: { getItem: (key) => stored.get(key) ?? null, setItem: (key, text) => stored.set(key, text) },
  sessionStorage: { getItem: (key) => stored.get(key) ?? null, setItem: (key, text) => stored.set(key, text) },
  CustomEvent: function CustomEvent(type, { detail }) { return { type, detail }; },
  document: { dispatchEvent: ({ detail }) => news.push(detail.name) },
});

async function load(name) {
  loads += 1;
  return import(`../../frontend/js/${name}?load=${loads}`);
}

test('a setting outlives the page', async () => {
  stored.clear();
  (await load('page/settings.js')).changeSetting('theme', 'dark');
  assert.deepEqual(news.splice(0), ['theme']);
  assert.equal((await load('page/settings.js')).settings.theme, 'dark');
});

test('what is no setting is none, whoever has stored it', async () => {
  for (const text of ['{', 'null', '3', '{"theme":"pink","volume":7,"cast":{"characters":[1]},"zzz":1,"__proto__":{"x":1}}']) {
    stored.set('cueline.settings', text);
    const { settings, changeSetting } = await load('page/settings.js');
    assert.deepEqual([settings.theme, settings.volume, settings.cast, settings.zzz, settings.x], ['system', 1, null, undefined, undefined]);
    changeSetting('theme', 'pink');
    changeSetting('toString', 'x');
    assert.deepEqual(news, []);
  }
});

test('a trouble is told once, also after a reload, and a new session has its own', async () => {
  stored.clear();
  const before = await load('talk/told.js');
  assert.equal(before.isTold('a', '9-0'), false);
  before.keepTold('a', '9-0');
  before.keepTold('a', '3-0');
  const after = await load('talk/told.js');
  assert.deepEqual(['3-0', '9-0', '10-0'].map((event) => after.isTold('a', event)), [true, true, false]);
  assert.equal(after.isTold('b', '3-0'), false);
});
