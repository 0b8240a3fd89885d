/**
 * What of a script can be taken along: sound, subtitles, lines, the script itself. Knows nothing of how it is made.
 */
import { fetchFromServer, fetchJson } from '../wire/access.js';
import { saveFile } from '../page/files.js';
import { showToast } from '../page/notices.js';
import { placeUnder } from '../transcript/menu-place.js';
import { pathOfRender } from './order-desk.js';
import { fileName, progressOf } from './play.js';
import { made, play, progress } from './state.js';

const menu = document.getElementById('download-menu');

async function onDownload({ target }) {
  const choice = target.closest('[data-file]')?.dataset;
  if (!choice) return;
  menu.hidePopover?.();
  const name = fileName(play.title, choice.ending ?? choice.file);
  if (choice.file === 'project') {
    saveFile(name, new Blob([`${JSON.stringify({ ...play, render: undefined }, null, 2)}\n`], { type: 'application/json' }));
    return;
  }
  const { ready, total } = progressOf(play, made, progress);
  if (ready < total) showToast(`${ready} of ${total} lines are in it.`, { code: 'incomplete' });
  await download(`${pathOfRender(play.render.id)}/${choice.path}`, name);
}

/** Under the title of the script, whatever the server calls it. */
async function download(path, name) {
  const close = showToast('The file is being fetched …', { code: 'fetching' });
  const answer = await fetchFromServer(path).catch(() => null);
  const blob = answer?.ok ? await answer.blob().catch(() => null) : null;
  close();
  if (blob) saveFile(name, blob);
  else showToast('The file could not be fetched.', { code: 'download', isError: true });
}

/** Only what this server has routes for is offered. */
async function offerKnown() {
  const paths = Object.keys((await fetchJson('openapi.json'))?.paths ?? {}).filter((path) => path.startsWith('/api/renders/{'));
  const known = paths.map((path) => new RegExp(`^${path.split('/').slice(4).join('/').replaceAll('.', '\\.').replace(/\{\w+\}/g, '\\w+')}$`));
  for (const item of menu.querySelectorAll('[data-path]')) item.hidden = !known.some((one) => one.test(item.dataset.needs ?? item.dataset.path.split('?')[0]));
  for (const line of menu.querySelectorAll('hr')) line.hidden = !line.nextElementSibling || line.nextElementSibling.hidden;
}

menu.addEventListener('click', onDownload);
placeUnder(menu, document.getElementById('download-button'));
offerKnown();
