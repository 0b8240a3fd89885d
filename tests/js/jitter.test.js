import assert from 'node:assert/strict';
import test from 'node:test';
import { finishReply, newPolicy, newReply, noteUnderrun, observeChunk } from '../../frontend/js/sound/jitter.js';

/** A reply of one sentence in 100 ms chunks, the nth of which arrives at arrivals[n]. */
function replyArriving(arrivals) {
  return arrivals.reduce((reply, arrivedMs) => observeChunk(reply, 0, arrivedMs, 100), newReply());
}

function steadily(count, everyMs) {
  return Array.from({ length: count }, (_, index) => index * everyMs);
}

test('the first reply waits for 200 ms', () => assert.equal(newPolicy().targetMs, 200));

test('on a quiet line the wait shrinks to 120 ms and no further', () => {
  assert.equal(finishReply(newPolicy(), replyArriving(steadily(20, 50))).targetMs, 120);
});

test('the wait is the worst lateness of the last four replies and 80 ms', () => {
  let policy = finishReply(newPolicy(), replyArriving([0, 400, 410]));
  assert.equal(policy.targetMs, 380);
  for (let n = 0; n < 3; n += 1) policy = finishReply(policy, replyArriving(steadily(20, 50)));
  assert.equal(policy.targetMs, 380);
  assert.equal(finishReply(policy, replyArriving(steadily(20, 50))).targetMs, 120);
});

test('nobody waits longer than 800 ms', () => {
  assert.equal(finishReply(newPolicy(), replyArriving([0, 5000])).targetMs, 800);
  assert.equal([1, 2, 3, 4, 5].reduce(noteUnderrun, newPolicy()).targetMs, 800);
});

test('an underrun makes the wait half as long again at once', () => {
  assert.equal(noteUnderrun(newPolicy()).targetMs, 300);
});

test('an engine slower than real time is heard in whole sentences, until it is fast again', () => {
  const slow = finishReply(newPolicy(), replyArriving(steadily(30, 130)));
  assert.equal(slow.isHolding, true);
  assert.equal(finishReply(slow, replyArriving(steadily(30, 60))).isHolding, false);
});

test('one underrun does not mean that the engine is slow', () => {
  assert.equal(noteUnderrun(newPolicy()).isHolding, false);
  const oneStall = [...steadily(15, 50), ...steadily(15, 50).map((ms) => ms + 1200)];
  assert.equal(finishReply(newPolicy(), replyArriving(oneStall)).isHolding, false);
});

test('too short a reply judges nothing', () => {
  assert.equal(finishReply(newPolicy(), replyArriving([0, 300, 600])).isHolding, false);
  assert.deepEqual(finishReply(newPolicy(), newReply()), newPolicy());
});

test('a pause of the language model between two sentences is not lateness', () => {
  let reply = replyArriving(steadily(10, 50));
  reply = observeChunk(reply, 1, 9000, 100);
  reply = observeChunk(reply, 1, 9050, 100);
  const policy = finishReply(newPolicy(), reply);
  assert.deepEqual([policy.targetMs, policy.isHolding], [120, false]);
});
