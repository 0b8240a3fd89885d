/**
 * Who answers the next message. Pure: knows neither the page nor the wire.
 *
 * order: 'choose' (the chosen one, until another is chosen), 'turns' (one after the other as they are listed) or
 * 'named' (whoever is named in the message, else whoever spoke last).
 */
export function whoAnswers({ order, characters, chosen, last, muted, text }) {
  const able = characters.filter(({ id }) => !muted.includes(id));
  if (able.length === 0) return null;
  const isAble = (id) => able.some((character) => character.id === id);
  if (order === 'turns') return afterIn(characters, able, last);
  if (order === 'named') return namedIn(able, text) ?? (isAble(last) ? last : firstOf(able, chosen));
  return firstOf(able, chosen);
}

function firstOf(able, wanted) {
  return (able.find(({ id }) => id === wanted) ?? able[0]).id;
}

function afterIn(characters, able, last) {
  const place = characters.findIndex(({ id }) => id === last);
  const inOrder = [...characters.slice(place + 1), ...characters.slice(0, place + 1)];
  return inOrder.find((character) => able.includes(character)).id;
}

/** The one whose name comes first; a name is a whole word, whatever its case. */
function namedIn(able, text) {
  const words = ` ${wordsOf(text)} `;
  const places = able.map(({ id, name }) => ({ id, place: words.indexOf(` ${wordsOf(name)} `) })).filter(({ place }) => place >= 0);
  places.sort((a, b) => a.place - b.place);
  return places[0]?.id ?? null;
}

function wordsOf(text) {
  return (text.toLocaleLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(' ');
}
