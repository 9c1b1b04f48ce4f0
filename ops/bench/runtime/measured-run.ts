/** From the fetch of the first records to the last record: time by the wall, and by the processor. */
import type { Consumer, Kafka } from 'kafkajs'

export interface Run {
  readonly records: number
  readonly ms: number
  /** Of this process, with all its threads (decompression runs in some). */
  readonly cpuMs: number
}

export interface Stopwatch {
  /** Makes this client's consumers tell when they fetch: what kafkajs itself does with the first records counts too. */
  readonly attach: (kafka: Kafka) => Kafka
  /** The first record was met. */
  readonly begin: () => void
  /** Counts; the last expected one ends it. */
  readonly end: (records?: number) => void
  readonly finished: Promise<Run>
}

export function createStopwatch(records: number): Stopwatch {
  const { promise, resolve } = Promise.withResolvers<Run>()
  const now = () => ({ ms: performance.now(), cpu: process.cpuUsage() })
  let fetched = now()
  let began = false
  let left = records

  function listen(consumer: Consumer) {
    const remove = consumer.on(consumer.events.FETCH_START, () => {
      if (began) remove()
      else fetched = now()
    })
    return consumer
  }
  return {
    attach: (kafka) => {
      const make = kafka.consumer.bind(kafka)
      return Object.assign(kafka, { consumer: (config: Parameters<typeof make>[0]) => listen(make(config)) })
    },
    begin: () => (began = true),
    end: (count = 1) => {
      left -= count
      if (left > 0) return
      const cpu = process.cpuUsage(fetched.cpu)
      resolve({ records, ms: performance.now() - fetched.ms, cpuMs: (cpu.user + cpu.system) / 1_000 })
    },
    finished: promise,
  }
}

export const perSecond = ({ records, ms }: Run) => (records / ms) * 1_000
export const cpuMicroseconds = ({ records, cpuMs }: Run) => (cpuMs / records) * 1_000
