/**
 * The script page: lines are written, cast, rendered and heard. Wires its parts together, asks for renders and follows them.
 * Knows no sample, and no element that another file draws.
 */
import { askServer, fetchJson, hasAccessKey, probe, setAccessKey } from './wire/access.js';
import { askAccessKey, showBanner } from './page/notices.js';
import { newId } from './wire/protocol.js';
import { guessWish, knowVoices, wishOfVoice } from './script/cast-box.js';
import { takeDrops } from './script/intake/dropping.js';
import { addLine, castNames, focusText, rows, startEditing, takeLines, takePlay } from './script/editing.js';
import { playFrom } from './script/hearing.js';
import { showProblem } from './script/line-row.js';
import { orderPlay, patchLine, pathOfRender } from './script/order-desk.js';
import { restartPace, setAsking } from './script/painting.js';
import { openPaste } from './script/intake/paste-dialog.js';
import { canPatch, hasWords, renderToPlay } from './script/play.js';
import { followRender, stopFollowing } from './script/render-feed.js';
import { offerRenders, openRenders } from './script/renders-drawer.js';
import { renderFile } from './script/intake/script-file.js';
import { speakersOf } from './script/intake/script-text.js';
import { change, made, play, progress, setProgress, tellChange } from './script/state.js';
import { applyVolume } from './script/volume.js';
import './script/taking.js';

const EXAMPLE = [
  ['Ava', 'Good morning, and welcome aboard.'],
  ['Ben', 'The tide is coming in and the wind is fair, so we can leave as soon as everyone has found a seat.'],
  ['Cleo', 'I have packed sandwiches, three kinds of tea, and one very small cake.'],
  ['Ben', 'Then there is nothing left to wait for.'],
  ['Narrator', 'The ropes came off one by one.'],
];

const gapField = document.getElementById('script-gap');
const failure = document.getElementById('script-failure');
const connection = document.getElementById('connection');
const connectionWord = document.getElementById('connection-word');

// what the server makes of it

async function onRender() {
  const names = speakersOf(play.lines).filter(([name]) => !play.cast[name]).map(([name]) => name);
  const nameless = play.lines.filter((line) => hasWords(line) && !line.speaker.trim());
  nameless.forEach(({ key }) => showProblem(rows.get(key), 'Who says this?'));
  if (names.length || nameless.length) {
    showFailure(names.length ? `Nobody speaks ${names.join(', ')} yet: choose a character or a voice for each.` : 'Some lines are nobody’s.');
    return;
  }
  setAsking(true);
  const hasFailures = progress?.state === 'cancelled' || [...made.values()].some(({ state }) => state === 'failed');
  const answer = await orderPlay(play, hasFailures);
  setAsking(false);
  take(answer);
}

function take({ isOk, play: next, message = '', problems = [] }) {
  const isOther = next.render?.id !== play.render?.id;
  change({ ...play, render: next.render });
  if (isOther) made.clear();
  for (const { key, message: wrong } of problems) if (key) showProblem(rows.get(key), wrong);
  const general = problems.filter(({ key }) => !key).map(({ message: wrong }) => wrong);
  showFailure(isOk ? '' : [message, ...general].filter(Boolean).join(' '));
  if (isOk) follow();
}

/** One line, as it stands now. */
async function onAgain(key) {
  const line = play.lines.find((one) => one.key === key);
  if (!canPatch(play)) {
    onRender();
    return;
  }
  setAsking(true);
  const { answer, play: next } = await patchLine(play, line);
  setAsking(false);
  if (answer.isOk) made.set(key, { ...made.get(key), state: 'queued' });
  take({ isOk: answer.isOk, play: next, message: answer.message, problems: answer.isOk ? [] : [{ key, message: answer.problems?.[0]?.message ?? answer.message }] });
}

async function onCancel() {
  const answer = await askServer('POST', `${pathOfRender(play.render.id)}/cancel`);
  if (!answer.isOk) showFailure(answer.message);
}

function showFailure(text) {
  failure.textContent = text;
  failure.hidden = !text;
  if (text) failure.scrollIntoView({ block: 'nearest' });
}

function follow() {
  if (!play.render) return;
  restartPace(progress?.done ?? 0);
  setProgress({ ...progress, state: 'rendering' });
  followRender(play.render.id);
}

function onLine({ detail }) {
  const key = play.render?.order[detail.line];
  if (key) made.set(key, detail);
  tellChange();
}

function onRenderTold({ detail }) {
  if (progress?.done === undefined) restartPace(detail.done ?? 0);
  setProgress({ ...progress, ...detail });
}

/** Somebody has deleted it, perhaps long ago: the words are still here. */
function onRenderGone() {
  stopFollowing();
  made.clear();
  setProgress(null);
  change({ ...play, render: null });
}

// files, and what was rendered before

const pasting = {
  take: (lines, isAppended, title) => {
    takeLines(lines, isAppended, title);
    if (!play.render) forgetRender();
  },
  renderFile: async (file, speakers) => {
    const cast = Object.fromEntries(speakers.map((name) => [name, guessWish(name)]).filter(([, wish]) => wish));
    const { isOk, message } = await renderFile(file, cast);
    if (isOk) openRenders();
    return isOk ? '' : message;
  },
};

/** Gives what went wrong, or nothing. */
async function openRender(id) {
  const found = await fetchJson(pathOfRender(id));
  if (!found) return 'It could not be opened. Is the server there?';
  forgetRender();
  takePlay(renderToPlay(found, found.script.map(() => newId()), wishOfVoice));
  gapField.value = play.gapMs;
  follow();
  return '';
}

function onRestored() {
  forgetRender();
  follow();
}

function forgetRender() {
  stopFollowing();
  made.clear();
  setProgress(null);
  showFailure('');
}

// the line to the server

async function connect() {
  const [people, voices] = await Promise.all([fetchJson('api/characters'), fetchJson('api/voices')]);
  if (people === null && (await probe('api/characters')) === 401) {
    askAccessKey(hasAccessKey());
    return;
  }
  showConnection(people !== null);
  if (people === null) {
    setTimeout(connect, 2000);
    return;
  }
  knowVoices(people, voices ?? []);
  castNames();
  if (play.render) follow();
}

function showConnection(isOnline) {
  connection.dataset.connection = isOnline ? 'online' : 'offline';
  connectionWord.textContent = isOnline ? 'Online' : 'Offline';
  showBanner(isOnline ? '' : 'The server cannot be reached. What you type is kept here. Trying again …');
}

function listen() {
  const on = (name, handle) => document.addEventListener(name, handle);
  const press = (id, handle) => document.getElementById(id).addEventListener('click', handle);
  on('line_told', onLine);
  on('render_told', onRenderTold);
  on('render_gone', onRenderGone);
  on('script_restored', onRestored);
  on('feed_state', ({ detail }) => showConnection(!detail.isLost));
  on('access_given', ({ detail }) => { setAccessKey(detail.key); connect(); });
  gapField.addEventListener('change', onGap);
  press('add-line', () => focusText(addLine()));
  press('paste-script', () => openPaste(pasting));
  takeDrops((file) => openPaste(pasting, file));
  offerRenders({ open: openRender, current: () => play.render?.id ?? null });
  press('example', () => takeLines(EXAMPLE.map(([speaker, text]) => ({ speaker, text })), false));
  press('render-all', onRender);
  press('render-cancel', onCancel);
}

function onGap() {
  change({ ...play, gapMs: Math.min(10000, Math.max(0, Math.round(Number(gapField.value) || 0))) });
  gapField.value = play.gapMs;
}

function init() {
  applyVolume();
  gapField.value = play.gapMs;
  startEditing({ play: playFrom, again: onAgain });
  listen();
  connect();
}

init();
