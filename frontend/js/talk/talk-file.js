/**
 * A talk as a file: plain text or JSON. Pure: takes what was said, gives text.
 *
 * said: [{turn, name, isUser, text, at, heard}] in order; heard is what sounded of a reply, or null when all of it did.
 */
export function talkToText(said) {
  return said.map(({ name, text, at, heard }) => `[${timeOf(at)}] ${name}: ${text}${heard === null ? '' : `\n    (heard: ${heard || 'nothing'})`}`)
    .join('\n\n').concat('\n');
}

export function talkToJson(session, said) {
  const messages = said.map(({ turn, name, isUser, text, at, heard }) => ({
    turn, role: isUser ? 'user' : 'assistant', name, text, at: new Date(at).toISOString(), ...(heard !== null && { heard }),
  }));
  return `${JSON.stringify({ session, messages }, null, 2)}\n`;
}

function timeOf(at) {
  return new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}
