/**
 * What a person has chosen, kept in this browser. News travels up as a DOM event, setting_changed {name}.
 * Knows nothing of what a setting does.
 */
import { isWish } from '../cast/casting.js';

const STORAGE_KEY = 'cueline.settings';

const DEFAULTS = {
  volume: 1, isMuted: false, microphone: '', speaker: '', echoCancellation: true, turnTaking: 'automatic', language: '', captions: true,
  captionSize: 'normal', shortcuts: true, reader: false, theme: 'system', chosen: '', cast: null,
};

const ALLOWED = {
  volume: (value) => value >= 0 && value <= 1,
  turnTaking: (value) => ['automatic', 'barge', 'push'].includes(value),
  language: (value) => /^[a-z]{0,3}$/.test(value),
  captionSize: (value) => ['normal', 'large', 'huge'].includes(value),
  theme: (value) => ['system', 'light', 'dark'].includes(value),
  cast: (value) => value === null || isWish(value),
};

/** Read it anywhere; write it with changeSetting. */
export const settings = { ...DEFAULTS, ...loadSettings() };

function isAllowed(name, value) {
  const isSameKind = Object.hasOwn(DEFAULTS, name) && typeof value === typeof DEFAULTS[name];
  return isSameKind && (ALLOWED[name]?.(value) ?? true);
}

export function changeSetting(name, value) {
  if (!isAllowed(name, value) || settings[name] === value) return;
  settings[name] = value;
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(settings));
  } catch {
    // A browser without storage: what was chosen lasts as long as the page.
  }
  document.dispatchEvent(new CustomEvent('setting_changed', { detail: { name } }));
}

/** What another version of the page, or a person, has put there is not trusted. */
function loadSettings() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
    return Object.fromEntries(Object.entries(stored).filter(([name, value]) => isAllowed(name, value)));
  } catch {
    return {};
  }
}
