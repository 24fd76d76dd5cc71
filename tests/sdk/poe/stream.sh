curl "https://api.poe.com/v1/messages" \
  -H "Content-Type: application/json" \
  -H "x-api-key: $POE_API_KEY" \
  -H "anthropic-version: 2023-06-01" \
  -d '{
    "model": "claude-sonnet-4",
    "max_tokens": 1024,
    "stream": true,
    "messages": [
      {
        "role": "user",
        "content": "Tell me about San Francisco"
      }
    ]
  }' \
  --no-buffer
