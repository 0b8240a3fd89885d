import assert from 'node:assert/strict';
import test from 'node:test';
import { STATES, canInterrupt, isToCome, mergeServerState, nextState, stateToWords, statusAfterCut } from '../../frontend/js/talk/states.js';

const EVENTS = ['connected', 'lost', 'listen', 'stop', 'send', 'heard', 'speech', 'interrupt', 'done', 'fail'];

const MOVES = [
  ['offline', 'connected', 'idle'], ['idle', 'listen', 'listening'], ['idle', 'send', 'thinking'], ['idle', 'speech', 'speaking'],
  ['listening', 'heard', 'thinking'], ['listening', 'send', 'thinking'], ['listening', 'speech', 'speaking'], ['listening', 'stop', 'idle'],
  ['thinking', 'speech', 'speaking'], ['thinking', 'interrupt', 'interrupted'], ['thinking', 'done', 'idle'], ['thinking', 'fail', 'idle'],
  ['speaking', 'interrupt', 'interrupted'], ['speaking', 'done', 'idle'], ['speaking', 'fail', 'idle'],
  ['interrupted', 'listen', 'listening'], ['interrupted', 'done', 'idle'], ['interrupted', 'send', 'thinking'], ['interrupted', 'heard', 'thinking'],
  ['interrupted', 'speech', 'speaking'],
];

test('the page moves by its table and by nothing else', () => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      const move = MOVES.find(([from, name]) => from === state && name === event);
      const wanted = event === 'lost' ? 'offline' : move?.[2] ?? state;
      assert.equal(nextState(state, event), wanted, `${state} ${event}`);
    }
  }
});

test('an event nobody knows changes nothing', () => {
  assert.equal(nextState('idle', 'toString'), 'idle');
  assert.equal(nextState('speaking', undefined), 'speaking');
});

test('only what thinks or speaks can be interrupted', () => {
  assert.deepEqual(STATES.filter(canInterrupt), ['thinking', 'speaking']);
});

test('each state has its words', () => {
  assert.deepEqual(STATES.map((state) => stateToWords(state)), ['Offline', 'Ready', 'Listening', 'Thinking', 'Speaking', 'Interrupted']);
  assert.equal(stateToWords('speaking', { speaker: 'Ava' }), 'Ava is speaking');
  assert.equal(stateToWords('thinking', { seconds: 1 }), 'Thinking');
  assert.equal(stateToWords('thinking', { seconds: 3 }), 'Thinking, 3 s');
  assert.equal(stateToWords('speaking', { speaker: 'Ava', isAgain: true }), 'Ava, once more');
  assert.equal(stateToWords('speaking', { speaker: 'Ava', isHeld: true }), 'Ava has paused');
  assert.match(stateToWords('thinking', { seconds: 3, isMuted: true }), /^Sound is off/);
  assert.equal(stateToWords('offline', { isMuted: true }), 'Offline');
});

test('the server leads a sentence up to ready', () => {
  assert.equal(mergeServerState('queued', 'speaking'), 'synthesizing');
  assert.equal(mergeServerState('synthesizing', 'done'), 'ready');
  assert.equal(mergeServerState('synthesizing', 'failed'), 'failed');
  assert.equal(mergeServerState('failed', 'queued'), 'queued');
  assert.equal(mergeServerState('queued', 'cancelled'), 'skipped');
  assert.equal(mergeServerState('ready', 'no such state'), 'ready');
  assert.equal(mergeServerState('ready', 'toString'), 'ready');
});

test('what the ear has heard no message changes', () => {
  for (const status of ['playing', 'played', 'interrupted', 'skipped', 'missed']) {
    for (const said of ['queued', 'speaking', 'done', 'failed', 'cancelled']) assert.equal(mergeServerState(status, said), status);
  }
});

test('to come is what can still be heard', () => {
  const all = ['queued', 'synthesizing', 'ready', 'playing', 'played', 'failed', 'interrupted', 'skipped', 'missed', 'silent'];
  assert.deepEqual(all.filter(isToCome), ['queued', 'synthesizing', 'ready', 'playing']);
});

test('a cut leaves what was heard, what failed and what was missed as it is', () => {
  const after = (status, heardMs) => statusAfterCut({ status, heardMs });
  assert.deepEqual(['played', 'failed', 'missed', 'interrupted'].map((status) => after(status, 0)), ['played', 'failed', 'missed', 'interrupted']);
  assert.deepEqual([after('playing', 40), after('playing', 0), after('ready', 0), after('queued', 0)], ['interrupted', 'skipped', 'skipped', 'skipped']);
});
