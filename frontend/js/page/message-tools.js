/**
 * The tools of a message: hear it once more, copy it, keep its sound. Knows nothing of how a message is drawn.
 */
import { unlockAudio } from '../sound/audio-player.js';
import { askForTurn, isAgainTurn, playAgain, stopAgain } from '../talk/replay.js';
import { knownTurn } from '../talk/turns.js';
import { showSentence } from '../transcript/chatui.js';
import { copyText, saveFile } from './files.js';
import { showToast } from './notices.js';

const tools = { copy: ({ text }) => copyText(text), again: onAgain, download: onDownload };

/** Two voices at once help nobody; who is speaking is let finish. */
function onAgain({ turn: number }) {
  unlockAudio();
  const turn = knownTurn(number);
  if (!turn) showToast('This belongs to an earlier conversation: its sound is no longer kept.', { code: 'audio_gone' });
  else if (isAgainTurn(turn)) stopAgain();
  else if (document.body.dataset.state === 'speaking' && !document.querySelector('.turn.again')) {
    showToast('Somebody is speaking. Interrupt first, or wait.', { code: 'speaking' });
  } else playAgain(turn);
}

async function onDownload({ turn: number }) {
  const answer = knownTurn(number) && await askForTurn(number, 'wav');
  if (answer) saveFile(`turn-${number + 1}.wav`, await answer.blob());
  else if (!knownTurn(number)) onAgain({ turn: number });
}

document.addEventListener('message_tool', ({ detail }) => tools[detail.tool](detail));
document.addEventListener('sentence_wanted', ({ detail }) => showSentence(detail.turn, detail.sentence));
