/**
 * The fields of the settings that hold for this conversation: shown as the server has them, asked for when changed.
 * Knows nothing of what they do.
 */
import { fetchJson } from '../wire/access.js';
import { groupVoices } from '../cast/voice-groups.js';
import { askTuning, currentTuning } from '../talk/tuning.js';

const box = document.getElementById('tuning');
const models = document.getElementById('tuning-model');
const modelRow = document.getElementById('tuning-model-row');
const freeRow = document.getElementById('tuning-model-free');
const voices = document.getElementById('tuning-voice');
const speedOut = document.getElementById('tuning-speed-out');
const failure = document.getElementById('tuning-failure');

let known = [];

/** config: what the server says of itself; its choice of models is a list, or null for any. */
async function load() {
  const [config, found] = await Promise.all([fetchJson('api/config'), fetchJson('api/voices')]);
  const choice = config?.model?.choice;
  known = Array.isArray(found) ? found : [];
  modelRow.hidden = !Array.isArray(choice) || choice.length < 2;
  freeRow.hidden = choice !== null || !config;
  models.replaceChildren(...(Array.isArray(choice) ? choice : []).map((name, place) => new Option(name, place === 0 ? '' : name)));
  box.disabled = document.body.dataset.role === 'guest';
  render();
}

function render() {
  const { model, voice, speed } = currentTuning();
  models.value = model;
  freeRow.querySelector('input').value = model;
  const isThere = known.some(({ name }) => name === voice);
  const groups = groupVoices(known).map(({ name, voices: all }) => {
    const group = document.createElement('optgroup');
    group.label = name;
    group.append(...all.map((one) => new Option(one.label || one.name, one.name)));
    return group;
  });
  voices.replaceChildren(new Option('Their own', ''), ...(voice && !isThere ? [new Option(voice, voice)] : []), ...groups);
  voices.value = voice;
  document.getElementById('tuning-speed').value = speed;
  renderSpeed(speed);
}

function renderSpeed(speed) {
  speedOut.textContent = `${Number(speed).toFixed(2)} ×`;
}

function onChange({ target }) {
  const name = target.dataset.tuning;
  const isHeard = askTuning({ [name]: name === 'speed' ? Number(target.value) : target.value.trim() });
  showFailure(isHeard ? '' : 'Not connected: this is not changed yet.');
}

function showFailure(words) {
  failure.textContent = words;
  failure.hidden = !words;
}

/** A dialog that covers the page says itself what was refused. */
export function showTuningRefused(words) {
  render();
  showFailure(words);
}

box.addEventListener('change', onChange);
document.getElementById('tuning-speed').addEventListener('input', ({ target }) => renderSpeed(target.value));
document.getElementById('settings-button').addEventListener('click', load);
document.addEventListener('tuning_changed', () => { showFailure(''); render(); });
