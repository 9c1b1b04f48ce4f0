/**
 * How long a consumer group stands still when one member more joins, and when one leaves: from the first member that lets go
 * until the last one has its partitions again. Members have nothing to do. `node ops/bench/scale/rebalance.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, Kafka } from 'kafkajs'
import { defaults } from '../../config.ts'
import { createWorld } from '../../testing/world.ts'
import { runAlone, stdout } from '../runtime/report.ts'
import type { BenchIo } from '../runtime/report.ts'

interface Rebalance {
  /** Until the first member heard of it, at its next heartbeat. */
  readonly noticedMs: number
  readonly stoppedMs: number
}
interface Group {
  readonly add: () => Promise<void>
  readonly remove: () => Promise<void>
  /** @returns what the change of members did to the others. */
  readonly measure: (change: () => Promise<void>) => Promise<Rebalance>
  readonly close: () => Promise<void>
}

/** @param kafka a client of its own for each member: offsets are cached per client */
function createGroup(kafka: (member: string) => Kafka, topic: string, groupId: string): Group {
  const { sessionTimeoutMs, rebalanceTimeoutMs, heartbeatIntervalMs, maxWaitMs } = defaults.kafka
  const members: Consumer[] = []
  let firstMs: number | null = null
  let lastMs = 0
  const settled = async () => {
    const from = performance.now()
    while (performance.now() - Math.max(from, lastMs) < heartbeatIntervalMs * 2) await sleep(100)
  }
  return {
    add: async () => {
      const consumer = kafka(`member-${members.length}`).consumer({
        ...{ groupId, sessionTimeout: sessionTimeoutMs, rebalanceTimeout: rebalanceTimeoutMs },
        ...{ heartbeatInterval: heartbeatIntervalMs, maxWaitTimeInMs: maxWaitMs },
      })
      members.push(consumer)
      consumer.on(consumer.events.REBALANCING, () => (firstMs ??= performance.now()))
      consumer.on(consumer.events.GROUP_JOIN, () => (lastMs = performance.now()))
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({ eachBatch: async () => {} })
    },
    remove: async () => members.pop()!.disconnect(),
    measure: async (change) => {
      await settled()
      firstMs = null
      const began = performance.now()
      await change()
      await settled()
      return { noticedMs: (firstMs ?? began) - began, stoppedMs: lastMs - (firstMs ?? began) }
    },
    close: async () => void (await Promise.all(members.map((member) => member.disconnect()))),
  }
}

export async function run(_args: readonly string[], io: BenchIo = stdout): Promise<boolean> {
  for (const [partitions, members] of [
    [12, 3],
    [12, 11],
    [48, 40],
  ] as const) {
    const world = await createWorld({ partitions })
    const group = createGroup(world.services.kafka, `${world.prefix}pages.crawled`, `${world.prefix}bench`)
    try {
      await Promise.all(Array.from({ length: members }, group.add))
      const joining = await group.measure(group.add)
      const leaving = await group.measure(group.remove)
      io.print(`${members} members, ${partitions} partitions: ${shown('joins', joining)}, ${shown('leaves', leaving)}`)
    } finally {
      await group.close()
      await world.close()
    }
  }
  return true
}

const shown = (what: string, { noticedMs, stoppedMs }: Rebalance) =>
  `one ${what}: heard of after ${noticedMs.toFixed(0)} ms, stopped for ${stoppedMs.toFixed(0)} ms`

if (import.meta.main) await runAlone(run)
