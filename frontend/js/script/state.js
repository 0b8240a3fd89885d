/**
 * The script of this page, what is made of it, and how far the server is. Kept in this browser with every letter. News
 * travels up as a DOM event, script_changed. Knows nothing of the page.
 */
import { newPlay, readPlay } from './play.js';

const STORAGE_KEY = 'cueline.script';

/** As play.js has it. Read it anywhere; write it with change. */
export let play = loadPlay();
/** Key of a line → what the server says of it. */
export const made = new Map();
/** What the server says of the whole, or null. */
export let progress = null;

export function change(next) {
  play = next;
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(play));
  } catch {
    // A browser without storage, or a full one: the script lasts as long as the page.
  }
  tellChange();
}

export function setProgress(next) {
  progress = next;
  tellChange();
}

export function tellChange() {
  document.dispatchEvent(new CustomEvent('script_changed'));
}

function loadPlay() {
  try {
    return readPlay(JSON.parse(localStorage.getItem(STORAGE_KEY)));
  } catch {
    return newPlay();
  }
}
