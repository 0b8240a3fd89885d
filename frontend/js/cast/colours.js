/**
 * The colour of whoever speaks, wherever their name stands: a dot before it. Knows nothing of who speaks.
 */
import { members } from './members.js';
import { personNamed } from './people.js';

/** name: empty when it is nobody's. */
export function paintWho(place, name) {
  place.dataset.who = name;
  paint(place);
}

function colourOf(name) {
  const colour = (members().find((member) => member.name === name) ?? personNamed(name))?.colour;
  return typeof colour === 'string' && CSS.supports('color', colour) ? colour : '';
}

function paint(place) {
  const colour = place.dataset.who ? colourOf(place.dataset.who) : '';
  if (colour) place.style.setProperty('--who', colour);
  else place.style.removeProperty('--who');
}

/** Who they are may be known later than what they say. */
function repaint() {
  document.querySelectorAll('[data-who]').forEach(paint);
}

document.addEventListener('people_changed', repaint);
document.addEventListener('cast_changed', repaint);
