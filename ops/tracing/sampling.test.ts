import t from 'tap'
import { ROOT_CONTEXT, SpanKind } from '@opentelemetry/api'
import { SamplingDecision } from '@opentelemetry/sdk-trace'
import { fakeLogger } from '../testing/runtime-fakes.ts'
import { samplerOf } from './otel.ts'

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
