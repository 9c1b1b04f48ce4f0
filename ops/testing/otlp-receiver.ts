/** A collector for tests: takes OTLP over HTTP as JSON, and keeps the spans. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'

type Value = { stringValue?: string; intValue?: number | string; boolValue?: boolean; doubleValue?: number }
interface RawSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  attributes?: { key: string; value: Value }[]
  links?: { traceId: string; spanId: string }[]
  status?: { code?: number; message?: string }
}
interface Export {
  resourceSpans: { resource: { attributes: RawSpan['attributes'] }; scopeSpans: { spans: RawSpan[] }[] }[]
}

export interface ReceivedSpan extends Pick<RawSpan, 'traceId' | 'spanId' | 'name' | 'kind'> {
  readonly parentSpanId: string
  readonly attributes: Record<string, string | number | boolean | undefined>
  readonly links: readonly { traceId: string; spanId: string }[]
  readonly status: number
  /** The process that it comes from. */
  readonly resource: Record<string, string | number | boolean | undefined>
}

export async function startOtlpReceiver() {
  const spans: ReceivedSpan[] = []
  const paths = new Set<string>()
  const server = createServer((request, response) => {
    paths.add(request.url ?? '')
    void json(request).then((body) => {
      for (const { resource, scopeSpans } of (body as Export).resourceSpans)
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push(received(span, resource.attributes))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    spans: spans as readonly ReceivedSpan[],
    paths: paths as ReadonlySet<string>,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const received = (span: RawSpan, resource: RawSpan['attributes']): ReceivedSpan => ({
  ...{ traceId: span.traceId, spanId: span.spanId, name: span.name, kind: span.kind },
  parentSpanId: span.parentSpanId ?? '',
  attributes: valuesOf(span.attributes),
  links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
  status: span.status?.code ?? 0,
  resource: valuesOf(resource),
})

const valuesOf = (attributes: RawSpan['attributes'] = []) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ??
        (value.intValue !== undefined ? Number(value.intValue) : (value.boolValue ?? value.doubleValue)),
    ]),
  )
