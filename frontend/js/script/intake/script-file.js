/**
 * A script that is a file: read by the server, which knows every form of one. Knows nothing of the page.
 */
import { askServer } from '../../wire/access.js';

/** What the server takes, too. */
const MOST_BYTES = 64 * 1024 * 1024;

/** {isOk, title, speakers, skipped, lines: [as play.js has them, without keys]}, else {isOk, message}. */
export async function readFile(file) {
  const answer = await send('api/scripts', file);
  if (!answer.isOk) return refusalOf(file, answer);
  const { title, speakers, skipped, lines } = answer.data;
  return { isOk: true, title, speakers, skipped, lines: rowsToLines(lines) };
}

/** Have all of it rendered as it is: {isOk, id}, else {isOk, message}. cast: {NAME: wish}, of those who are known. */
export async function renderFile(file, cast) {
  const answer = await send('api/renders', file, { cast: JSON.stringify(cast) });
  return answer.isOk ? { isOk: true, id: answer.data.id } : refusalOf(file, answer);
}

async function send(path, file, fields = {}) {
  if (file.size > MOST_BYTES) return { isOk: false, message: `It is too large: a script has at most ${MOST_BYTES >> 20} MB.` };
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('script', file, file.name);
  return askServer('POST', path, form);
}

function refusalOf(file, { message }) {
  return { isOk: false, message: `${file.name}: ${message}` };
}

/** Rows are in the list form of the server; one that is nothing but a pause is at the very end. */
function rowsToLines(rows) {
  return rows.filter(({ text }) => text).map((row) => ({
    speaker: row.speaker, text: row.text, speed: row.speed ?? 1, pauseMs: Math.round(row.pause_before_ms ?? 0),
    direction: row.direction ?? '', chapter: row.chapter ?? '',
  }));
}
