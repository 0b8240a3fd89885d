/**
 * What was typed and not saved, kept in the tab until it is: a page that closes, a server that is away, a dialog that was
 * left lose nothing. Knows nothing of what it is.
 */
const STORAGE_KEY = 'cueline.drafts';

const drafts = loadDrafts();

export function draftOf(name) {
  return Object.hasOwn(drafts, name) ? drafts[name] : null;
}

export function keepDraft(name, value) {
  drafts[name] = value;
  store();
}

export function forgetDraft(name) {
  delete drafts[name];
  store();
}

function store() {
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(drafts));
  } catch {
    // A browser without storage: a draft lasts as long as the page.
  }
}

function loadDrafts() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY));
    return stored && typeof stored === 'object' && !Array.isArray(stored) ? stored : {};
  } catch {
    return {};
  }
}
