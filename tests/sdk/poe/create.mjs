// npm install @anthropic-ai/sdk
import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({
  apiKey: process.env.POE_API_KEY, // https://poe.com/api_key
  baseURL: "https://api.poe.com",
});
const message = await client.messages.create({
  model: "claude-sonnet-4", // or claude-opus-4, claude-3-5-haiku, etc.
  max_tokens: 1024,
  messages: [{ role: "user", content: "What are the top 3 things to do in NYC?" }],
});
console.log(message.content[0].text);
