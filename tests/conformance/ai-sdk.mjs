// A framework's OpenAI provider (Vercel's AI SDK), pointed at us by its base URL alone. Says as JSON what it got.

import { createOpenAI } from "@ai-sdk/openai";
import { experimental_generateSpeech as generateSpeech } from "ai";
import { createHash } from "node:crypto";

const [baseURL, text] = process.argv.slice(2);
const provider = createOpenAI({ baseURL, apiKey: "none" });

async function main() {
  const spoken = await generateSpeech({
    model: provider.speech("tts-1"),
    text,
    voice: "onyx",
    outputFormat: "wav",
    speed: 1,
    maxRetries: 0,
  });
  let refused = 0;
  try {
    await generateSpeech({ model: provider.speech("tts-1"), text: "x".repeat(5000), maxRetries: 0 });
  } catch (error) {
    refused = error.statusCode;
  }
  const pcm = spoken.audio.uint8Array.subarray(44);
  const told = { type: spoken.audio.mediaType, sha256: createHash("sha256").update(pcm).digest("hex") };
  process.stdout.write(JSON.stringify({ ...told, refused }));
}

await main();
