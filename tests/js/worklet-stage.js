/** A stage for the player worklet in node: the few names an AudioWorkletGlobalScope has, and a fresh player each time. */
const QUANTUM = 128;
let loads = 0;

export async function newPlayer() {
  const posts = [];
  let Processor = null;
  globalThis.AudioWorkletProcessor = function AudioWorkletProcessor() {
    const port = { onmessage: null, postMessage: (message) => posts.push(message) };
    return Object.assign(Object.create(new.target.prototype), { port });
  };
  globalThis.registerProcessor = (name, constructor) => { Processor = constructor; };
  loads += 1;
  await import(`../../frontend/js/worklets/player-worklet.js?load=${loads}`);
  const processor = new Processor();
  const say = (message) => processor.port.onmessage({ data: message });
  return { posts, say, play: (samples) => play(processor, samples), told: (type) => posts.filter((post) => post.type === type) };
}

/** Render at least that many samples, in s16 steps (not rounded, so that what is not exact shows). */
function play(processor, samples) {
  const heard = [];
  while (heard.length < samples) {
    const out = new Float32Array(QUANTUM);
    if (processor.process([], [[out]]) !== true) throw new Error('a player must live on');
    heard.push(...Array.from(out, (value) => value * 32768));
  }
  return heard;
}

/** Sample i is (i mod 30000) + 1: every sample names its place, and none is 0. */
export function counter(from, length) {
  return Int16Array.from({ length }, (_, index) => ((from + index) % 30000) + 1);
}

/** Chunk messages of one sentence, cut as the server cuts: 40 ms, then 100 ms. */
export function sentenceChunks(turn, sentence, from, length) {
  const chunks = [];
  for (let start = 0; start < length; start += start ? 2400 : 960) {
    const size = Math.min(start ? 2400 : 960, length - start);
    chunks.push({ type: 'chunk', turn, sentence, isLast: start + size === length, isFailed: false, samples: counter(from + start, size) });
  }
  return chunks;
}

/** The microphone's worklet in a context of that rate: what it hears, what it posts. */
export async function newCapture(rateHz) {
  const posts = [];
  let Processor = null;
  globalThis.sampleRate = rateHz;
  globalThis.AudioWorkletProcessor = function AudioWorkletProcessor() {
    return Object.assign(Object.create(new.target.prototype), { port: { postMessage: (message) => posts.push(message) } });
  };
  globalThis.registerProcessor = (name, constructor) => { Processor = constructor; };
  loads += 1;
  await import(`../../frontend/js/worklets/capture-worklet.js?load=${loads}`);
  const processor = new Processor();
  const hear = (samples) => {
    for (let start = 0; start < samples.length; start += QUANTUM) {
      if (processor.process([[samples.subarray(start, start + QUANTUM)]]) !== true) throw new Error('a microphone must live on');
    }
  };
  return { posts, hear };
}
