import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({
  apiKey: process.env.POE_API_KEY,
  baseURL: "https://api.poe.com",
});
const stream = await client.messages.stream({
  model: "claude-sonnet-4",
  max_tokens: 1024,
  messages: [{ role: "user", content: "Tell me about San Francisco" }],
});
for await (const event of stream) {
  if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
    process.stdout.write(event.delta.text);
  }
}
