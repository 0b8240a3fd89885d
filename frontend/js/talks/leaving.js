/**
 * What is deleted from a list: gone at once for the eye, and for good when nobody has wanted it back for a while.
 * Knows no server; rows carry `data-id`.
 */
const UNDO_MS = 8000;

/** wanted: {list, render(), removeForGood(id)} → {has, leave, undo, settle, focusRow}. */
export function keepLeaving({ list, render, removeForGood }) {
  const timers = new Map();

  function has(id) {
    return timers.has(id);
  }

  function leave(id) {
    timers.set(id, setTimeout(() => go(id), UNDO_MS));
    render();
    focusRow(id);
  }

  function undo(id) {
    forget(id);
    render();
    focusRow(id);
  }

  /** Who leaves the page has made up their mind. */
  function settle() {
    [...timers.keys()].forEach(go);
  }

  function go(id) {
    forget(id);
    return removeForGood(id);
  }

  function forget(id) {
    clearTimeout(timers.get(id));
    timers.delete(id);
  }

  function focusRow(id) {
    list.querySelector(`[data-id="${CSS.escape(id)}"] button`)?.focus();
  }

  return { has, leave, undo, settle, focusRow };
}
