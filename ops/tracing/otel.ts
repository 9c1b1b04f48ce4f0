/** Traces by OpenTelemetry's SDK: provider, sampler and exporter; endpoint, headers and service name are read by it. */
import { DiagLogLevel, context, diag } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Sampler, SpanExporter } from '@opentelemetry/sdk-trace'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../streams/runtime/ports.ts'
import { createSpans } from './spans.ts'
import type { Tracing, TracingSettings } from './tracing.ts'

/** A collector that does not answer must not hold up the end of a process. */
const FLUSH_MS = 5_000

type Settings = TracingSettings & { readonly protocol: 'http/protobuf' | 'http/json' }

export async function startOpenTelemetry(settings: Settings, version: string, logger: Logger): Promise<Tracing> {
  // A collector that is away is not the pipeline's affair: one line, and the spans of that while are lost.
  const warn = (message: string, ...details: unknown[]) => logger.warn({ details: details.map(String) }, message)
  const quiet = () => {}
  diag.setLogger(
    { error: warn, warn, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'sluice', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: samplerOf(settings, logger),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: await exporterOf(settings),
        ...batchDelayOf(settings, logger),
      }),
    ],
  })
  return {
    ...createSpans(provider.getTracer('sluice', version)),
    stop: async () => {
      const late = new AbortController()
      await Promise.race([
        provider.shutdown().catch((error: unknown) => warn('the last spans could not be sent', error)),
        sleep(FLUSH_MS, undefined, { signal: late.signal }).catch(() => {}),
      ])
      late.abort()
    },
  }
}

/** Both send to OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or to v1/traces below OTEL_EXPORTER_OTLP_ENDPOINT. */
async function exporterOf({ protocol }: Settings): Promise<SpanExporter> {
  if (protocol === 'http/json') return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter()
  return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter()
}

/** The names of OTEL_TRACES_SAMPLER. What is not known counts as not said: that is what the standard asks. */
export function samplerOf({ sampler, samplerArgument }: TracingSettings, logger: Logger): Sampler {
  const named = samplers[sampler.replace(/^parentbased_/, '')]
  if (!named) logger.warn({ sampler }, 'OTEL_TRACES_SAMPLER is not known: every trace is taken')
  const root = named?.(ratioOf(samplerArgument, logger)) ?? new AlwaysOnSampler()
  return sampler.startsWith('parentbased_') || !named ? new ParentBasedSampler({ root }) : root
}

const samplers: Readonly<Record<string, (ratio: number) => Sampler>> = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: (ratio) => new TraceIdRatioBasedSampler(ratio),
}

/** OTEL_TRACES_SAMPLER_ARG, 0 to 1. The SDK takes NaN for 0, and no trace would ever be seen. */
function ratioOf(argument: string | undefined, logger: Logger): number {
  const ratio = Number(argument ?? 1)
  if (ratio >= 0 && ratio <= 1) return ratio
  logger.warn({ argument }, 'OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1: every trace is taken')
  return 1
}

/** Nothing: the SDK's default. A timer takes NaN for 1 ms. */
export function batchDelayOf({ batchDelayMs }: Pick<TracingSettings, 'batchDelayMs'>, logger: Logger) {
  if (batchDelayMs === undefined) return {}
  if (Number.isFinite(batchDelayMs) && batchDelayMs >= 0) return { scheduledDelayMillis: batchDelayMs }
  logger.warn({}, 'OTEL_BSP_SCHEDULE_DELAY is not a number of milliseconds: 5,000 are taken')
  return {}
}
