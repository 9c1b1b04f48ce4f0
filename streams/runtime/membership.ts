/** This member of its consumer group: how its client is made, and what its client's events say. */
import type { Consumer, Kafka } from 'kafkajs'
import { errorMessage } from '../errors.ts'
import type { Clock, Logger, TopicPartition } from './ports.ts'
import type { StageSettings } from './stage-ports.ts'

export interface Membership {
  readonly isJoined: () => boolean
  /** Since its loop gave the last sign of life. */
  readonly signAgeMs: () => number
  /** Since the broker last answered a heartbeat; undefined: no member of the group. */
  readonly heartbeatAgeMs: () => number | undefined
}

interface Dependencies {
  readonly consumer: Pick<Consumer, 'on' | 'events'>
  readonly clock: Clock
  readonly onJoined: (partitions: readonly TopicPartition[]) => void
  readonly onRebalancing: () => void
  /** It died and will not come back. */
  readonly onDead: (error: Error) => void
}

/** To be called before `run`: the first join must be heard. */
export function createMembership({ consumer, clock, ...on }: Dependencies): Membership {
  const { GROUP_JOIN, FETCH, HEARTBEAT, END_BATCH_PROCESS, REBALANCING, DISCONNECT, CRASH } = consumer.events
  let joined = false
  let lastSignMs = clock.now()
  let lastHeartbeatMs = 0

  consumer.on(GROUP_JOIN, ({ payload }) => {
    joined = true
    lastSignMs = lastHeartbeatMs = clock.now()
    on.onJoined(
      Object.entries(payload.memberAssignment).flatMap(([topic, list]) =>
        list.map((partition) => ({ topic, partition })),
      ),
    )
  })
  for (const event of [FETCH, HEARTBEAT, END_BATCH_PROCESS] as const)
    consumer.on(event, () => {
      lastSignMs = clock.now()
    })
  consumer.on(HEARTBEAT, () => {
    lastHeartbeatMs = clock.now()
  })
  consumer.on(REBALANCING, on.onRebalancing)
  for (const event of [REBALANCING, DISCONNECT, CRASH] as const)
    consumer.on(event, () => {
      joined = false
    })
  consumer.on(CRASH, ({ payload }) => {
    if (!payload.restart) on.onDead(payload.error)
  })
  return {
    isJoined: () => joined,
    signAgeMs: () => clock.now() - lastSignMs,
    heartbeatAgeMs: () => (joined ? clock.now() - lastHeartbeatMs : undefined),
  }
}

export function createConsumer(kafka: Kafka, groupId: string, settings: StageSettings, logger: Logger): Consumer {
  return kafka.consumer({
    groupId,
    sessionTimeout: settings.sessionTimeoutMs,
    heartbeatInterval: settings.heartbeatIntervalMs,
    rebalanceTimeout: settings.rebalanceTimeoutMs,
    maxWaitTimeInMs: settings.maxWaitMs,
    maxBytesPerPartition: settings.maxBytesPerPartition,
    allowAutoTopicCreation: false,
    retry: {
      initialRetryTime: 300,
      maxRetryTime: 5_000,
      retries: 10,
      restartOnFailure: (error) => {
        logger.warn({ error: errorMessage(error) }, 'consumer failed, restarting')
        return Promise.resolve(true)
      },
    },
  })
}
