/**
 * How far a session has been heard, kept in the tab so that a page that is loaded anew goes on from there.
 * Knows nothing of the socket, of sound or of the page: it is told, and asked.
 *
 * A place is {turn, sentence, part, ms, isWhole, isOver}: the last frame that was played to its end, the milliseconds
 * of its sentence up to there, whether the sentence and whether the turn ended with it. Without a sentence nothing of
 * the turn was heard.
 */
const STORAGE_KEY = 'cueline.heard';

let session = null;
let place = null;
let placeAtLoad = null;

/** Call with each session message. A session that is new has everything before it. */
export function openHeardPlace(sessionId, isNew) {
  if (isNew) {
    session = sessionId;
    placeAtLoad = null;
    place = { turn: 0 };
  } else if (session !== sessionId) {
    session = sessionId;
    place = placeAtLoad = loadPlace();
  }
}

/** As a frame for resume; null when no old sound is wanted. */
export function lastHeardFrame() {
  if (place?.isOver) return { turn: place.turn + 1 };
  return place && { turn: place.turn, sentence: place.sentence, part: place.part };
}

/** Milliseconds of the sentence that were heard before the page was loaded. */
export function msHeardBefore(turn, sentence) {
  return placeAtLoad?.turn === turn && placeAtLoad.sentence === sentence ? placeAtLoad.ms ?? 0 : 0;
}

/** Of an earlier turn that is known only when it has ended: it may have been cut. */
export function wasHeardBefore(turn, sentence, isEnded) {
  if (!placeAtLoad || turn > placeAtLoad.turn) return false;
  if (turn < placeAtLoad.turn) return isEnded;
  return sentence < placeAtLoad.sentence || (sentence === placeAtLoad.sentence && placeAtLoad.isWhole === true);
}

/** Only ever onward. */
export function keepHeardPlace(next) {
  if (place && next.turn < place.turn) return;
  const isSame = ['turn', 'sentence', 'part', 'isWhole', 'isOver'].every((name) => place?.[name] === next[name]);
  if (isSame) return;
  place = next;
  storePlace();
}

/** The turn is over for the ear, be it heard to its end or cut. */
export function closeHeardTurn(turn, sentence = undefined) {
  keepHeardPlace(place?.turn === turn ? { ...place, isOver: true } : { turn, sentence, isOver: true });
}

function storePlace() {
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ session, place }));
  } catch {
    // A browser without storage: what was heard is known as long as the page.
  }
}

function loadPlace() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY));
    return stored?.session === session && Number.isSafeInteger(stored.place?.turn) ? stored.place : null;
  } catch {
    return null;
  }
}
