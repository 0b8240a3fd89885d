/**
 * The voices that can be chosen, grouped by language and searched. Pure: knows neither page nor wire.
 */
const languageNames = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });

/** The name of a language tag; a tag that is none stands for itself. */
export function languageName(tag) {
  try {
    return languageNames.of(tag) ?? tag;
  } catch {
    return tag;
  }
}

/**
 * [{name, voices}] in which every word of the search occurs. The group of the wanted language comes first, then the others
 * by name; within a group the server's order stays: best first.
 */
export function groupVoices(voices, search = '', wanted = '') {
  const words = search.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  for (const voice of voices) {
    const group = languageName(primaryOf(voice.language));
    const text = `${voice.label} ${voice.name} ${voice.engine ?? ''} ${voice.gender ?? ''} ${group} ${languageName(voice.language ?? '')}`.toLocaleLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    groups.set(group, [...(groups.get(group) ?? []), voice]);
  }
  const first = languageName(primaryOf(wanted));
  const named = [...groups].map(([name, found]) => ({ name, voices: found }));
  return named.sort((a, b) => (b.name === first) - (a.name === first) || a.name.localeCompare(b.name));
}

function primaryOf(language) {
  return String(language ?? '').split('-')[0] || 'und';
}

/** As one value of a list. */
export function voiceKey({ engine = '', name }) {
  return `${engine} ${name}`;
}
