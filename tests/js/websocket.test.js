import assert from 'node:assert/strict';
import test from 'node:test';
import { retryDelayMs } from '../../frontend/js/websocket.js';

test('the wait doubles from half a second to ten', () => {
  const waits = [0, 1, 2, 3, 4, 5, 60].map((attempt) => retryDelayMs(attempt, 0.5));
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 10000, 10000]);
});

test('pages that lost the same server come back 20 % apart', () => {
  assert.equal(Math.round(retryDelayMs(0, 0)), 400);
  assert.equal(Math.round(retryDelayMs(0, 1)), 600);
});
