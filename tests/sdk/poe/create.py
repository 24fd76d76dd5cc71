# pip install anthropic
import os
import anthropic
client = anthropic.Anthropic(
    api_key=os.getenv("POE_API_KEY"), # https://poe.com/api_key
    base_url="https://api.poe.com",
)
message = client.messages.create(
    model="claude-sonnet-4", # or claude-opus-4, claude-3-5-haiku, etc.
    max_tokens=1024,
    messages=[{"role": "user", "content": "What are the top 3 things to do in NYC?"}],
)
print(message.content[0].text)
