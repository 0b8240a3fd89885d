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

/** place: the element that is spoken, or null. */
export function follow(place) {
  jump.hidden = isFollowing;
  if (!isFollowing) return;
  if (place?.isConnected) scrollToPlace(place);
  else scrollTranscript(transcript.scrollHeight - transcript.clientHeight);
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
  isFollowing = false;
  place.scrollIntoView({ block: 'center' });
  expectedTop = transcript.scrollTop;
  jump.hidden = false;
}

function scrollToPlace(place) {
  const frame = transcript.getBoundingClientRect();
  const box = place.getBoundingClientRect();
  const below = box.bottom + MARGIN_PX - frame.bottom;
  const above = box.top - MARGIN_PX - frame.top;
  if (below > 0) scrollTranscript(transcript.scrollTop + Math.min(below, above));
  else if (above < 0) scrollTranscript(transcript.scrollTop + above);
}

function scrollTranscript(top) {
  transcript.scrollTop = top;
  expectedTop = transcript.scrollTop;
}

function onScroll() {
  if (Math.abs(transcript.scrollTop - expectedTop) < 2) return;
  expectedTop = transcript.scrollTop;
  isFollowing = transcript.scrollHeight - transcript.clientHeight - transcript.scrollTop < NEAR_END_PX;
  jump.hidden = isFollowing;
}

function onJump() {
  isFollowing = true;
  jump.hidden = true;
  document.dispatchEvent(new CustomEvent('follow_wanted'));
}

transcript.addEventListener('scroll', onScroll, { passive: true });
jump.addEventListener('click', onJump);
