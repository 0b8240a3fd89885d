import assert from 'node:assert/strict';
import test from 'node:test';
import { retryDelayMs } from '../../frontend/js/wire/websocket.js';

test('the wait doubles from half a second', () => {
  const waits = [0, 1, 2, 3, 4, 5, 60].map((attempt) => retryDelayMs(attempt, 0.5));
  assert.deepEqual(waits, [500, 1000, 2000, 2400, 2400, 2400, 10000]);
});

test('for half a minute no wait is longer than 3 s', () => {
  for (const chance of [0, 1]) {
    for (let attempt = 0, passedMs = 0; passedMs < 30000; attempt += 1) {
      const waitMs = retryDelayMs(attempt, chance);
      assert.ok(waitMs <= 3000, `${waitMs} ms after ${passedMs} ms`);
      passedMs += waitMs;
    }
  }
});

test('pages that lost the same server come back 20 % apart', () => {
  assert.equal(Math.round(retryDelayMs(0, 0)), 400);
  assert.equal(Math.round(retryDelayMs(0, 1)), 600);
});

test('a server that restarts is asked again at once, then soon, and not for ever', () => {
  assert.deepEqual([0, 1, 39].map((attempt) => retryDelayMs(attempt, 0.5, true)), [0, 250, 250]);
  assert.equal(retryDelayMs(40, 0.5, true), 10000);
});
