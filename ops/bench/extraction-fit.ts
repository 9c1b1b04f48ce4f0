/**
 * Fits streams/2-processor/weights.ts to labelled pages: `node ops/bench/extraction-fit.ts FOLDER`. Deterministic; takes
 * about two minutes. Held-out pages are not read.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode } from '../../streams/2-processor/charset.ts'
import { contextOf } from '../../streams/2-processor/context.ts'
import type { Features } from '../../streams/2-processor/features.ts'
import { type Weights, logistic } from '../../streams/2-processor/model.ts'
import { type Page, readPage } from '../../streams/2-processor/page.ts'
import { labelledPages, words } from './extraction-corpus.ts'

interface Row {
  readonly features: Features
  readonly label: number
  readonly weight: number
}
interface Sample {
  readonly page: Page
  readonly labels: readonly number[]
  readonly weights: readonly number[]
}

/** Stacking: the second model must see first-pass probabilities as wrong as they will be on unseen pages. */
const FOLDS = 4
const EPOCHS = 400
const LEARNING_RATE = 0.05
/** L2, on standardised features, per page of the sample. */
const RIDGE = 1e-4

export function fit(samples: readonly Sample[]): { first: Weights; second: Weights } {
  const rows = (part: readonly Sample[]) => part.flatMap((sample) => sample.page.features.map(row(sample)))
  const folds = Array.from({ length: FOLDS }, (_, fold) =>
    logisticRegression(rows(samples.filter((_, index) => index % FOLDS !== fold))),
  )
  const stacked = samples.flatMap((sample, index) => {
    const model = folds[index % FOLDS] ?? {}
    const first = sample.page.features.map((features) => logistic(features, model))
    const context = contextOf(sample.page.segments, first)
    return sample.page.features.map((features, at) => row(sample)({ ...features, ...context[at] }, at))
  })
  return { first: logisticRegression(rows(samples)), second: logisticRegression(stacked) }
}

const row =
  ({ labels, weights }: Sample) =>
  (features: Features, index: number): Row => ({ features, label: labels[index] ?? 0, weight: weights[index] ?? 0 })

/** Full-batch Adam on the weighted log loss; weights come back for features as they are, not standardised. */
function logisticRegression(rows: readonly Row[]): Weights {
  const names = Object.keys(rows[0]?.features ?? {})
  const width = names.length
  const total = rows.reduce((sum, { weight }) => sum + weight, 0)
  const x = new Float32Array(rows.length * width)
  rows.forEach(({ features }, r) => names.forEach((name, c) => (x[r * width + c] = features[name] ?? 0)))
  const { mean, deviation } = standardise(x, width)
  const theta = new Float64Array(width + 1)
  const [m, v] = [new Float64Array(width + 1), new Float64Array(width + 1)]
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    const gradient = new Float64Array(width + 1)
    rows.forEach(({ label, weight }, r) => {
      let sum = theta[width] ?? 0
      for (let c = 0; c < width; c++) sum += (theta[c] ?? 0) * (x[r * width + c] ?? 0)
      const error = ((1 / (1 + Math.exp(-sum)) - label) * weight) / total
      for (let c = 0; c < width; c++) gradient[c]! += error * (x[r * width + c] ?? 0)
      gradient[width]! += error
    })
    for (let c = 0; c <= width; c++) {
      const slope = (gradient[c] ?? 0) + (c < width ? RIDGE * (theta[c] ?? 0) : 0)
      m[c] = 0.9 * (m[c] ?? 0) + 0.1 * slope
      v[c] = 0.999 * (v[c] ?? 0) + 0.001 * slope * slope
      const step = (m[c] ?? 0) / (1 - 0.9 ** epoch) / (Math.sqrt((v[c] ?? 0) / (1 - 0.999 ** epoch)) + 1e-9)
      theta[c]! -= LEARNING_RATE * step
    }
  }
  const weights: Record<string, number> = { bias: theta[width] ?? 0 }
  names.forEach((name, c) => {
    const scaled = (theta[c] ?? 0) / (deviation[c] ?? 1)
    weights[name] = Math.round(scaled * 1000) / 1000
    weights.bias! -= scaled * (mean[c] ?? 0)
  })
  return weights
}

function standardise(x: Float32Array, width: number) {
  const mean = new Float64Array(width)
  const deviation = new Float64Array(width)
  const count = x.length / width
  x.forEach((value, index) => (mean[index % width]! += value / count))
  x.forEach((value, index) => (deviation[index % width]! += (value - (mean[index % width] ?? 0)) ** 2 / count))
  // A feature that (nearly) never changes must not be blown up.
  deviation.forEach((value, c) => (deviation[c] = Math.max(0.05, Math.sqrt(value))))
  x.forEach((value, i) => (x[i] = (value - (mean[i % width] ?? 0)) / (deviation[i % width] ?? 1)))
  return { mean, deviation }
}

/** 1 where most of the segment's word triples stand in the wanted text; weights sum to 1 per page, so that pages count alike. */
function sampleOf(body: Uint8Array, content: string): Sample {
  const page = readPage(decode(body, 'text/html'))
  const wanted = words(content)
  const triples = new Set(wanted.map((_, index) => wanted.slice(index, index + 3).join(' ')))
  const whole = ` ${wanted.join(' ')} `
  const labels = page.segments.map(({ text }) => {
    const own = words(text)
    if (own.length < 4) return own.length > 0 && whole.includes(` ${own.join(' ')} `) ? 1 : 0
    const hits = own.slice(2).filter((_, index) => triples.has(own.slice(index, index + 3).join(' '))).length
    return hits / (own.length - 2) > 0.5 ? 1 : 0
  })
  const raw = page.segments.map(({ text }) => Math.sqrt(words(text).length + 0.5))
  const sum = raw.reduce((a, b) => a + b, 0)
  return { page, labels, weights: raw.map((weight) => weight / sum) }
}

if (import.meta.main) {
  const folder = process.argv[2] ?? '.sluice/corpora'
  const samples = labelledPages(folder)
    .filter((page) => !page.heldOut)
    .map(({ body, content }) => sampleOf(body, content))
    .filter(({ page }) => page.segments.length > 0)
  const text = JSON.stringify(
    fit(samples),
    (_, value: unknown) => (typeof value === 'number' ? Math.round(value * 1000) / 1000 : value),
    2,
  )
  const file = join(import.meta.dirname, '..', '..', 'streams', '2-processor', 'weights.ts')
  writeFileSync(
    file,
    `// Fitted by \`node ops/bench/extraction-fit.ts\` to ${samples.length} labelled pages; do not edit.\n\nexport const weights = ${text}\n`,
  )
  process.stderr.write(`${file}: ${samples.length} pages\n`)
}
