/** Makes the metrics and remembers what was made: ops/docs/metrics.md is held against that list. */
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'

export interface Family {
  /** As Prometheus sees it. */
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  /** What a value counts or measures; the name ends in it where it is a unit. */
  readonly unit: string
  readonly help: string
}

type Labels = Readonly<Record<string, string>>
type Set = (labels: Labels, value: number) => void
/** Reads what its owner keeps, at the moment of the scrape. */
type Read = (set: Set) => void

export interface FamilyOptions {
  /** Without `sluice_`, and `_total` for counters. */
  readonly name: string
  readonly unit: string
  readonly help: string
  readonly labels?: readonly string[]
}

export type Families = ReturnType<typeof createFamilies>

export function createFamilies(registry: Registry) {
  const list: Family[] = []

  function declare(type: Family['type'], { name, unit, help, labels = [] }: FamilyOptions) {
    const full = `sluice_${name}${type === 'counter' ? '_total' : ''}`
    list.push({ name: full, type, labels, unit, help })
    return { name: full, help, labelNames: [...labels], registers: [registry] }
  }
  return {
    list: (): readonly Family[] => list,
    counter: (options: FamilyOptions) => new Counter(declare('counter', options)),
    histogram: (options: FamilyOptions & { readonly buckets: readonly number[] }) =>
      new Histogram({ ...declare('histogram', options), buckets: [...options.buckets] }),
    gauge: (options: FamilyOptions, read: Read) =>
      void new Gauge({
        ...declare('gauge', options),
        collect() {
          this.reset()
          // Without labels, reset means 0: what is not known must be absent.
          if (!options.labels?.length) this.remove()
          read((labels, value) => this.set(labels, value))
        },
      }),
    /** A sum that its owner keeps. */
    sum: (options: FamilyOptions, read: Read) =>
      void new Counter({
        ...declare('counter', options),
        collect() {
          this.reset()
          read((labels, value) => this.inc(labels, value))
        },
      }),
  }
}
