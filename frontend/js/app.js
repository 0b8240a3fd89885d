/**
 * The talk page: wires the socket, the player, the microphone and the page together.
 * Knows no message's meaning, no sample and no element that another file draws.
 */
import { isConnected, startAnew, startConnection, useAccessKey } from './wire/websocket.js';
import { hasWorklets, unlockAudio } from './sound/audio-player.js';
import { chooseSpeaker, setVolume } from './sound/outlet.js';
import { interrupt, loseLine, sayText, settle, takeTextBack, tick } from './talk/conversation.js';
import { changeMicrophone, changeTurnTaking, holdTalk, listeningPhase, releaseTalk, startAgain, startListening, stopListening } from './talk/listening.js';
import { handleFrame, handleMessage } from './talk/server-news.js';
import { keepSilent } from './talk/turns.js';
import { renderVolume, showListening } from './page/controls.js';
import { loadPeople } from './cast/people.js';
import { askAccessKey, showNotice, showToast } from './page/notices.js';
import { renderLatency, showLost, showOnline } from './page/connection.js';
import { isGuest } from './talks/guest.js';
import { explainListening } from './page/listening-words.js';
import { settings } from './page/settings.js';
import { takeText } from './page/text-box.js';
import { watchVoice } from './page/voice-health.js';
import './cast/card-import.js';
import './page/keys.js';
import './page/message-tools.js';
import './page/settings-dialog.js';
import './talks/sharing.js';
import './page/talk-menu.js';
import './page/tuning-fields.js';

const TICK_MS = 1000;
const INSECURE = 'Voice needs https:// or localhost. Here you can read and write; the replies stay silent. '
  + 'From another machine: ssh -L 8000:localhost:8000 your-server, then open http://localhost:8000';

function onTextGiven({ detail: { text } }) {
  unlockAudio();
  if (!isConnected()) showToast('Not connected. Your text stays in the box.', { code: 'not_connected' });
  else if (takeText(text)) sayText(text);
}

function onAskAgain({ detail: { text } }) {
  unlockAudio();
  if (isConnected()) sayText(text);
  else showToast('Not connected.', { code: 'not_connected' });
}

async function onAnewWanted() {
  await interrupt();
  startAnew();
}

/** A guest hears what the others hear. */
function onInterruptWanted() {
  if (!isGuest()) interrupt();
}

function onSessionOpen() {
  showOnline();
  loadPeople();
  watchVoice();
}

/** Sent again, the same words would only end the next connection too. */
function onRefusedSize() {
  if (takeTextBack()) showToast('That message is too long for the server. It is back in the box.', { code: 'text_too_long', isError: true });
}

function onLost({ detail }) {
  loseLine();
  showLost(detail);
}

function onListeningWanted() {
  if (isGuest()) return;
  unlockAudio();
  if (listeningPhase() === 'off') startListening();
  else stopListening();
}

/** Whoever takes the word takes it from the one who speaks. */
function onTalkHeld() {
  if (isGuest()) return;
  unlockAudio();
  interrupt();
  holdTalk();
}

function onListeningChanged() {
  showListening(listeningPhase());
  settle();
}

const applied = {
  volume: applyVolume,
  isMuted: applyVolume,
  reader: applyVolume,
  speaker: applySpeaker,
  microphone: changeMicrophone,
  echoCancellation: changeMicrophone,
  turnTaking: () => { changeTurnTaking(); showListening(listeningPhase()); },
  language: startAgain,
};

function applyVolume() {
  setVolume(settings.isMuted || settings.reader ? 0 : settings.volume);
  renderVolume();
}

async function applySpeaker() {
  if (!(await chooseSpeaker(settings.speaker))) showToast('That loudspeaker cannot be used. The sound goes where it went.', { code: 'speaker_gone', isError: true });
}

function listen() {
  const on = (name, handle) => document.addEventListener(name, handle);
  on('socket_message', ({ detail }) => handleMessage(detail.message));
  on('socket_frame', ({ detail }) => handleFrame(detail.frame));
  on('socket_latency', ({ detail }) => renderLatency(detail.ms));
  on('socket_lost', onLost);
  on('socket_too_big', onRefusedSize);
  on('session_open', onSessionOpen);
  on('access_needed', ({ detail }) => askAccessKey(detail.wasRefused));
  on('access_given', ({ detail }) => useAccessKey(detail.key));
  on('playback_changed', settle);
  on('barge_in_changed', settle);
  on('again_changed', settle);
  on('audio_running', settle);
  on('audio_blocked', settle);
  on('text_given', onTextGiven);
  on('ask_again', onAskAgain);
  on('anew_wanted', onAnewWanted);
  on('interrupt_wanted', onInterruptWanted);
  on('listening_wanted', onListeningWanted);
  on('talk_held', onTalkHeld);
  on('talk_released', releaseTalk);
  on('listening_changed', onListeningChanged);
  on('listening_failed', ({ detail }) => explainListening(detail.reason, detail.words));
  on('upload_slow', () => explainListening('slow'));
  on('setting_changed', ({ detail }) => applied[detail.name]?.());
}

function init() {
  listen();
  applyVolume();
  if (settings.speaker) chooseSpeaker(settings.speaker);
  showListening('off');
  startConnection();
  setInterval(tick, TICK_MS);
  if (hasWorklets()) return;
  keepSilent();
  showNotice(globalThis.isSecureContext ? 'This browser cannot play the voice (it has no audio worklets). You can read and write.' : INSECURE);
}

init();
