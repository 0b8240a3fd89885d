/**
 * What is set for this conversation alone, and for everybody in it: model, voice, speed. As the server says it; the dialog
 * asks for changes. Knows nothing of what they do.
 */
import { settingsMessage } from '../wire/protocol.js';
import { isConnected, send } from '../wire/websocket.js';

let tuning = { model: '', voice: '', speed: 1 };

export function currentTuning() {
  return tuning;
}

export function hearTuning({ model = '', voice = '', speed = 1 }) {
  tuning = { model, voice, speed };
  document.dispatchEvent(new CustomEvent('tuning_changed'));
}

/** What counts is what the server then says. False when nobody hears it. */
export function askTuning(changes) {
  if (isConnected()) send(settingsMessage(changes));
  return isConnected();
}
