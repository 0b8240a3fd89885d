/**
 * Which words have been said, and where each sentence stands in the reply. Pure text; knows no DOM and no clock.
 */
const MS_PER_LETTER = 65;

/** Cut a sentence where the voice is: [said, to come]. durationMs may be unknown (null). */
export function splitAtVoice(text, heardMs, durationMs) {
  const words = text.match(/\S+\s*/g) ?? [];
  const weights = words.map(wordToWeight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const fullMs = durationMs || text.length * MS_PER_LETTER;
  let left = (heardMs / fullMs) * total;
  let count = 0;
  while (count < words.length && left >= weights[count] / 2) left -= weights[count++];
  return [words.slice(0, count).join(''), words.slice(count).join('')];
}

/**
 * Where the voice is in the words of a sentence: [milliseconds, of how many]. Sound of an attempt that was given up
 * does not count once the next one is heard; while it is still heard, it has its own place.
 */
export function placeInWords({ heardMs, restartMs = 0, durationMs }) {
  const wordsMs = durationMs > restartMs ? durationMs - restartMs : durationMs;
  return [heardMs >= restartMs ? heardMs - restartMs : heardMs, wordsMs];
}

function wordToWeight(word) {
  const letters = word.trim();
  if (/[.!?]["')\]]*$/.test(letters)) return letters.length + 5;
  return letters.length + (/[,;:]$/.test(letters) ? 3 : 1);
}

/**
 * Cut a reply into pieces [{text, number}], number null between sentences, so that joining the pieces gives the reply.
 * sentences: [{number, text}] in order. A sentence whose words are not (yet) there has no piece.
 */
export function cutReply(reply, sentences) {
  const pieces = [];
  let cursor = 0;
  for (const { number, text } of sentences) {
    const found = findWords(reply, text, cursor);
    if (!found) continue;
    if (found.start > cursor) pieces.push({ text: reply.slice(cursor, found.start), number: null });
    pieces.push({ text: reply.slice(found.start, found.end), number });
    cursor = found.end;
  }
  if (cursor < reply.length) pieces.push({ text: reply.slice(cursor), number: null });
  return pieces;
}

/** Find text from a place on; white space and markup signs may differ, because the spoken text has been cleaned. */
function findWords(reply, text, from) {
  const wanted = text.trim();
  if (!wanted) return null;
  const exact = reply.indexOf(wanted, from);
  if (exact >= 0) return { start: exact, end: exact + wanted.length };
  const letters = lettersOf(reply.slice(from));
  const start = letters.text.indexOf(lettersOf(wanted).text);
  if (start < 0 || !lettersOf(wanted).text) return null;
  const last = letters.places[start + lettersOf(wanted).text.length - 1];
  const trailing = /^[^\s\p{L}\p{N}]*/u.exec(reply.slice(from + last + 1))[0].length;
  return { start: from + letters.places[start], end: from + last + 1 + trailing };
}

function lettersOf(text) {
  const places = [];
  let letters = '';
  for (let place = 0; place < text.length; place += 1) {
    if (!/[\p{L}\p{N}]/u.test(text[place])) continue;
    letters += text[place].toLowerCase();
    while (places.length < letters.length) places.push(place);
  }
  return { text: letters, places };
}
