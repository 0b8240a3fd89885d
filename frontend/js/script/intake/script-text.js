/**
 * A script that was pasted, cut into lines: NAME: text, [SPEAKER0] text, or plain text by sentences. Pure text.
 * What the server would read differently it is not asked to read: it gets the lines as they stand on the page.
 */
const MOST_NAME_CHARS = 40;
const CUE = /^\s*([^\s:[\](){}<>][^:[\](){}<>]*?)\s*((?:\([^()]*\)\s*)*):\s+(\S.*)$/u;
const TAG = /^\s*\[\s*SPEAKER[\s_]*(\d{1,3})\s*\]:?\s*(\S.*)$/iu;
const PAUSE = /\[\s*pause\s+(\d+(?:\.\d+)?)\s*(ms|s)\s*\]/giu;

/** [{speaker, text, pauseMs}], without what has no words. narrator: who says what nobody says. */
export function textToLines(text, narrator = 'Narrator') {
  const rows = text.split(/\r?\n|\r/).filter((row) => row.trim() && !row.trim().startsWith('#'));
  const hasCues = rows.some((row) => readCue(row) !== null);
  let speaker = narrator;
  let pauseMs = 0;
  const lines = [];
  for (const row of rows) {
    const cue = readCue(row);
    if (cue) speaker = cue.speaker;
    const { words, ms } = takePauses(cue ? cue.text : row.trim());
    pauseMs += ms;
    const said = hasCues ? [words] : wordsToSentences(words);
    for (const one of said.filter((part) => /[\p{L}\p{N}]/u.test(part))) {
      lines.push({ speaker, text: one, pauseMs });
      pauseMs = 0;
    }
  }
  return lines;
}

function readCue(row) {
  const tag = TAG.exec(row);
  if (tag) return { speaker: `Speaker ${Number(tag[1]) + 1}`, text: tag[2] };
  const cue = CUE.exec(row);
  if (!cue || [...cue[1]].length > MOST_NAME_CHARS || cue[1].split(/\s+/).length > 4) return null;
  return { speaker: cue[1].replace(/\*/g, '').trim(), text: cue[3].replace(/^\([^()]*\)\s*/, '') };
}

function takePauses(text) {
  let ms = 0;
  const words = text.replace(PAUSE, (_, number, unit) => {
    ms += Number(number) * (unit.toLowerCase() === 's' ? 1000 : 1);
    return ' ';
  });
  return { words: words.replace(/\s+/g, ' ').trim(), ms: Math.min(60000, Math.round(ms)) };
}

function wordsToSentences(text) {
  return text.split(/(?<=[.!?…]["'”’)\]]*)\s+/u).filter(Boolean);
}

/** [[name, how many lines]] in the order of their first lines. */
export function speakersOf(lines) {
  const counts = new Map();
  for (const { speaker, text } of lines) {
    if (speaker.trim() && text.trim()) counts.set(speaker.trim(), (counts.get(speaker.trim()) ?? 0) + 1);
  }
  return [...counts];
}
