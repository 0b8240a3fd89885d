/**
 * The picture of a character: its letter on its colour. Knows nothing of who it is.
 */
import { element } from '../transcript/bubbles.js';

const LIGHT_ENOUGH = 0.55;

export function makeAvatar(name, colour, className = 'avatar') {
  const avatar = element('span', className);
  avatar.setAttribute('aria-hidden', 'true');
  paintAvatar(avatar, name, colour);
  return avatar;
}

/** Dark letters on a light colour, light ones on a dark colour. What is no colour is left out. */
export function paintAvatar(avatar, name, colour) {
  avatar.textContent = [...name.trim()][0]?.toLocaleUpperCase() ?? '?';
  if (typeof colour !== 'string' || !CSS.supports('color', colour)) return;
  avatar.style.setProperty('--avatar', colour);
  avatar.classList.toggle('light', lightnessOf(colour) > LIGHT_ENOUGH);
}

function lightnessOf(colour) {
  const channels = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour)?.slice(1).map((hex) => Number.parseInt(hex, 16) / 255);
  return channels ? 0.3 * channels[0] + 0.59 * channels[1] + 0.11 * channels[2] : 0;
}
