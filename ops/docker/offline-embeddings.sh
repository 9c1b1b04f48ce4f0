#!/bin/sh
# sluice, with the offline embeddings server for as long as the environment names no other. Compose's own defaults cannot
# say this: a key alone must switch to the hosted model, not be sent to the offline server.
set -eu
# Compose mounts /dev/null for a key file that nobody named.
if [ -n "${OPENAI_API_KEY_FILE:-}" ] && [ ! -s "$OPENAI_API_KEY_FILE" ]; then unset OPENAI_API_KEY_FILE; fi
if [ -z "${OPENAI_API_KEY:-}${OPENAI_API_KEY_FILE:-}${OPENAI_BASE_URL:-}" ]; then
  export OPENAI_BASE_URL=http://embeddings:8080/v1
  export EMBEDDING_MODEL="${EMBEDDING_MODEL:-sluice-hash-v1}"
  export EMBEDDING_DIMENSIONS="${EMBEDDING_DIMENSIONS:-512}"
fi
# exec: SIGTERM must reach node, or nothing would drain.
exec node "$(dirname "$0")/../bin/sluice.mjs" "$@"
