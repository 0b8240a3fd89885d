/**
 * What the voice queue says of sentences and turns, in words and shares. Pure: takes sentences, gives text and numbers.
 */
import { isToCome } from '../talk/states.js';

const MS_PER_LETTER = 65;

export function msToWords(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** What stands at the right of a sentence. place: how many are before it in the line. */
export function jobNote(sentence, place) {
  const { status, durationMs, heardMs, madeMs, reason, attempt } = sentence;
  const attemptWords = attempt > 1 && isToCome(status) ? `try ${attempt}` : '';
  if (status === 'failed') return reason;
  if (status === 'queued') return joined(placeToWords(place), attemptWords);
  if (status === 'synthesizing') return joined(madeMs ? `${msToWords(madeMs)} made` : '', attemptWords);
  if (status === 'interrupted') return `heard ${msToWords(heardMs)}`;
  if (status === 'playing') return joined(durationMs ? `${msToWords(Math.max(0, durationMs - heardMs))} left` : '', attemptWords);
  if (status === 'skipped' || status === 'missed') return '';
  return durationMs ? msToWords(durationMs) : '';
}

function joined(...words) {
  return words.filter(Boolean).join(', ');
}

function placeToWords(place) {
  if (place === 0) return 'next';
  return `${place + 1}${['th', 'st', 'nd', 'rd'][ordinalEnd(place + 1)]} in line`;
}

function ordinalEnd(number) {
  return number % 10 > 3 || Math.floor(number / 10) % 10 === 1 ? 0 : number % 10;
}

/** [[what, how much]] of how a sentence was made. */
export function jobDetails({ worker, attempt, queueMs, firstAudioMs, durationMs, madeMs, restartMs, isCached }) {
  return [
    ['Worker', worker || 'not yet'],
    ['Attempt', String(attempt || 1)],
    ['Waited', queueMs === null ? '–' : `${Math.round(queueMs)} ms`],
    ['First audio', firstAudioMs === null ? '–' : `${Math.round(firstAudioMs)} ms`],
    ['Length', durationMs ? msToWords(durationMs) : '–'],
    ...(madeMs ? [['Received', msToWords(madeMs)]] : []),
    ...(restartMs ? [['Given up', msToWords(restartMs)]] : []),
    ...(isCached ? [['Source', 'cache']] : []),
  ];
}

export function shareHeard({ status, heardMs, durationMs }) {
  if (status === 'played') return 1;
  return durationMs ? Math.min(1, heardMs / durationMs) : 0;
}

/** Of a sentence in the making the length is only guessed. */
export function shareMade({ status, text, madeMs, durationMs }) {
  if (status === 'ready' || status === 'played' || status === 'silent') return 1;
  const guessMs = durationMs || Math.max(text.length * MS_PER_LETTER, madeMs * 1.1);
  return guessMs ? Math.min(1, madeMs / guessMs) : 0;
}

export function underrunsToWords(count) {
  return `${count} ${count === 1 ? 'underrun' : 'underruns'}`;
}

/** What there is to say of a turn that has nothing to come. */
export function turnStateWords({ isCut, underruns, sentences }) {
  const hasFailed = [...sentences.values()].some(({ status }) => status === 'failed');
  return joined(isCut ? 'cut' : hasFailed ? 'with a failure' : '', underruns ? underrunsToWords(underruns) : '');
}

/** A turn in one line. */
export function turnToLine(turn) {
  const sentences = [...turn.sentences.values()];
  const toCome = sentences.filter(({ status }) => isToCome(status)).length;
  const seconds = sentences.reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);
  const parts = [`${sentences.length} ${sentences.length === 1 ? 'sentence' : 'sentences'}`];
  if (seconds) parts.push(msToWords(seconds));
  if (turn.firstSoundMs !== null) parts.push(`first sound ${Math.round(turn.firstSoundMs)} ms`);
  if (turn.isHeard || turn.underruns) parts.push(underrunsToWords(turn.underruns));
  return { toCome, line: parts.join(', ') };
}
