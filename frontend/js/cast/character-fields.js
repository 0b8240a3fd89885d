/**
 * What a character consists of, and what is wrong with it, in words for a person. Pure: knows neither page nor wire.
 * The server has the last word; whatever is refused here it would refuse too.
 */
export const COLOURS = ['#a23b7a', '#2f6f3e', '#8a4b12', '#2d5d8a', '#6a4fb3', '#b3402d', '#0b6e67', '#5b5f97'];

const LIMITS = { name: 40, persona: 12000, greeting: 2000, description: 500, scene: 500 };
const VOICE_FIELDS = ['description', 'scene', 'language', 'rate', 'pitch'];
const NAMES = { name: 'A name', persona: 'A personality', greeting: 'A greeting', description: 'This description', scene: 'A scene' };

export function emptyFields(colour = COLOURS[0]) {
  return {
    name: '', persona: '', greeting: '', colour,
    voice: { name: 'default', engine: '', language: 'en-us', rate: 1, pitch: 1, description: '', scene: '', anchor: '' },
  };
}

/** What of a character a person can change, as a copy. */
export function fieldsOf({ name = '', persona = '', greeting = '', colour = COLOURS[0], voice = {} }) {
  return { name, persona, greeting, colour, voice: { ...emptyFields().voice, ...voice } };
}

export function isVoiceField(name) {
  return VOICE_FIELDS.includes(name);
}

/** {field: what is wrong with it}, empty when all is well. Letters are counted as the server does: whole ones. */
export function checkFields({ name, persona, greeting, voice }) {
  const texts = { name, persona, greeting, description: voice.description, scene: voice.scene };
  const wrong = Object.entries(LIMITS)
    .filter(([field, most]) => [...texts[field].trim()].length > most)
    .map(([field, most]) => [field, `${NAMES[field]} has at most ${most} letters; these are ${[...texts[field].trim()].length}.`]);
  const problems = Object.fromEntries(wrong);
  if (!name.trim()) problems.name = 'A character needs a name.';
  else if (/[:[\]<>]/.test(name)) problems.name = 'A name has none of : [ ] < >';
  if (!/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$/.test(voice.language)) problems.language = 'A language looks like en or pt-br.';
  return problems;
}

/** Where a refusal of the server belongs: [field or '', words]. */
export function refusalToField({ code, message }) {
  if (code === 'name_taken') return ['name', 'Somebody has this name already.'];
  const field = /^body\.(?:voice\.)?(\w+): /.exec(message)?.[1];
  if (field && (field in LIMITS || isVoiceField(field))) return [field, message.replace(/^[^:]*: (?:Value error, )?/, '')];
  return ['', message];
}

/** A name that nobody has yet: the same with the next free number. */
export function freeName(name, taken) {
  const known = taken.map((other) => other.toLocaleLowerCase());
  const stem = [...name.replace(/ \d+$/, '')].slice(0, LIMITS.name - 5).join('');
  let number = 2;
  while (known.includes(`${stem} ${number}`.toLocaleLowerCase())) number += 1;
  return `${stem} ${number}`;
}

/** A colour that few have. */
export function freeColour(taken) {
  const counts = COLOURS.map((colour) => taken.filter((other) => other === colour).length);
  return COLOURS[counts.indexOf(Math.min(...counts))];
}

export function isSame(a, b) {
  return JSON.stringify(fieldsOf(a)) === JSON.stringify(fieldsOf(b));
}
