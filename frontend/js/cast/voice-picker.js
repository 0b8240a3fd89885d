/**
 * The list of voices in the editor: searched, grouped by language. Knows nothing of characters.
 */
import { groupVoices, voiceKey } from './voice-groups.js';

const search = document.getElementById('voice-search');
const list = document.getElementById('voice-list');
const none = document.getElementById('voice-none');

let voices = [];
let chosen = { name: 'default', engine: '', language: 'en-us' };

/** found: null when they are as they were. voice: the one that is chosen now. */
export function showVoices(found, voice) {
  if (found) voices = found;
  else search.value = '';
  chosen = { name: voice.name, engine: voice.engine, language: voice.language };
  render();
}

/** {name, engine, language} */
export function voiceChosen() {
  return chosen;
}

function render() {
  const groups = groupVoices(voices, search.value, chosen.language);
  const made = groups.map(({ name, voices: found }) => {
    const group = document.createElement('optgroup');
    group.label = name;
    group.append(...found.map((voice) => new Option(voice.label || voice.name, voiceKey(voice), false, isChosen(voice))));
    return group;
  });
  const isThere = voices.some(isChosen);
  if (!isThere) made.unshift(new Option(chosen.name === 'default' ? 'As the engine likes' : `${chosen.name} (as it is)`, voiceKey(chosen), false, true));
  list.replaceChildren(...made);
  none.hidden = groups.length > 0;
  list.selectedOptions[0]?.scrollIntoView?.({ block: 'nearest' });
}

/** A character may leave the engine open. */
function isChosen({ name, engine }) {
  return name === chosen.name && (!chosen.engine || engine === chosen.engine);
}

function onChange() {
  const voice = voices.find((one) => voiceKey(one) === list.value);
  if (voice) chosen = { name: voice.name, engine: voice.engine ?? '', language: voice.language };
}

search.addEventListener('input', render);
list.addEventListener('change', onChange);
