/**
 * Whether and where traces go, by the standard OTEL_* variables. The SDK is loaded only when an endpoint is named:
 * without one nothing of it costs memory, time or a timer.
 */
import packageFile from '../../package.json' with { type: 'json' }
import { untraced } from '../../streams/trace.ts'
import type { TraceHeaders, Tracer } from '../../streams/trace.ts'
import type { Logger } from '../../streams/runtime/ports.ts'

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/** What is traced beside the stages' records: it all happens in ops, around connectors. */
export interface Tracing extends Tracer {
  /** A part of the work under way, if that is traced at all. */
  readonly part: <T>(name: string, attributes: Attributes, work: () => Promise<T>) => Promise<T>
  /** One page of a crawl, in the trace of its request. */
  readonly page: <T>(of: TraceHeaders | undefined, attributes: Attributes, work: () => Promise<T>) => Promise<T>
  /** A request on behalf of several: a child of the first one's span, linked with those of the others. */
  readonly joint: <T>(
    name: string,
    of: readonly (TraceHeaders | undefined)[],
    attributes: Attributes,
    work: () => Promise<T>,
  ) => Promise<T>
  /** Says more of the work under way. */
  readonly note: (attributes: Attributes) => void
  /** Sends what is left, for 5 s at most. */
  readonly stop: () => Promise<void>
}

export const noTracing: Tracing = {
  ...untraced,
  part: (_name, _attributes, work) => work(),
  page: (_of, _attributes, work) => work(),
  joint: (_name, _of, _attributes, work) => work(),
  note: () => {},
  stop: async () => {},
}

export interface TracingSettings {
  /** An endpoint is named and nothing says that it is not to be used. */
  readonly enabled: boolean
  /** OTEL_EXPORTER_OTLP_PROTOCOL, or that of traces alone. */
  readonly protocol: string
  readonly sampler: string
  readonly samplerArgument: string | undefined
  readonly batchDelayMs: number | undefined
}

/** Warnings of the SDK go to `logger`. */
export async function startTracing(settings: TracingSettings, logger: Logger): Promise<Tracing> {
  if (!settings.enabled) return noTracing
  if (settings.protocol !== 'http/protobuf' && settings.protocol !== 'http/json') {
    logger.warn(
      { protocol: settings.protocol },
      'no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json (port 4318)',
    )
    return noTracing
  }
  const { startOpenTelemetry } = await import('./otel.ts')
  return startOpenTelemetry({ ...settings, protocol: settings.protocol }, packageFile.version, logger)
}
