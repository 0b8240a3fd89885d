/**
 * A cast and its changes: who takes part, who of them is silent, who speaks when. Pure: knows neither page nor wire.
 *
 * cast: {members: [{id, name, colour, is_muted}], order, answers} as the server says it.
 * A wish is {characters: [id], muted: [id], order, answers} as the server is asked for it.
 */
export const MOST_MEMBERS = 8;
const ORDERS = ['talk', 'list', 'chosen'];
const MOST_ANSWERS = 4;

export function isCast(cast) {
  return Array.isArray(cast?.members) && cast.members.length > 0 && cast.members.every(isMember)
    && ORDERS.includes(cast.order) && Number.isInteger(cast.answers);
}

function isMember(member) {
  return typeof member?.id === 'string' && typeof member.name === 'string';
}

/** What is kept in a browser is not trusted. */
export function isWish(wish) {
  const isIds = (ids) => Array.isArray(ids) && ids.length <= MOST_MEMBERS && ids.every((id) => typeof id === 'string' && id);
  return typeof wish === 'object' && wish !== null && isIds(wish.characters) && wish.characters.length > 0 && isIds(wish.muted)
    && ORDERS.includes(wish.order) && Number.isInteger(wish.answers) && wish.answers >= 0 && wish.answers <= MOST_ANSWERS;
}

function wishOf({ members, order, answers }) {
  return { characters: members.map(({ id }) => id), muted: members.filter((member) => member.is_muted).map(({ id }) => id), order, answers };
}

export function sameCast(wish, cast) {
  return JSON.stringify(wish) === JSON.stringify(wishOf(cast));
}

/** A talk of several begins with characters who answer each other once: else nobody would notice. */
export function withMember(cast, id) {
  const wish = wishOf(cast);
  if (wish.characters.includes(id) || wish.characters.length >= MOST_MEMBERS) return wish;
  const answers = wish.characters.length === 1 && wish.answers === 0 ? 1 : wish.answers;
  return { ...wish, characters: [...wish.characters, id], answers };
}

export function withOnly(cast, id) {
  return { ...wishOf(cast), characters: [id], muted: [] };
}

/** Somebody has to be left, and somebody who may speak. */
export function withoutMember(cast, id) {
  const wish = wishOf(cast);
  const characters = wish.characters.filter((other) => other !== id);
  return characters.length ? { ...wish, characters, muted: speakable(characters, wish.muted.filter((other) => other !== id)) } : wish;
}

export function withMuted(cast, id, isMuted) {
  const wish = wishOf(cast);
  const others = wish.muted.filter((other) => other !== id);
  const muted = isMuted ? [...others, id] : others;
  return { ...wish, muted: muted.length < wish.characters.length ? muted : wish.muted };
}

function speakable(characters, muted) {
  return muted.length < characters.length ? muted : [];
}

export function withMoved(cast, id, by) {
  const wish = wishOf(cast);
  const place = wish.characters.indexOf(id);
  const target = place + by;
  if (place < 0 || target < 0 || target >= wish.characters.length) return wish;
  const characters = [...wish.characters];
  characters.splice(place, 1);
  characters.splice(target, 0, id);
  return { ...wish, characters };
}

/** Who answers when nobody is named in the message: what the page may say without knowing it. id, or empty. */
export function likelyNext(cast, lastSpeaker) {
  const able = cast.members.filter((member) => !member.is_muted);
  if (able.length === 0) return '';
  const place = cast.members.findIndex(({ name }) => name === lastSpeaker);
  if (cast.order === 'list') {
    const round = [...cast.members.slice(place + 1), ...cast.members.slice(0, place + 1)];
    return round.find((member) => able.includes(member)).id;
  }
  return cast.order === 'talk' && able.length > 1 ? '' : able[0].id;
}
