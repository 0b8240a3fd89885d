/**
 * What is being heard: moves the sentences on as the player reports them, and tells the server how far the ear is.
 * News travels up as a DOM event, playback_changed (another sentence, or none). Knows nothing of the state of the page or of what a person asks for.
 */
import { playedMessage } from '../wire/protocol.js';
import { send } from '../wire/websocket.js';
import { unlockAudio } from '../sound/audio-player.js';
import { closeHeardTurn, keepHeardPlace } from '../sound/heard-place.js';
import { markStep, notePace, noteUnderruns } from './latency.js';
import { stopAgain } from './replay.js';
import { closeTurn, endSentence, moveSentence, startSentence, turnOf } from './turns.js';
import { readAloud, renderCaption, renderLevel } from '../page/now.js';
import { showToast } from '../page/notices.js';
import { renderTurnHead, showHolding } from '../queue/voice-queue.js';

const PLAYED_EVERY_MS = 1000;

/** The number of the turn that is being heard, or null. */
export let playingTurn = null;

let reportedMs = 0;
let closeSoundToast = null;

/** That turn and those before it are heard no more. */
export function stopHearing(number) {
  if (playingTurn !== null && playingTurn <= number) playingTurn = null;
}

/** Whoever cuts in is about to end the reply: the server must know how far it was heard. */
export function reportSoon() {
  reportedMs = -Infinity;
}

function onStreamStart({ detail }) {
  stopAgain();
  playingTurn = detail.turn;
  const turn = turnOf(detail.turn);
  turn.firstSoundMs ??= markStep('sound');
  renderTurnHead(turn);
}

function onSentenceStart({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut) return;
  reportedMs = 0;
  startSentence(turn, detail.sentence);
  readAloud(turn.playing.text);
  announce('playback_changed');
}

/** A position that comes after the cut would bring caption and meter back. Where a voice pauses is always told. */
function onPosition({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut || turn.playing?.number !== detail.sentence) return;
  moveSentence(turn, detail.ms);
  renderLevel(detail.level);
  keepPlace(detail, false);
  if (detail.isPaused || detail.ms - reportedMs >= PLAYED_EVERY_MS) reportPlayed(detail);
}

function onSentenceEnd({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut) return;
  endSentence(turn, detail.sentence, detail.ms, detail.isFailed);
  keepPlace(detail, true);
  if (detail.ms > 0) reportPlayed(detail);
}

function keepPlace({ turn, sentence, part, partMs }, isWhole) {
  if (part !== null) keepHeardPlace({ turn, sentence, part, ms: Math.round(partMs), isWhole });
}

function reportPlayed({ turn, sentence, ms }) {
  reportedMs = ms;
  send(playedMessage(turn, sentence, ms));
}

function onStreamStop({ detail }) {
  const turn = turnOf(detail.turn);
  turn.isHeard = true;
  turn.underruns = detail.underruns;
  if (!turn.isCut) closeHeardTurn(detail.turn);
  if (playingTurn === detail.turn) playingTurn = null;
  closeTurn(turn);
  if (playingTurn === null) renderCaption('', 0, null);
  announce('playback_changed');
}

function onUnderrun() {
  if (playingTurn === null) return;
  const turn = turnOf(playingTurn);
  turn.underruns += 1;
  noteUnderruns(turn.underruns);
  renderTurnHead(turn);
}

function onPace({ detail }) {
  notePace(detail.targetMs);
  showHolding(detail.isHolding);
}

/** A newer turn came before the page might sound: that one is never heard. */
function onAudioDropped({ detail }) {
  const turn = turnOf(detail.turn);
  turn.isHeard = true;
  closeTurn(turn);
}

function onAudioBlocked() {
  closeSoundToast ??= showToast('Your browser keeps the sound off until you touch the page.', {
    code: 'sound_blocked', action: { word: 'Turn on sound', run: unlockAudio },
  });
}

function onAudioRunning() {
  closeSoundToast?.();
  closeSoundToast = null;
}

function announce(name) {
  document.dispatchEvent(new CustomEvent(name));
}

document.addEventListener('audio_stream_start', onStreamStart);
document.addEventListener('audio_sentence_start', onSentenceStart);
document.addEventListener('audio_position', onPosition);
document.addEventListener('audio_sentence_end', onSentenceEnd);
document.addEventListener('audio_stream_stop', onStreamStop);
document.addEventListener('audio_underrun', onUnderrun);
document.addEventListener('audio_pace', onPace);
document.addEventListener('audio_dropped', onAudioDropped);
document.addEventListener('audio_blocked', onAudioBlocked);
document.addEventListener('audio_running', onAudioRunning);
