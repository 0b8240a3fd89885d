/**
 * The dialog in which a person chooses: devices, taking turns, captions, look. Every field is bound to one setting.
 * Knows nothing of what a setting does; the test sound is its own.
 */
import { isMicrophoneOpen } from '../sound/audio-capture.js';
import { isSounding, unlockAudio } from '../sound/audio-player.js';
import { canChooseSpeaker, listDevices } from '../sound/devices.js';
import { playExtra } from '../sound/outlet.js';
import { SAMPLE_RATE } from '../sound/pcm.js';
import { changeSetting, settings } from './settings.js';
import { showToast } from './notices.js';
import { aboutServer } from './voice-health.js';

const TONES_HZ = [440, 554.4, 659.3];
const TONE_S = 0.18;
const TONE_LOUDNESS = 6000;
const SOUND_PATIENCE_MS = 1500;
const MIC_GAIN = 6;

const dialog = document.getElementById('settings-dialog');
const form = document.getElementById('settings-form');
const microphone = document.getElementById('setting-microphone');
const speaker = document.getElementById('setting-speaker');
const speakerRow = document.getElementById('setting-speaker-row');
const level = document.getElementById('mic-level');
const levelNote = document.getElementById('mic-level-note');
const about = document.getElementById('about');

function onOpen() {
  for (const field of form.elements) showValue(field);
  renderDevices();
  renderAbout();
  levelNote.hidden = isMicrophoneOpen();
  dialog.showModal();
}

function showValue(field) {
  if (!Object.hasOwn(settings, field.name)) return;
  if (field.type === 'checkbox') field.checked = settings[field.name];
  else if (field.type === 'radio') field.checked = field.value === settings[field.name];
  else field.value = settings[field.name];
}

function onChange({ target }) {
  if (target.dataset.tuning) return;
  if (target.type === 'checkbox') changeSetting(target.name, target.checked);
  else changeSetting(target.name, target.value);
}

async function renderDevices() {
  const { microphones, speakers } = await listDevices();
  fillSelect(microphone, microphones, settings.microphone);
  fillSelect(speaker, speakers, settings.speaker);
  speakerRow.hidden = !canChooseSpeaker();
}

/** A device that is not there now stays chosen: it may come back. */
function fillSelect(select, devices, chosen) {
  const missing = chosen && !devices.some(({ id }) => id === chosen) ? [{ id: chosen, name: 'The one chosen before (not there)' }] : [];
  const all = [{ id: '', name: 'As the system has it' }, ...devices, ...missing];
  select.replaceChildren(...all.map(({ id, name }) => new Option(name, id, false, id === chosen)));
}

async function renderAbout() {
  const [health, voices] = await aboutServer();
  const engines = [...new Set((voices ?? []).map(({ engine }) => engine))].join(', ');
  const rows = [
    ['Language model', health?.model === 'demo' ? 'built-in demo (a script)' : health?.model ?? 'unknown'],
    ['Voice engine', engines || 'none running'],
    ['Voices', String(voices?.length ?? 0)],
    ['Workers', String(health?.workers ?? 0)],
  ];
  about.replaceChildren(...rows.flatMap(([what, value]) => [cell('dt', what), cell('dd', value)]));
}

function cell(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Three tones: whoever hears them will hear the talk. */
async function onTestSound() {
  unlockAudio();
  const deadline = performance.now() + SOUND_PATIENCE_MS;
  while (!isSounding() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  const sound = playExtra(makeTones(), () => {});
  if (!sound) showToast('No sound can be made here now.', { code: 'sound_blocked', isError: true });
}

function makeTones() {
  const length = Math.round(TONE_S * SAMPLE_RATE);
  return Int16Array.from({ length: length * TONES_HZ.length }, (_, index) => {
    const inTone = index % length;
    const fade = Math.sin((Math.PI * inTone) / length);
    return TONE_LOUDNESS * fade * Math.sin((2 * Math.PI * TONES_HZ[Math.floor(index / length)] * inTone) / SAMPLE_RATE);
  });
}

function onMicLevel({ detail }) {
  if (!dialog.open) return;
  level.value = Math.min(1, detail.rms * MIC_GAIN);
  levelNote.hidden = true;
}

document.getElementById('settings-button').addEventListener('click', onOpen);
document.getElementById('settings-close').addEventListener('click', () => dialog.close());
document.getElementById('test-sound').addEventListener('click', onTestSound);
dialog.addEventListener('click', ({ target }) => { if (target === dialog) dialog.close(); });
form.addEventListener('change', onChange);
document.addEventListener('mic_level', onMicLevel);
document.addEventListener('devices_changed', renderDevices);
document.addEventListener('listening_changed', renderDevices);
