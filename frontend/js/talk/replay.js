/**
 * A turn once more, from the server's log: fetched, played, shown. News travels up as a DOM event, again_changed.
 * The history of the talk is not touched, and the server does not speak anew.
 */
import { hasWorklets } from '../sound/audio-player.js';
import { fetchFromServer } from '../wire/access.js';
import { currentSession } from '../wire/session-id.js';
import { playExtra } from '../sound/outlet.js';
import { placeInWords } from './captions.js';
import { renderAgain } from '../transcript/chatui.js';
import { renderCaption } from '../page/now.js';
import { showToast } from '../page/notices.js';

const MOVE_EVERY_MS = 100;

let playing = null;
let loading = null;
let timer = 0;

export function isPlayingAgain() {
  return playing !== null;
}

export function isAgainTurn(turn) {
  return playing?.turn === turn || loading?.turn === turn;
}

export function againSpeaker() {
  return playing?.current?.character ?? '';
}

/** turn: as turns.js keeps it. */
export async function playAgain(turn) {
  stopAgain();
  const wanted = { turn };
  loading = wanted;
  announce();
  const samples = await fetchTurn(turn.number);
  if (loading !== wanted) return;
  loading = null;
  if (samples) startPlaying(turn, samples);
  announce();
}

async function fetchTurn(number) {
  const answer = await askForTurn(number, 'pcm');
  return answer && new Int16Array(await answer.arrayBuffer());
}

/** The answer, or null after a word to the person. format: pcm or wav. */
export async function askForTurn(number, format) {
  try {
    const answer = await fetchFromServer(`api/sessions/${encodeURIComponent(currentSession())}/turns/${number}/audio?format=${format}`);
    if (answer.ok) return answer;
    const { code, message } = await answer.json();
    showToast(code === 'audio_gone' ? 'This sound is no longer kept: the server forgets it after ten minutes.' : message, { code, isError: true });
  } catch {
    showToast('The sound could not be fetched. Is the server there?', { code: 'audio_unreachable', isError: true });
  }
  return null;
}

function startPlaying(turn, samples) {
  const sound = playExtra(samples, onEnd);
  if (!sound && !hasWorklets()) {
    showToast('This page can make no sound here. You can download it.', { code: 'sound_missing' });
    return;
  }
  if (!sound) {
    showToast('Your browser keeps the sound off until you touch the page.', { code: 'sound_blocked', action: { word: 'Play', run: () => playAgain(turn) } });
    return;
  }
  playing = { turn, sound, current: null };
  timer = setInterval(move, MOVE_EVERY_MS);
  move();
}

/** Which sentence is it now, and how far. */
function move() {
  const { turn, sound } = playing;
  let startMs = 0;
  for (const sentence of [...turn.sentences.values()].sort((a, b) => a.number - b.number)) {
    const lengthMs = sentence.status === 'failed' ? 0 : sentence.durationMs ?? 0;
    if (sound.positionMs() < startMs + lengthMs) {
      showSentence(sentence, sound.positionMs() - startMs, lengthMs);
      return;
    }
    startMs += lengthMs;
  }
}

function showSentence(sentence, ms, lengthMs) {
  const isOther = playing.current !== sentence;
  playing.current = sentence;
  if (isOther) {
    renderAgain(playing.turn.number, sentence.number);
    announce();
  }
  renderCaption(sentence.text, ...placeInWords({ heardMs: ms, restartMs: sentence.restartMs, durationMs: lengthMs }));
}

export function stopAgain() {
  loading = null;
  if (!playing) return;
  playing.sound.stop();
  onEnd();
}

function onEnd() {
  clearInterval(timer);
  playing = null;
  renderAgain(null, null);
  renderCaption('', 0, null);
  announce();
}

function announce() {
  document.dispatchEvent(new CustomEvent('again_changed'));
}
