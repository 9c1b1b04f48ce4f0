/**
 * Traces as the pipeline sees them: W3C headers that travel with records, and a port that ops/tracing implements on
 * OpenTelemetry. Without it the headers still travel, and nothing else happens.
 */

/** `traceparent` and `tracestate` of https://www.w3.org/TR/trace-context/. */
export interface TraceHeaders {
  readonly traceparent: string
  readonly tracestate?: string
}
/** Headers as Kafka has them. */
export type Carried = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>

export interface TracedRecord {
  readonly stage: string
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly tenantId: string
  readonly headers: Carried | undefined
}

export interface Tracer {
  /** The work on one record, from its handler to its durable effect. */
  readonly record: <T>(record: TracedRecord, work: () => Promise<T>) => Promise<T>
  /** Records of one topic; `work` is given the headers that they are to carry. */
  readonly send: <T>(
    to: { readonly topic: string; readonly tenantId: string; readonly count: number },
    carried: Carried | TraceHeaders | undefined,
    work: (headers: TraceHeaders | undefined) => Promise<T>,
  ) => Promise<T>
  /** What names the work under way as the origin of something that comes later. */
  readonly carry: (carried?: Carried | TraceHeaders) => TraceHeaders | undefined
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
/** What the standard asks everybody to carry on; more may be cut. */
const MAX_TRACESTATE = 512

/** The trace that a record came with; undefined: none, or nothing that the standard would call one. */
export function readTrace(carried: Carried | TraceHeaders | undefined): TraceHeaders | undefined {
  const traceparent = textOf(carried?.traceparent)
  if (traceparent === undefined || !TRACEPARENT.test(traceparent)) return undefined
  const tracestate = textOf(carried?.tracestate)
  return { traceparent, ...(tracestate && tracestate.length <= MAX_TRACESTATE && { tracestate }) }
}

function textOf(value: Carried[string] | null): string | undefined {
  return (Array.isArray(value) ? value[0] : value)?.toString()
}

export const untraced: Tracer = {
  record: (_, work) => work(),
  send: (_, carried, work) => work(readTrace(carried)),
  carry: readTrace,
}
