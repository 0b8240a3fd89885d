/**
 * What is being heard: moves the sentences on as the player reports them, and tells the server how far the ear is.
 * News travels up as DOM events: playback_begun (the first sound of a turn), playback_changed (another sentence, or
 * none). Knows nothing of the state of the page or of what a person asks for.
 */
import { closeHeardTurn, keepHeardPlace } from './heard-place.js';
import { playedMessage } from './protocol.js';
import { send } from './websocket.js';
import { unlockAudio } from './audio-player.js';
import { closeTurn, endSentence, knownTurn, moveSentence, newestTurn, showQueueOf, startSentence, turnOf } from './turns.js';
import { renderLevel } from './chatui.js';
import { showToast } from './notices.js';

const PLAYED_EVERY_MS = 1000;

/** The number of the turn that is being heard, or null. */
export let playingTurn = null;

let reportedMs = 0;
let closeSoundToast = null;

/** That turn and those before it are heard no more. */
export function stopHearing(number) {
  if (playingTurn !== null && playingTurn <= number) playingTurn = null;
}

function onStreamStart({ detail }) {
  playingTurn = detail.turn;
  showQueueOf(turnOf(detail.turn));
  announce('playback_begun');
}

function onSentenceStart({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut) return;
  reportedMs = 0;
  startSentence(turn, detail.sentence);
  announce('playback_changed');
}

/** A position that comes after the cut would bring caption and meter back. */
function onPosition({ detail }) {
  const turn = turnOf(detail.turn);
  if (turn.isCut || turn.playing?.number !== detail.sentence) return;
  moveSentence(turn, detail.ms);
  renderLevel(detail.level);
  keepPlace(detail, false);
  if (detail.ms - reportedMs >= PLAYED_EVERY_MS) reportPlayed(detail);
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
  if (!turn.isCut) closeHeardTurn(detail.turn);
  if (playingTurn === detail.turn) playingTurn = null;
  closeTurn(turn);
  if (playingTurn === null) showQueueOf(knownTurn(newestTurn()));
  announce('playback_changed');
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
document.addEventListener('audio_dropped', onAudioDropped);
document.addEventListener('audio_blocked', onAudioBlocked);
document.addEventListener('audio_running', onAudioRunning);
