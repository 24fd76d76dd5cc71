import os
import anthropic
client = anthropic.Anthropic(
    api_key=os.getenv("POE_API_KEY"),
    base_url="https://api.poe.com",
)
with client.messages.stream(
    model="claude-sonnet-4",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Tell me about San Francisco"}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
