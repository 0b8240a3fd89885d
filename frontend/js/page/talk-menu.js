/**
 * What can be done with the whole talk: copy it, keep it as a file, begin another one. News travels up as a DOM event,
 * anew_wanted. Knows nothing of how the talk came about.
 */
import { currentSession } from '../wire/session-id.js';
import { talkToJson, talkToText } from '../talk/talk-file.js';
import { allTurns } from '../talk/turns.js';
import { readTranscript } from '../transcript/chatui.js';
import { copyText, saveFile } from './files.js';
import { showHelp } from './keys.js';
import { showToast } from './notices.js';
import { openSharing } from '../talks/sharing.js';

const ALWAYS = ['help', 'share', 'anew'];

const menu = document.getElementById('talk-menu');

const actions = {
  copy: () => copyText(talkToText(readTalk())),
  text: () => saveFile('talk.txt', new Blob([talkToText(readTalk())], { type: 'text/plain' })),
  json: () => saveFile('talk.json', new Blob([talkToJson(currentSession(), readTalk())], { type: 'application/json' })),
  anew: () => document.dispatchEvent(new CustomEvent('anew_wanted')),
  share: openSharing,
  help: showHelp,
};

/** The words as they were written, and of a reply that was cut what was heard. */
function readTalk() {
  const cut = new Set(allTurns().filter(({ isCut }) => isCut).map(({ number }) => number));
  return readTranscript().map((said) => ({ ...said, heard: said.isUser || !cut.has(said.turn) ? null : said.heard }));
}

function onClick({ target }) {
  const action = target.closest('[data-action]')?.dataset.action;
  if (!action) return;
  menu.hidePopover?.();
  if (!ALWAYS.includes(action) && readTranscript().length === 0) showToast('Nothing has been said yet.', { code: 'empty_talk' });
  else actions[action]();
}

menu.addEventListener('click', onClick);
