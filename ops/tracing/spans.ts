/**
 * What is done becomes spans, named and described by OpenTelemetry's conventions for messaging, databases and
 * generative AI. A record's parent is what its headers say, never what happens to run in this process.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, defaultTextMapGetter, trace } from '@opentelemetry/api'
import type { Context, Link, SpanContext, SpanOptions, Tracer as OtelTracer } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { errorMessage } from '../../streams/errors.ts'
import { readTrace } from '../../streams/trace.ts'
import type { Carried, TraceHeaders } from '../../streams/trace.ts'
import type { Attributes, Tracing } from './tracing.ts'

/** Of an error's message; it may quote a page. */
const MAX_MESSAGE = 200

const propagator = new W3CTraceContextPropagator()
const setHeader = {
  set: (carrier: Record<string, string>, name: string, value: string) => void (carrier[name] = value),
}

/** The context that headers name; without any, one that begins a trace. */
function contextOf(carried: Carried | TraceHeaders | undefined): Context {
  const headers = readTrace(carried)
  return headers ? propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter) : ROOT_CONTEXT
}
function headersOf(at: Context): TraceHeaders | undefined {
  const headers: Record<string, string> = {}
  propagator.inject(at, headers, setHeader)
  return readTrace(headers)
}
const spanContextOf = (of: TraceHeaders | undefined): SpanContext | undefined => trace.getSpanContext(contextOf(of))

export function createSpans(tracer: OtelTracer): Omit<Tracing, 'stop'> {
  async function within<T>(name: string, options: SpanOptions, parent: Context, work: () => Promise<T>): Promise<T> {
    const span = tracer.startSpan(name, options, parent)
    try {
      return await context.with(trace.setSpan(parent, span), work)
    } catch (error) {
      span.setAttribute('error.type', (error as { code?: string }).code ?? (error as Error).name ?? 'unknown')
      span.setStatus({ code: SpanStatusCode.ERROR, message: errorMessage(error).slice(0, MAX_MESSAGE) })
      throw error
    } finally {
      span.end()
    }
  }
  const isTraced = () => trace.getSpan(context.active()) !== undefined
  const messaging = { 'messaging.system': 'kafka' }

  return {
    record: ({ stage, group, topic, partition, offset, tenantId, headers }, work) =>
      within(
        `process ${topic}`,
        {
          kind: SpanKind.CONSUMER,
          attributes: {
            ...messaging,
            'messaging.operation.type': 'process',
            'messaging.operation.name': 'process',
            'messaging.destination.name': topic,
            'messaging.destination.partition.id': String(partition),
            'messaging.kafka.offset': Number(offset),
            'messaging.consumer.group.name': group,
            'sluice.stage': stage,
            'sluice.tenant_id': tenantId,
          },
        },
        contextOf(headers),
        work,
      ),
    send: ({ topic, tenantId, count }, carried, work) =>
      within(
        `send ${topic}`,
        {
          kind: SpanKind.PRODUCER,
          attributes: {
            ...messaging,
            'messaging.operation.type': 'send',
            'messaging.operation.name': 'send',
            'messaging.destination.name': topic,
            'sluice.tenant_id': tenantId,
            ...(count > 1 && { 'messaging.batch.message_count': count }),
          },
        },
        isTraced() ? context.active() : contextOf(carried),
        () => work(headersOf(context.active())),
      ),
    carry: (carried) => (isTraced() ? headersOf(context.active()) : readTrace(carried)),
    page: (of, attributes, work) => within('crawl page', { attributes }, contextOf(of), work),
    part: (name, attributes, work) => (isTraced() ? within(name, { attributes }, context.active(), work) : work()),
    joint: (name, of, attributes, work) => {
      const [first, ...others] = of.flatMap((one) => one ?? [])
      if (!first) return work()
      const links = others.flatMap((other): Link[] => {
        const linked = spanContextOf(other)
        return linked ? [{ context: linked }] : []
      })
      return within(name, { kind: SpanKind.CLIENT, attributes, links }, contextOf(first), work)
    },
    note: (attributes: Attributes) => void trace.getSpan(context.active())?.setAttributes({ ...attributes }),
  }
}
