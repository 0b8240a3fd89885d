/**
 * The volume and the loudspeaker that were chosen on the talk page, here too. Knows nothing of what sounds.
 */
import { chooseSpeaker, setVolume } from '../sound/outlet.js';
import { settings } from '../page/settings.js';

export function applyVolume() {
  setVolume(settings.isMuted ? 0 : settings.volume);
  if (settings.speaker) chooseSpeaker(settings.speaker);
}
