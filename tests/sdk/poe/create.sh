curl "https://api.poe.com/v1/messages" \
  -H "Content-Type: application/json" \
  -H "x-api-key: $POE_API_KEY" \
  -H "anthropic-version: 2023-06-01" \
  -d '{
    "model": "claude-sonnet-4",
    "max_tokens": 1024,
    "messages": [
      {
        "role": "user",
        "content": "What are the top 3 things to do in NYC?"
      }
    ]
  }'
