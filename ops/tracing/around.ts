/** Clients of the outside with a span around each request. Without tracing they are the clients themselves. */
import type { Embeddings } from '../../connectors/embeddings/embeddings.ts'
import type { SendRequest } from '../../connectors/embeddings/request.ts'
import type { createPassage } from '../../connectors/postgres/gated.ts'
import type { KnowledgeStore } from '../../connectors/postgres/store.ts'
import type { GuardedFetch } from '../../streams/1-crawler/ports.ts'
import type { Tracing } from './tracing.ts'

type Passage = ReturnType<typeof createPassage>

const postgres = { 'db.system.name': 'postgresql' }

/** One request serves several pages: it hangs below the first of them, the others are linked. */
export const tracedSend =
  (send: SendRequest, tracing: Tracing, model: string): SendRequest =>
  (texts, signal, traces = []) => {
    const attributes = {
      'gen_ai.operation.name': 'embeddings',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': model,
      'sluice.inputs': texts.length,
    }
    return tracing.joint(`embeddings ${model}`, traces, attributes, async () => {
      const reply = await send(texts, signal, traces)
      tracing.note({ 'gen_ai.usage.input_tokens': reply.tokens })
      return reply
    })
  }

/** A page's wait for its vectors, with the requests that it has to itself below. */
export const tracedEmbeddings = (embeddings: Embeddings, tracing: Tracing): Embeddings => ({
  ...embeddings,
  embed: (tenantId, inputs, ...rest) =>
    tracing.part('embed page', { 'sluice.inputs': inputs.length }, () => embeddings.embed(tenantId, inputs, ...rest)),
})

/** The wait at the gate is not the statement's: the span begins once Postgres is asked. */
export const tracedPassage =
  (passage: Passage, tracing: Tracing): Passage =>
  (call, work) =>
    // Transactions of several pages have a span of their own.
    call.class.startsWith('write')
      ? passage(call, work)
      : passage(call, () =>
          tracing.part(call.class, { ...postgres, 'db.operation.name': call.class.replace(/-\d+$/, '') }, work),
        )

/** Group commit: the transaction hangs below its first page, the others are linked. */
export const tracedStore = (store: KnowledgeStore, tracing: Tracing): KnowledgeStore => ({
  ...store,
  transact: (group, writes, ledger) =>
    tracing.joint(
      'transaction',
      writes.map(({ trace }) => trace),
      { ...postgres, 'db.operation.name': 'transaction', 'db.operation.batch.size': writes.length },
      () => store.transact(group, writes, ledger),
    ),
})

export const tracedFetch =
  (fetch: GuardedFetch, tracing: Tracing): GuardedFetch =>
  (url, options) =>
    tracing.part('GET', { 'http.request.method': 'GET', 'url.full': url }, async () => {
      const response = await fetch(url, options)
      tracing.note({ 'http.response.status_code': response.status })
      return response
    })
