/**
 * The dialog in which a character is made or changed. What is typed is kept until it is saved or thrown away.
 * Knows nothing of the talk.
 */
import { fetchFromServer, fetchJson } from '../wire/access.js';
import { element } from '../transcript/bubbles.js';
import { saveFile } from '../page/files.js';
import { COLOURS, checkFields, emptyFields, fieldsOf, freeColour, freeName, isSame, isVoiceField, refusalToField } from './character-fields.js';
import { paintAvatar } from './avatar.js';
import { draftOf, forgetDraft, keepDraft } from './drafts.js';
import { deletePerson, everybody, pathOf, personOf, savePerson } from './people.js';
import { previewPhase, startPreview, stopPreview } from './preview.js';
import { showVoices, voiceChosen } from './voice-picker.js';

const SURE_MS = 4000;
const NEW = 'new';
const SAMPLE = 'Good morning. Shall we begin?';

const dialog = document.getElementById('editor-dialog');
const form = document.getElementById('editor-form');
const title = document.getElementById('editor-title');
const avatar = document.getElementById('editor-avatar');
const restored = document.getElementById('editor-restored');
const failure = document.getElementById('editor-failure');
const swatches = document.getElementById('editor-colours');
const languages = document.getElementById('editor-languages');
const saveButton = document.getElementById('editor-save');
const deleteButton = document.getElementById('editor-delete');
const duplicateButton = document.getElementById('editor-duplicate');
const exportButton = document.getElementById('editor-export');
const previewButton = document.getElementById('editor-preview');
const previewText = document.getElementById('preview-text');
const previewIcon = document.getElementById('editor-preview-icon');
const previewWord = document.getElementById('editor-preview-word');

let id = null;
let fields = emptyFields();
let original = fields;
let isSaving = false;
let sureTimer = 0;

/** id: null for a new one. from: fields to begin with. */
export async function openEditor(wanted = null, from = null) {
  id = wanted;
  const person = id === null ? null : personOf(id);
  if (id !== null && !person) return;
  original = person ? fieldsOf(person) : emptyFields(freeColour(everybody().map(({ colour }) => colour)));
  const draft = from ? null : draftOf(draftName());
  fields = fieldsOf(from ?? draft ?? original);
  restored.hidden = !draft;
  title.textContent = person ? person.name : 'New character';
  showButtons(person);
  showFields();
  showProblems({});
  dialog.showModal();
  dialog.scrollTop = form.scrollTop = 0;
  if (!person) form.elements.name.focus();
  await loadVoices();
}

function draftName() {
  return id ?? NEW;
}

function showButtons(person) {
  const isCopy = person?.is_own && person.is_built_in;
  deleteButton.hidden = !person?.is_own;
  deleteButton.dataset.word = isCopy ? 'Reset' : 'Delete';
  deleteButton.dataset.sure = isCopy ? 'Reset: your changes go' : 'Delete for good';
  forgetSure();
  duplicateButton.hidden = exportButton.hidden = !person;
}

async function loadVoices() {
  const voices = await fetchJson('api/voices');
  showVoices(Array.isArray(voices) ? voices : [], fields.voice);
  const known = [...new Set((voices ?? []).map(({ language }) => language))].sort();
  languages.replaceChildren(...known.map((language) => new Option(language, language)));
}

// what is typed

function showFields() {
  const { name, persona, greeting, voice } = fields;
  const values = { ...voice, name, persona, greeting };
  for (const field of form.elements) {
    if (field.name && field.name !== 'colour' && Object.hasOwn(values, field.name)) field.value = values[field.name];
  }
  previewText.value = fields.greeting.slice(0, Number(previewText.maxLength)) || SAMPLE;
  showVoices(null, fields.voice);
  showColour();
  showOutputs();
}

function showColour() {
  paintAvatar(avatar, fields.name, fields.colour);
  for (const radio of swatches.querySelectorAll('[type=radio]')) radio.checked = radio.value === fields.colour;
  swatches.querySelector('[type=color]').value = fields.colour;
}

function showOutputs() {
  for (const name of ['rate', 'pitch']) document.getElementById(`editor-${name}-out`).textContent = `${Number(fields.voice[name]).toFixed(2)} ×`;
}

function onInput({ target }) {
  const { name, value } = target;
  if (name === 'colour') fields.colour = value;
  else if (isVoiceField(name)) fields.voice = { ...fields.voice, [name]: target.type === 'range' ? Number(value) : value };
  else if (Object.hasOwn(fields, name)) fields[name] = value;
  else return;
  if (name === 'name' || name === 'colour') showColour();
  showOutputs();
  noteChange();
  showProblem(name, '');
}

function onVoice() {
  fields.voice = { ...fields.voice, ...voiceChosen() };
  form.elements.language.value = fields.voice.language;
  noteChange();
}

function noteChange() {
  if (isSame(fields, original)) forgetDraft(draftName());
  else keepDraft(draftName(), fields);
}

function onRestoredDiscard() {
  forgetDraft(draftName());
  fields = fieldsOf(original);
  restored.hidden = true;
  showFields();
  showProblems({});
  form.elements.name.focus();
}

// what is wrong

function showProblems(problems) {
  failure.hidden = true;
  for (const note of form.querySelectorAll('.field-error')) showProblem(note.dataset.for, problems[note.dataset.for] ?? '');
}

function showProblem(name, words) {
  const note = form.querySelector(`.field-error[data-for="${CSS.escape(name)}"]`);
  if (!note) return;
  note.textContent = words;
  note.hidden = !words;
  if (words) form.elements[name].setAttribute('aria-invalid', 'true');
  else form.elements[name].removeAttribute('aria-invalid');
}

function showFailure(words) {
  failure.textContent = words;
  failure.hidden = !words;
  if (words) failure.scrollIntoView({ block: 'nearest' });
}

/** False, and the place of the first problem, when there is one. */
function isFine() {
  const problems = checkFields(fields);
  showProblems(problems);
  const first = Object.keys(problems)[0];
  if (first) form.elements[first].focus();
  return !first;
}

// what is done

async function onSave(event) {
  event.preventDefault();
  if (isSaving || !isFine()) return;
  setSaving(true);
  const saved = id;
  const name = draftName();
  const answer = await savePerson(id, fields);
  setSaving(false);
  if (answer.isOk) {
    forgetDraft(name);
    if (id === saved) dialog.close();
  } else explain(answer);
}

function setSaving(isRunning) {
  isSaving = isRunning;
  saveButton.disabled = isRunning;
  saveButton.textContent = isRunning ? 'Saving …' : 'Save';
}

/** Where the server is away, or somebody has deleted the character meanwhile, what was typed stays. */
function explain(answer) {
  if (answer.code === 'character_unknown') {
    keepDraft(NEW, fields);
    forgetDraft(draftName());
    id = null;
    showButtons(null);
    showFailure('This character was deleted meanwhile. Save makes it anew.');
    return;
  }
  const [field, words] = refusalToField(answer);
  if (field) {
    showProblem(field, words);
    form.elements[field].focus();
  } else {
    const isAway = answer.status === 0 || answer.status === 503;
    showFailure(isAway ? `${words} What you typed is kept: try again in a moment.` : words);
  }
}

/** Nothing is deleted by one click. */
async function onDelete() {
  if (!sureTimer) {
    deleteButton.textContent = deleteButton.dataset.sure;
    deleteButton.classList.add('sure');
    sureTimer = setTimeout(forgetSure, SURE_MS);
    return;
  }
  forgetSure();
  const answer = await deletePerson(id);
  if (!answer.isOk) {
    explain(answer);
    return;
  }
  forgetDraft(draftName());
  dialog.close();
}

function forgetSure() {
  clearTimeout(sureTimer);
  sureTimer = 0;
  deleteButton.textContent = deleteButton.dataset.word;
  deleteButton.classList.remove('sure');
}

/** A copy begins with what is typed here, and is one when it is saved. */
function onDuplicate() {
  const from = { ...fields, name: freeName(fields.name, everybody().map(({ name }) => name)) };
  dialog.close();
  openEditor(null, from);
  noteChange();
}

async function onExport() {
  try {
    const answer = await fetchFromServer(`${pathOf(id)}/export`);
    if (!answer.ok) throw new Error(String(answer.status));
    saveFile(`${original.name.replace(/[^\p{L}\p{N} -]/gu, '') || 'character'}.json`, await answer.blob());
  } catch {
    showFailure('The card could not be fetched. Is the server there?');
  }
}

async function onPreview() {
  if (previewPhase() !== 'off') {
    stopPreview();
    return;
  }
  showFailure('');
  const text = previewText.value.trim() || SAMPLE;
  const { description, scene, language, ...voice } = fields.voice;
  const refusal = checkFields(fields).language ? { message: 'Choose a language first.' } : await startPreview(text, { ...voice, language, description: description.trim(), scene: scene.trim() });
  if (refusal && dialog.open) showFailure(refusal.message);
}

function renderPreview() {
  const phase = previewPhase();
  previewButton.dataset.phase = phase;
  previewIcon.setAttribute('href', phase === 'off' ? '#icon-playing' : '#icon-stop');
  previewWord.textContent = { off: 'Hear it', making: 'Making it …', playing: 'Stop' }[phase];
}

function makeSwatches() {
  for (const colour of COLOURS) {
    const label = element('label', 'swatch');
    const radio = element('input');
    Object.assign(radio, { type: 'radio', name: 'colour', value: colour });
    radio.setAttribute('aria-label', `Colour ${colour}`);
    label.style.setProperty('--swatch', colour);
    label.append(radio);
    swatches.prepend(label);
  }
}

function onClose() {
  stopPreview();
  forgetSure();
}

makeSwatches();
form.addEventListener('submit', onSave);
form.addEventListener('input', onInput);
document.getElementById('voice-list').addEventListener('change', onVoice);
document.getElementById('editor-close').addEventListener('click', () => dialog.close());
document.getElementById('editor-cancel').addEventListener('click', () => dialog.close());
document.getElementById('editor-discard').addEventListener('click', onRestoredDiscard);
deleteButton.addEventListener('click', onDelete);
duplicateButton.addEventListener('click', onDuplicate);
exportButton.addEventListener('click', onExport);
previewButton.addEventListener('click', onPreview);
dialog.addEventListener('close', onClose);
document.addEventListener('preview_changed', renderPreview);
