/**
 * What each message and frame of the server means for the talk. Knows no element of the page and no sample.
 */
import { resumeMessage } from '../wire/protocol.js';
import { comeBack, lastEvent, send } from '../wire/websocket.js';
import { endTurn, hasWorklets, isSounding, newestFrame, playFrame, resetPlayer } from '../sound/audio-player.js';
import { lastHeardFrame, openHeardPlace } from '../sound/heard-place.js';
import { samplesToMs } from '../sound/pcm.js';
import {
  acceptTurn, awaitedTurn, beginAnew, confirmMessage, findLine, noteHeard, settle, stopSpeech, takeTextBack,
} from './conversation.js';
import { hearCast, hearCastRefused } from '../cast/members.js';
import { loadPeople } from '../cast/people.js';
import { bargeIn } from './barge-in.js';
import { markStep, restartStopwatch } from './latency.js';
import { hearAudioUnexpected, hearListeningRefused, hearListeningStatus, lastVoiceMs, listenAgain } from './listening.js';
import { playingTurn, reportSoon } from './playback.js';
import { isPlayingAgain } from './replay.js';
import { isTold, keepTold } from './told.js';
import { hearTuning } from './tuning.js';
import {
  addSound, closeTurn, cutTurn, cutUnheardTurn, explainFailure, forgetTurns, isUnheard, knownTurn, missSentences, newestTurn, turnOf,
  updateSentence,
} from './turns.js';
import { dropPartial, renderFailure, renderReplyText, renderUserText } from '../transcript/chatui.js';
import { showNotice, showToast } from '../page/notices.js';
import { forgetSaving, showSaving } from '../talks/saving.js';
import { limitText } from '../page/text-box.js';
import { showTuningRefused } from '../page/tuning-fields.js';

const RECOGNIZER_CODES = ['recognizer_failed', 'recognizer_unavailable', 'recognizer_lost', 'no_recognizer', 'recognition_failed'];
const VOICE_ENGINE_CODES = ['no_worker', 'engine_unavailable', 'queue_unreachable', 'store_unreachable', 'worker_lost'];

let sessionId = null;
let hasAskedForSound = false;
let missedTurn = null;

const handlers = {
  session: handleSession,
  status: handleStatus,
  final_transcript: handleFinalTranscript,
  partial_transcript: handlePartialTranscript,
  turn: handleTurn,
  llm_response: handleReplyText,
  sentence: handleSentence,
  tts_start: handleSpeechStart,
  tts_end: handleSpeechEnd,
  tts_stop: handleSpeechStop,
  barge_in: handleBargeIn,
  stop_acknowledged: handleSpeechStop,
  interrupt_acknowledged: handleInterrupted,
  gap: handleGap,
  saving: ({ state }) => showSaving(state),
  cast: (message) => hearCast(message),
  settings: hearTuning,
  error: handleError,
};

export function handleMessage(message) {
  handlers[message.type]?.(message);
}

function handleSession(message) {
  const isNew = sessionId !== null && (sessionId !== message.session_id || !message.resumed);
  if (isNew) {
    beginAnew();
    resetPlayer();
    forgetTurns();
    forgetSaving();
  }
  sessionId = message.session_id;
  dropPartial();
  limitText(message.limits?.text_chars ?? Infinity);
  openHeardPlace(sessionId, !message.resumed);
  if (message.resumed) sendResume();
  else hasAskedForSound = true;
  hearCast(message.cast, !message.resumed);
  hearTuning(message.settings ?? {});
  announce('session_open', message);
  if (typeof message.notice === 'string') showNotice(message.notice);
  findLine();
  listenAgain();
}

/** After a reload no frame has come yet: the ear's own place says what is still to be heard. */
function sendResume() {
  const heard = hasWorklets() && !newestFrame() ? lastHeardFrame() : null;
  const awaited = heard ? null : awaitedTurn() ?? missedTurn;
  hasAskedForSound = Boolean(heard ?? newestFrame()) || awaited !== null;
  send(resumeMessage(heard ?? newestFrame(), lastEvent(), awaited));
  missedTurn = null;
}

function handleStatus({ status }) {
  if (status === 'listening') hearListeningStatus();
  else if (status === 'stopped') dropPartial();
}

/** stable: the words that will stay. Nothing at all: it was no speech. */
function handlePartialTranscript({ content, stable, at }) {
  renderUserText(newestTurn() + 1, content, { isFinal: false, stableChars: stable?.length ?? 0, at });
}

function handleFinalTranscript({ turn, content, id, source, at }) {
  confirmMessage(id);
  if (source === 'voice') {
    const saidMs = lastVoiceMs();
    restartStopwatch(saidMs);
    if (saidMs !== undefined) markStep('understood');
    noteHeard();
  }
  const number = turn ?? newestTurn() + 1;
  turnOf(number).asked = content;
  renderUserText(number, content, { isFinal: true, at });
  settle();
}

function handleTurn(message) {
  const turn = turnOf(message.turn);
  if (message.state === 'started') acceptTurn(turn);
  else if (message.state === 'ended') finishTurn(turn, message.reason);
}

/** A page that may not sound yet must not be left waiting: the text alone ends the turn, the sound is kept. */
function finishTurn(turn, reason) {
  turn.isEnded = true;
  if (reason === 'complete' && isHeardElsewhere(turn)) askForWhole(turn.number);
  endSpeech(turn);
  if ((reason === 'interrupted' || reason === 'stopped') && !turn.isCut) cutTurn(turn, null);
  if (reason === 'failed' && !turn.hasText) renderFailure(turn.number, turn.failure || 'There was no answer.');
  if (!isUnheard(turn)) closeTurn(turn);
  else if (!isSounding()) closeTurn(turn, true);
  settle();
}

function handleReplyText({ turn, character, content, is_complete: isComplete, at }) {
  const known = turnOf(turn);
  if (content.trim()) known.hasText = true;
  if (!known.hasText) return;
  markStep('token');
  renderReplyText(turn, character ?? '', content, isComplete === true, at);
}

function handleSentence(message) {
  markStep('sentence');
  updateSentence(turnOf(message.turn), message);
}

function handleSpeechStart({ turn, at }) {
  turnOf(turn).soundsSince = at ?? null;
}

function handleSpeechEnd(message) {
  endSpeech(turnOf(message.turn));
}

function endSpeech(turn) {
  if (turn.isSpeechEnded) return;
  turn.isSpeechEnded = true;
  if (turn.hasFrames) endTurn(turn.number);
}

/** The server says stop: another page of this session, another message, or the voice of the person. */
function handleSpeechStop(message) {
  const turn = knownTurn(message.turn ?? playingTurn ?? newestTurn());
  const hasMore = turn && (isUnheard(turn) || !turn.isEnded);
  if (hasMore && !turn.isCut) stopSpeech(turn);
}

/** Where nothing sounds (any more), nobody can be spoken into. An old turn that is played once more only grows softer. */
function handleBargeIn({ state }) {
  if (state !== 'resumed' && playingTurn === null && !isPlayingAgain()) return;
  reportSoon();
  bargeIn(playingTurn === null && state === 'held' ? 'ducked' : state);
}

/** Another page may have cut a turn that the server had ended long ago; this one may still be speaking it. */
function handleInterrupted({ turn: number, heard }) {
  const turn = knownTurn(number);
  if (!turn) return;
  if (isUnheard(turn)) stopSpeech(turn);
  else if (heard && !turn.hasFrames) cutUnheardTurn(turn, heard);
}

/** Something that this page missed can no longer be had. The talk goes on behind it, or the turn is over. */
function handleGap({ what, turn: number, sentence, message, event }) {
  if (what === 'messages') announce('history_gap', { message: isNewsToPerson(event) ? message : '' });
  else if (isNewsToPerson(event)) showToast(message, { code: 'gap' });
  const turn = knownTurn(number);
  if (what !== 'audio' || !turn) return;
  missSentences(turn, sentence ?? null);
  if (sentence === undefined || sentence === null) endSpeech(turn);
  settle();
}

function handleError({ code, message, turn: number, sentence, event, retry_after_s: retryAfterS }) {
  if (code === 'listening_unavailable' && hearListeningRefused(message)) return;
  if (code === 'audio_unexpected') {
    hearAudioUnexpected();
    return;
  }
  if (RECOGNIZER_CODES.includes(code)) {
    if (isNewsToPerson(event)) showToast(message, { code });
    return;
  }
  const turn = knownTurn(number);
  explainFailure(turn, sentence, message);
  if (turn && sentence === undefined) noteFailure(turn, message);
  if (number === undefined) takeTextBack();
  if (VOICE_ENGINE_CODES.includes(code)) announce('voice_doubtful');
  if (code === 'character_unknown') loadPeople();
  if (code === 'model_unknown') showTuningRefused(message);
  if ((code === 'character_unknown' || code === 'cast_invalid') && hearCastRefused()) return;
  if (isNewsToPerson(event) && !(turn && sentence === undefined && !turn.hasText)) {
    showToast(retryAfterS > 0 ? `${message} Try again in ${retryAfterS} s.` : message, { code, isError: true });
  }
}

/** A reply that broke off says so where it stands; one that never began stands there instead of an empty one. */
function noteFailure(turn, message) {
  turn.failure = message;
  renderFailure(turn.number, message);
}

/** What the log repeats after a reload is told once. */
function isNewsToPerson(event) {
  if (event === undefined) return true;
  if (isTold(sessionId, event)) return false;
  keepTold(sessionId, event);
  return true;
}

/** Whoever joins in the middle of a reply hears it from its start. */
function isJoinedLate({ turn, sentence, part }) {
  return !hasAskedForSound && !newestFrame() && (sentence > 0 || part > 0) && !knownTurn(turn)?.isCut;
}

/** A reply that the server has spoken to its end may still be heard by the others for a while. */
function isHeardElsewhere(turn) {
  const lengthMs = [...turn.sentences.values()].reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);
  return !hasAskedForSound && !newestFrame() && turn.number === newestTurn() && turn.soundsSince !== null && Date.now() < turn.soundsSince + lengthMs;
}

function askForWhole(turn) {
  missedTurn = turn;
  hasAskedForSound = true;
  comeBack();
}

export function handleFrame(frame) {
  if (isJoinedLate(frame)) {
    askForWhole(frame.turn);
    return;
  }
  if (!playFrame(frame)) return;
  const turn = turnOf(frame.turn);
  addSound(turn, frame.sentence, samplesToMs(frame.samples.length), frame.isLast);
  if (turn.hasFrames) return;
  turn.hasFrames = true;
  markStep('audio');
  settle();
}

function announce(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}
