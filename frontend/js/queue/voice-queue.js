/**
 * The voice queue: every sentence of the last turns as a job with its state; older turns are one line each.
 * Knows nothing of the wire or of sound: it is given turns and sentences and shows them.
 */
import { element } from '../transcript/bubbles.js';
import { turnStateWords, turnToLine } from './job-words.js';
import { makeJob, paintJob } from './job.js';

const TURNS_OPEN = 3;
const MOST_TURNS = 40;

const list = document.getElementById('queue-list');
const empty = document.getElementById('queue-empty');
const summary = document.getElementById('queue-summary');
const badge = document.getElementById('queue-badge');
const holding = document.getElementById('queue-holding');

const groups = new Map();
let scrollRequest = 0;

export function clearQueue() {
  groups.clear();
  list.replaceChildren();
  renderSummary();
}

/** A sentence is new, or something about it is. */
export function renderJob(turn, sentence) {
  const group = groups.get(turn.number) ?? addGroup(turn);
  if (!group) return;
  const job = group.jobs.get(sentence.number) ?? addJob(group, turn, sentence.number);
  const before = job.item.dataset.status;
  paintJob(job, turn, sentence, placeInLine(turn, sentence));
  if (before === sentence.status) return;
  renderTurnHead(turn);
  repaintLine(group, turn);
  if (sentence.status === 'playing') keepVisible(job.item);
}

/** Whoever waits behind has moved up by one. */
function repaintLine(group, turn) {
  for (const sentence of turn.sentences.values()) {
    const job = group.jobs.get(sentence.number);
    if (job && sentence.status === 'queued') paintJob(job, turn, sentence, placeInLine(turn, sentence));
  }
}

function placeInLine(turn, sentence) {
  return [...turn.sentences.values()].filter(({ number, status }) => status === 'queued' && number < sentence.number).length;
}

/** The line that stands for a turn. */
export function renderTurnHead(turn) {
  const group = groups.get(turn.number);
  if (!group) return;
  const { toCome, line } = turnToLine(turn);
  group.toCome = toCome;
  group.line.textContent = line;
  group.state.textContent = toCome ? `${toCome} to go` : turnStateWords(turn);
  renderSummary();
}

/** The number of sentences that can still be heard. */
function renderSummary() {
  const toCome = [...groups.values()].reduce((sum, group) => sum + group.toCome, 0);
  summary.textContent = toCome ? `${toCome} to go` : '';
  badge.textContent = toCome;
  badge.hidden = toCome === 0;
  empty.hidden = groups.size > 0;
}

/** The engine is slower than speech: sentences wait until they are whole. */
export function showHolding(isHolding) {
  holding.hidden = !isHolding;
}

function addGroup(turn) {
  if (groups.size >= MOST_TURNS && turn.number < Math.min(...groups.keys())) return null;
  const details = element('details', 'queue-turn');
  const head = element('summary');
  const name = element('strong', '', `Turn ${turn.number + 1}`);
  const line = element('span', 'turn-line');
  const state = element('span', 'turn-state');
  const jobs = element('ol');
  details.dataset.turn = turn.number;
  head.append(name, state, line);
  details.append(head, jobs);
  const group = { details, line, state, list: jobs, jobs: new Map(), toCome: 0 };
  groups.set(turn.number, group);
  const after = [...list.children].find((other) => Number(other.dataset.turn) > turn.number);
  list.insertBefore(details, after ?? null);
  foldOldTurns();
  return group;
}

/** Only the newest turns are open; a person may open the others. */
function foldOldTurns() {
  const numbers = [...groups.keys()].sort((a, b) => b - a);
  numbers.slice(0, TURNS_OPEN).forEach((number) => { groups.get(number).details.open = true; });
  if (numbers.length > TURNS_OPEN) groups.get(numbers[TURNS_OPEN]).details.open = false;
  for (const number of numbers.slice(MOST_TURNS)) {
    groups.get(number).details.remove();
    groups.delete(number);
  }
  if (!scrollRequest) scrollRequest = requestAnimationFrame(showNewest);
}

function showNewest() {
  scrollRequest = 0;
  list.scrollTop = list.scrollHeight;
}

function addJob(group, turn, number) {
  const job = makeJob(turn, number);
  group.jobs.set(number, job);
  const after = [...group.list.children].find((other) => Number(other.dataset.sentence) > number);
  group.list.insertBefore(job.item, after ?? null);
  return job;
}

function keepVisible(item) {
  if (!item.offsetParent || !item.parentElement.parentElement.open) return;
  const top = item.getBoundingClientRect().top - list.getBoundingClientRect().top;
  const below = top + item.offsetHeight - list.clientHeight;
  if (top < 0) list.scrollTop += top;
  else if (below > 0) list.scrollTop += below;
}
