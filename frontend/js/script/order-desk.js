/**
 * What is asked of the server for a script: rendered, changed line by line, cancelled, tried again, forgotten.
 * Knows nothing of the page.
 */
import { askServer } from '../wire/access.js';
import { canPatch, hasWords, isChanged, lineToChange, lineToSaid, playToOrder, withRender } from './play.js';

export function pathOfRender(id) {
  return `api/renders/${encodeURIComponent(id)}`;
}

/**
 * Has all that is new or changed made. Gives {play, isOk} or {play, message, problems: [{key, message}]}; what was asked
 * for before a refusal stays asked for.
 */
export async function orderPlay(play, hasFailures) {
  return canPatch(play) ? patchPlay(play, hasFailures) : orderAnew(play);
}

async function orderAnew(play) {
  const answer = await askServer('POST', 'api/renders', playToOrder(play));
  if (!answer.isOk) return refusal(play, answer);
  const before = play.render?.id;
  if (before && before !== answer.data.id) askServer('DELETE', pathOfRender(before));
  return { isOk: true, play: withRender(play, answer.data.id) };
}

async function patchPlay(play, hasFailures) {
  let patched = play;
  for (const line of play.lines.filter((one) => hasWords(one) && isChanged(play, one))) {
    const { answer, play: next } = await patchLine(patched, line);
    patched = next;
    if (answer.status === 404) return orderAnew({ ...patched, render: null });
    if (!answer.isOk) return { ...refusal(patched, answer), problems: [{ key: line.key, message: firstProblem(answer) }] };
  }
  if (!hasFailures) return { isOk: true, play: patched };
  const answer = await askServer('POST', `${pathOfRender(play.render.id)}/retry`);
  if (answer.status === 404) return orderAnew({ ...patched, render: null });
  return answer.isOk ? { isOk: true, play: patched } : refusal(patched, answer);
}

/** Has one line said as it stands now, and only that one. */
export async function patchLine(play, line) {
  const { render } = play;
  const number = render.order.indexOf(line.key);
  const answer = await askServer('PUT', `${pathOfRender(render.id)}/lines/${number}`, lineToChange(line, play.cast));
  if (!answer.isOk) return { answer, play };
  const said = { ...render.said, [line.key]: lineToSaid(line, play.cast) };
  return { answer, play: { ...play, render: { ...render, said } } };
}

/** Lines of a refusal are counted from 1, in the order that was sent; 0 is no line. */
function refusal(play, answer) {
  const sent = play.lines.filter(hasWords);
  const problems = (Array.isArray(answer.problems) ? answer.problems : [])
    .map(({ line, message }) => ({ key: sent[line - 1]?.key ?? null, message: String(message) }));
  return { isOk: false, play, message: answer.message, problems };
}

function firstProblem(answer) {
  return answer.problems?.[0]?.message ?? answer.message;
}
