/** The embeddings API: one real request, past the budgets, so that Postgres being away hides nothing. */
import { classifyFailure } from '../../connectors/embeddings/failures.ts'
import { createRequest } from '../../connectors/embeddings/request.ts'
import { bad, ok, warn } from './finding.ts'
import type { Check, Found } from './finding.ts'

export const embeddingsCheck: Check = {
  name: 'embeddings',
  look: async ({ services: { config }, now }) => {
    const { model, dimensions, requestTimeoutMs } = config.embeddings
    try {
      await createRequest(config.embeddings)(['Is this thing on?'], AbortSignal.timeout(requestTimeoutMs))
      return ok(`${model}, ${dimensions} dimensions`)
    } catch (error) {
      return judge(error, now())
    }
  },
}

function judge(error: unknown, nowMs: number): Found {
  const failure = classifyFailure(error, nowMs)
  if (failure.kind === 'rejected') return bad(failure.message, 'Does EMBEDDING_MODEL take what is asked of it?')
  const { message } = failure.error
  if (failure.cause === 'throttled')
    return warn(message, 'It answers, and asks for patience: `sluice limit embeddings` shows the limits that are set.')
  if (failure.status === 200)
    return bad(
      message,
      'Set EMBEDDING_DIMENSIONS to what the model gives, and use a database with that column; a model that can give fewer is asked for them.',
    )
  return bad(message, hints[failure.status] ?? 'Is OPENAI_BASE_URL right (it ends in /v1), and reachable from here?')
}

const hints: Readonly<Record<number | string, string>> = {
  400: 'Does EMBEDDING_MODEL know the dimensions that EMBEDDING_DIMENSIONS asks for?',
  401: 'Set OPENAI_API_KEY (or OPENAI_API_KEY_FILE) to a key of this server.',
  403: 'The key may not use this model: set OPENAI_API_KEY or EMBEDDING_MODEL to ones that go together.',
  404: 'Set EMBEDDING_MODEL to a model of this server; OPENAI_BASE_URL ends in /v1.',
  429: 'The account is out of quota: only its owner can help.',
}
