/**
 * The settings that only change the look, put on the document before it is first drawn. Knows nothing of the rest.
 */
import { settings } from './settings.js';

function applyLook() {
  const { dataset } = document.documentElement;
  dataset.theme = settings.theme;
  dataset.captions = settings.captions ? settings.captionSize : 'off';
}

applyLook();
document.addEventListener('setting_changed', applyLook);
