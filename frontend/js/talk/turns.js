/**
 * What the page knows of each turn and its sentences, and the one place that changes a sentence's status.
 * Knows nothing of the socket or of the player: it is told what they said.
 */
import { msHeardBefore, wasHeardBefore } from '../sound/heard-place.js';
import { placeInWords } from './captions.js';
import { isToCome, mergeServerState, statusAfterCut } from './states.js';
import { closeConversation, renderSentence, renderTurnEnd } from '../transcript/chatui.js';
import { renderCaption } from '../page/now.js';
import { clearQueue, renderJob, renderTurnHead } from '../queue/voice-queue.js';

const MOST_TURNS = 200;

const turns = new Map();
let isSilentPage = false;

/** Here no sound can be made at all: nothing is called skipped that could not have been heard. */
export function keepSilent() {
  isSilentPage = true;
}

/** The turn of that number, new if need be. */
export function turnOf(number) {
  const known = turns.get(number);
  if (known) return known;
  const turn = {
    number, isStarted: false, isEnded: false, isCut: false, isSpeechEnded: false, hasFrames: false, isHeard: false,
    playing: null, soundsSince: null, asked: '', hasText: false, failure: '', firstSoundMs: null, underruns: 0, sentences: new Map(),
  };
  turns.set(number, turn);
  if (turns.size > MOST_TURNS) turns.delete(Math.min(...turns.keys()));
  return turn;
}

/** A turn of before, of which nothing is to come, unless the log has it after all. */
export function keepTurn(number) {
  if (!turns.has(number)) Object.assign(turnOf(number), { isKept: true, isEnded: true, isHeard: true });
}

export function beginTurn(turn) {
  if (turn.isKept) Object.assign(turn, { isKept: false, isEnded: false, isHeard: false });
  turn.isStarted = true;
}

export function knownTurn(number) {
  return turns.get(number);
}

/** Oldest first. */
export function allTurns() {
  return [...turns.values()].sort((a, b) => a.number - b.number);
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
  clearQueue();
  renderCaption('', 0, null);
}

export function sentenceOf(turn, number) {
  const known = turn.sentences.get(number);
  if (known) return known;
  const sentence = {
    number, text: '', character: '', status: 'queued', durationMs: null, heardMs: 0, restartMs: 0, madeMs: 0, isReceived: false,
    reason: '', attempt: 0, hasFailed: false, worker: '', queueMs: null, firstAudioMs: null, isCached: false,
  };
  turn.sentences.set(number, sentence);
  return sentence;
}

function setStatus(turn, sentence, status) {
  sentence.status = status;
  if (sentence.text) renderSentence(turn.number, sentence);
  renderJob(turn, sentence);
}

/** What the server says of a sentence. */
export function updateSentence(turn, message) {
  const sentence = sentenceOf(turn, message.sentence);
  sentence.text = message.text || sentence.text;
  sentence.character = message.character ?? sentence.character;
  sentence.durationMs = message.duration_ms ?? sentence.durationMs;
  sentence.restartMs = message.restart_ms ?? sentence.restartMs;
  sentence.attempt = message.attempt ?? sentence.attempt;
  sentence.worker = message.worker ?? sentence.worker;
  sentence.queueMs = message.queue_ms ?? sentence.queueMs;
  sentence.firstAudioMs = message.first_audio_ms ?? sentence.firstAudioMs;
  sentence.isCached = message.cached ?? sentence.isCached;
  sentence.hasFailed = message.state === 'failed';
  const merged = mergeServerState(sentence.status, message.state);
  const status = merged === 'ready' && wasHeardBefore(turn.number, message.sentence, false) ? 'played' : merged;
  setStatus(turn, sentence, turn.isCut ? statusAfterCut({ ...sentence, status }) : status);
}

/** So much more of its sound is here. */
export function addSound(turn, number, ms, isLast) {
  const sentence = sentenceOf(turn, number);
  if (sentence.madeMs === 0) sentence.madeMs = msHeardBefore(turn.number, number);
  sentence.madeMs += ms;
  sentence.isReceived ||= isLast;
  renderJob(turn, sentence);
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
  moveCaption(sentence);
}

export function moveSentence(turn, ms) {
  const { playing } = turn;
  playing.heardMs = ms;
  renderJob(turn, playing);
  moveCaption(playing);
}

function moveCaption(sentence) {
  renderCaption(sentence.text, ...placeInWords(sentence));
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
    const { status } = sentence;
    const isLeft = status === 'queued' || status === 'synthesizing' || (status === 'ready' && !isKept);
    if (isLeft) setStatus(turn, sentence, statusUnheard(status, isHeard));
  }
  finishTurnHead(turn);
}

function statusUnheard(status, isHeard) {
  if (status === 'ready' && isHeard) return 'played';
  return isSilentPage ? 'silent' : 'skipped';
}

function finishTurnHead(turn) {
  renderTurnEnd(turn.number, turn.isCut);
  renderTurnHead(turn);
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
  finishTurnHead(turn);
  renderCaption('', 0, null);
}

/** As cutTurn, for a page that did not hear the turn itself: another one did, or it was before a reload. */
export function cutUnheardTurn(turn, heard) {
  for (const sentence of turn.sentences.values()) {
    if (sentence.status !== 'failed') sentence.status = sentence.number < heard.sentence ? 'played' : 'ready';
  }
  cutTurn(turn, heard);
}

/** Sound that can no longer be had: all that has not come whole, up to the sentence where it goes on (null: none follows). */
export function missSentences(turn, nextSentence) {
  for (const sentence of turn.sentences.values()) {
    const isBefore = nextSentence === null || sentence.number < nextSentence;
    if (isBefore && !sentence.isReceived && isToCome(sentence.status) && sentence.status !== 'playing') setStatus(turn, sentence, 'missed');
  }
}
