/** One request to an OpenAI-compatible server, without any retry: one layer retries, and it is not this one. */
import OpenAI from 'openai'
import type { TraceHeaders } from '../../streams/trace.ts'
import { readAnswer } from './answer.ts'
import type { Answer } from './answer.ts'

export interface RequestSettings {
  readonly apiKey?: string | undefined
  /** undefined: OpenAI's own. */
  readonly baseUrl?: string | undefined
  readonly model: string
  readonly dimensions: number
  readonly requestTimeoutMs: number
  /** base64 is a quarter of the bytes; `float` for servers that refuse the word. */
  readonly encodingFormat?: 'base64' | 'float'
  /** false for models that refuse the parameter and have the right number anyway. */
  readonly sendDimensions?: boolean
}

export interface Reply extends Answer {
  /** For limiters that read `x-ratelimit-*`. */
  readonly headers: Headers
}

/** @throws the SDK's errors, and DependencyUnavailable for an answer that must be refused. */
export type SendRequest = (
  texts: readonly string[],
  signal: AbortSignal,
  /** Of the pages that it serves, the first one's first. */
  traces?: readonly TraceHeaders[],
) => Promise<Reply>

export function createRequest(settings: RequestSettings): SendRequest {
  const { model, dimensions, encodingFormat = 'base64', sendDimensions = true } = settings
  const client = new OpenAI({
    // Local servers ask for no key, the SDK does. The nulls keep it from reading the environment.
    apiKey: settings.apiKey ?? 'none',
    baseURL: settings.baseUrl ?? 'https://api.openai.com/v1',
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: settings.requestTimeoutMs,
    logLevel: 'off',
  })
  return async (texts, signal) => {
    const { data, response } = await client.embeddings
      .create(
        // Said outright: left out, the SDK asks for base64 and decodes whatever comes without a look at it.
        { model, input: [...texts], encoding_format: encodingFormat, ...(sendDimensions && { dimensions }) },
        { signal },
      )
      .withResponse()
    return { ...readAnswer(data, texts.length, dimensions), headers: response.headers }
  }
}
