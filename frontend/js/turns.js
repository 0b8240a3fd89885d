/**
 * What the page knows of each turn and its sentences, and the one place that changes a sentence's status.
 * Knows nothing of the socket or of the player: it is told what they said.
 */
import { wasHeardBefore } from './heard-place.js';
import { isToCome, mergeServerState } from './states.js';
import { closeConversation, renderCaption, renderSentence, renderTurnEnd } from './chatui.js';
import { renderJob, renderSummary, showQueue } from './voice-queue.js';

const MOST_TURNS = 200;

const turns = new Map();

/** The turn of that number, new if need be. The queue shows the newest one unless an older one is being heard. */
export function turnOf(number, playingTurn = null) {
  const known = turns.get(number);
  if (known) return known;
  const turn = {
    number, isStarted: false, isEnded: false, isCut: false, isSpeechEnded: false,
    hasFrames: false, isHeard: false, playing: null, sentences: new Map(),
  };
  turns.set(number, turn);
  if (turns.size > MOST_TURNS) turns.delete(Math.min(...turns.keys()));
  if (playingTurn === null && number === newestTurn()) showQueueOf(turn);
  return turn;
}

export function knownTurn(number) {
  return turns.get(number);
}

/** -1 before the first. */
export function newestTurn() {
  return Math.max(-1, ...turns.keys());
}

/** The number of the one that the server is at work on, or null. */
export function runningTurn() {
  return [...turns.values()].findLast((turn) => turn.isStarted && !turn.isEnded && !turn.isCut)?.number ?? null;
}

/** True while frames of one wait to be heard. */
export function hasSoundToCome() {
  return [...turns.values()].some(isUnheard);
}

export function isUnheard(turn) {
  return turn.hasFrames && !turn.isHeard && !turn.isCut;
}

/** A new session counts its turns from 0 again; what was to come of the old one never will. */
export function forgetTurns() {
  for (const turn of turns.values()) {
    if ([...turn.sentences.values()].some(({ status }) => isToCome(status))) cutTurn(turn, null);
  }
  turns.clear();
  closeConversation();
  showQueue(null, []);
  renderCaption('', 0, null);
}

export function showQueueOf(turn) {
  showQueue(turn.number, [...turn.sentences.values()]);
}

function sentenceOf(turn, number) {
  const known = turn.sentences.get(number);
  if (known) return known;
  const sentence = { number, text: '', character: '', status: 'queued', durationMs: null, heardMs: 0, reason: '', attempt: 0, hasFailed: false };
  turn.sentences.set(number, sentence);
  return sentence;
}

function setStatus(turn, sentence, status) {
  sentence.status = status;
  if (sentence.text) renderSentence(turn.number, sentence);
  renderJob(turn.number, sentence);
  renderSummary(turn.number, [...turn.sentences.values()]);
}

/** What the server says of a sentence. */
export function updateSentence(turn, message) {
  const sentence = sentenceOf(turn, message.sentence);
  sentence.text = message.text || sentence.text;
  sentence.character = message.character ?? sentence.character;
  sentence.durationMs = message.duration_ms ?? sentence.durationMs;
  sentence.attempt = message.attempt ?? sentence.attempt;
  sentence.hasFailed = message.state === 'failed';
  const merged = mergeServerState(sentence.status, message.state);
  const status = merged === 'ready' && wasHeardBefore(turn.number, message.sentence, false) ? 'played' : merged;
  setStatus(turn, sentence, turn.isCut ? statusAfterCut({ ...sentence, status }) : status);
}

/** The reason, for a person, why a sentence could not be spoken. */
export function explainFailure(turn, number, reason) {
  const sentence = turn?.sentences.get(number);
  if (!sentence) return;
  sentence.reason = reason;
  setStatus(turn, sentence, sentence.status);
}

/** Its first sample sounds. */
export function startSentence(turn, number) {
  const sentence = sentenceOf(turn, number);
  turn.playing = sentence;
  setStatus(turn, sentence, 'playing');
  renderCaption(sentence.text, 0, sentence.durationMs);
}

export function moveSentence(turn, ms) {
  const { playing } = turn;
  playing.heardMs = ms;
  renderJob(turn.number, playing);
  renderCaption(playing.text, ms, playing.durationMs);
}

/** Its last sample has sounded. */
export function endSentence(turn, number, ms, isFailed) {
  const sentence = sentenceOf(turn, number);
  if (ms > 0) sentence.durationMs = sentence.heardMs = ms;
  setStatus(turn, sentence, isFailed || sentence.hasFailed ? 'failed' : 'played');
}

/** Nothing of the turn is to come; only what was heard is called played. isKept: its sound waits until the page may make one. */
export function closeTurn(turn, isKept = false) {
  turn.playing = null;
  for (const sentence of turn.sentences.values()) {
    const isHeard = wasHeardBefore(turn.number, sentence.number, true);
    if (sentence.status === 'ready' && !isKept) setStatus(turn, sentence, isHeard ? 'played' : 'skipped');
    if (sentence.status === 'queued' || sentence.status === 'synthesizing') setStatus(turn, sentence, 'skipped');
  }
  renderTurnEnd(turn.number, turn.isCut);
}

/**
 * heard: {sentence, ms} or null when nothing was heard, or when that is known already.
 * The voice may have gone on to the next sentence within the fade: the one before it was heard to its end.
 */
export function cutTurn(turn, heard) {
  turn.isCut = true;
  turn.playing = null;
  for (const sentence of turn.sentences.values()) {
    if (sentence.status === 'playing' && heard && sentence.number < heard.sentence) sentence.status = 'played';
    if (heard?.sentence === sentence.number && sentence.status !== 'played') sentence.heardMs = heard.ms;
    setStatus(turn, sentence, statusAfterCut(sentence));
  }
  renderTurnEnd(turn.number, true);
  renderCaption('', 0, null);
}

function statusAfterCut({ status, heardMs }) {
  if (status === 'played' || status === 'interrupted' || status === 'failed') return status;
  return heardMs > 0 ? 'interrupted' : 'skipped';
}

/** As cutTurn, for a page that did not hear the turn itself: another one did, or it was before a reload. */
export function cutUnheardTurn(turn, heard) {
  for (const sentence of turn.sentences.values()) {
    if (sentence.status !== 'failed') sentence.status = sentence.number < heard.sentence ? 'played' : 'ready';
  }
  cutTurn(turn, heard);
}
