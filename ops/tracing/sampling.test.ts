import t from 'tap'
import { ROOT_CONTEXT, SpanKind } from '@opentelemetry/api'
import { SamplingDecision } from '@opentelemetry/sdk-trace'
import { fakeLogger } from '../testing/runtime-fakes.ts'
import { batchDelayOf, samplerOf } from './otel.ts'

const settings = { enabled: true, protocol: 'http/json', batchDelayMs: undefined }
function decide(sampler: string, samplerArgument?: string) {
  const logger = fakeLogger()
  const { decision } = samplerOf({ ...settings, sampler, samplerArgument }, logger).shouldSample(
    ROOT_CONTEXT,
    '0af7651916cd43dd8448eb211c80319c',
    'x',
    SpanKind.INTERNAL,
    {},
    [],
  )
  return { taken: decision === SamplingDecision.RECORD_AND_SAMPLED, lines: logger.lines.length }
}

t.test('the samplers of OTEL_TRACES_SAMPLER', async (t) => {
  for (const prefix of ['', 'parentbased_']) {
    t.equal(decide(`${prefix}always_on`).taken, true)
    t.equal(decide(`${prefix}always_off`).taken, false)
    t.equal(decide(`${prefix}traceidratio`, '0').taken, false)
    t.equal(decide(`${prefix}traceidratio`, '1').taken, true)
    t.equal(decide(`${prefix}traceidratio`).taken, true)
  }
})

t.test('one that is not known is said and takes everything', async (t) => {
  t.strictSame(decide('jaeger_remote'), { taken: true, lines: 1 })
})

t.test('numbers that are none are said, and the defaults hold', async (t) => {
  for (const argument of ['half', '-1', '2', 'NaN'])
    t.strictSame(decide('traceidratio', argument), { taken: true, lines: 1 }, argument)
  t.strictSame(decide('traceidratio', '0'), { taken: false, lines: 0 })
  for (const batchDelayMs of [NaN, Infinity, -1]) {
    const logger = fakeLogger()
    t.strictSame(batchDelayOf({ batchDelayMs }, logger), {}, String(batchDelayMs))
    t.equal(logger.lines.length, 1)
  }
  t.strictSame(batchDelayOf({ batchDelayMs: 20 }, fakeLogger()), { scheduledDelayMillis: 20 })
})
