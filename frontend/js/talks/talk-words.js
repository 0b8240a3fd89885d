/**
 * What the list says of a conversation: what it is called, who was in it, when. Pure: takes what the server said, gives text.
 */
const DAY_MS = 24 * 3600 * 1000;

/** Conversations in which nothing was said are of no interest, but for the one that is open. */
export function worthListing(talks, current) {
  return talks.filter(({ id, turns, title }) => turns > 0 || title || id === current);
}

export function titleOf({ title }) {
  return title || 'Nothing said yet';
}

/** The line below the title. nameOf: id → name, or nothing where nobody knows it any more. */
export function talkLine({ character, turns, updated_at: at }, nameOf, now) {
  const who = nameOf(character) ?? '';
  const howMuch = turns === 1 ? '1 turn' : `${turns} turns`;
  return [who, howMuch, at ? timeWords(at, now) : ''].filter(Boolean).join(' · ');
}

/** The time of today, the day of this week, else the date. */
export function timeWords(at, now) {
  const date = new Date(at);
  const days = daysBetween(at, now);
  if (days < 1) return date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  if (days < 7) return date.toLocaleDateString([], { weekday: 'long' });
  const isThisYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString([], { day: 'numeric', month: 'short', ...(!isThisYear && { year: 'numeric' }) });
}

function daysBetween(at, now) {
  return Math.round((dayOf(now) - dayOf(at)) / DAY_MS);
}

function dayOf(at) {
  const date = new Date(at);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** [{name, talks}] in the order given: the newest first. What is not at rest yet is of today. */
export function groupByDay(talks, now) {
  const groups = [];
  for (const talk of talks) {
    const name = groupName(talk.updated_at ?? now, now);
    if (groups.at(-1)?.name !== name) groups.push({ name, talks: [] });
    groups.at(-1).talks.push(talk);
  }
  return groups;
}

function groupName(at, now) {
  const days = daysBetween(at, now);
  if (days < 1) return 'Today';
  if (days === 1) return 'Yesterday';
  if (days < 7) return 'This week';
  return new Date(at).toLocaleDateString([], { month: 'long', year: 'numeric' });
}

/** A transcript as the page draws it: [{turn, messages: [{isUser, name, text, heard, at}]}], the newest of them. */
export function keptTurns({ messages }, most) {
  const turns = new Map();
  for (const { turn, role, character, text, heard, said_at: at } of messages ?? []) {
    if (!Number.isSafeInteger(turn) || turn < 0 || typeof text !== 'string') continue;
    const isUser = role === 'user';
    const said = { isUser, name: isUser ? 'You' : String(character || 'Reply'), text, heard: typeof heard === 'string' ? heard : text, at };
    turns.set(turn, [...(turns.get(turn) ?? []), said]);
  }
  return [...turns].map(([turn, said]) => ({ turn, messages: said })).sort((a, b) => a.turn - b.turn).slice(-most);
}
