// The official JavaScript client, pointed at us by its base URL alone. Says as JSON what it got; the test judges.

import OpenAI from "openai";
import { createHash } from "node:crypto";

const [baseURL, input] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });

async function hashOf(answer) {
  return createHash("sha256").update(Buffer.from(await answer.arrayBuffer())).digest("hex");
}

async function main() {
  const asked = { model: "gpt-4o-mini-tts", voice: "coral", input, response_format: "pcm" };
  const whole = await client.audio.speech.create(asked);
  const streamed = await client.audio.speech.create({ ...asked, speed: 1, instructions: "Speak warmly." });
  const reader = streamed.body.getReader();
  const first = await reader.read();
  await reader.cancel();
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  let refused = {};
  try {
    await client.audio.speech.create({ ...asked, input: "x".repeat(5000) });
  } catch (error) {
    refused = { kind: error.constructor.name, status: error.status, param: error.param, code: error.code };
  }
  const told = { type: whole.headers.get("content-type"), sha256: await hashOf(whole), firstBytes: first.value.length };
  process.stdout.write(JSON.stringify({ ...told, models, refused }));
}

await main();
