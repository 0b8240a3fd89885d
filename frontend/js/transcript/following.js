/**
 * Keeps the transcript where the talk is: at the sentence that is spoken, or at the newest words. A person who scrolls
 * is left alone. Knows nothing of what is written there.
 */
const NEAR_END_PX = 80;
const MARGIN_PX = 16;
const SHOWN_MS = 1500;

const transcript = document.getElementById('transcript');
const jump = document.getElementById('jump');

let isFollowing = true;
let expectedTop = 0;
let knownHeights = '';
let spoken = null;

/** place: the element that is spoken, or null. */
export function follow(place) {
  spoken = place?.isConnected ? place : null;
  jump.hidden = isFollowing;
  if (isFollowing && spoken) scrollToPlace(spoken);
  else if (isFollowing) transcript.scrollTop = transcript.scrollHeight;
  noteTop();
}

/** Who says something wants to see what comes of it. */
export function startFollowing() {
  isFollowing = true;
}

/** Bring an element into sight, mark it for a moment, and stay there. */
export function showPlace(place) {
  place.classList.add('shown');
  setTimeout(() => place.classList.remove('shown'), SHOWN_MS);
  if (transcript.scrollHeight <= transcript.clientHeight) return;
  place.scrollIntoView({ block: 'center' });
  noteTop();
  isFollowing = isAtTalk();
  jump.hidden = isFollowing;
}

function scrollToPlace(place) {
  const frame = transcript.getBoundingClientRect();
  const box = place.getBoundingClientRect();
  const below = box.bottom + MARGIN_PX - frame.bottom;
  const above = box.top - MARGIN_PX - frame.top;
  if (below > 0) transcript.scrollTop += Math.min(below, above);
  else if (above < 0) transcript.scrollTop += above;
}

function noteTop() {
  expectedTop = transcript.scrollTop;
  knownHeights = heights();
}

function heights() {
  return `${transcript.scrollHeight} ${transcript.clientHeight}`;
}

/** Whoever reads ahead of the voice, or back, is not where the talk is. */
function isAtTalk() {
  if (!spoken?.isConnected) return transcript.scrollHeight - transcript.clientHeight - transcript.scrollTop < NEAR_END_PX;
  const frame = transcript.getBoundingClientRect();
  const box = spoken.getBoundingClientRect();
  return box.top < frame.bottom && box.bottom > frame.top;
}

/** A browser scrolls too, when the box below shrinks while words are added: that is no wish of the person. */
function onScroll() {
  if (Math.abs(transcript.scrollTop - expectedTop) < 2) return;
  const isByPerson = heights() === knownHeights;
  noteTop();
  if (isByPerson) isFollowing = isAtTalk();
  else if (isFollowing) document.dispatchEvent(new CustomEvent('follow_wanted'));
  jump.hidden = isFollowing;
}

function onJump() {
  isFollowing = true;
  jump.hidden = true;
  document.dispatchEvent(new CustomEvent('follow_wanted'));
}

transcript.addEventListener('scroll', onScroll, { passive: true });
jump.addEventListener('click', onJump);
