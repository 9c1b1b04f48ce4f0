/** One way to make a kafkajs client: settings, logging, codecs and the timer fix in one place. */
import kafkajs from 'kafkajs'
import type { Kafka, KafkaConfig, LogEntry } from 'kafkajs'
import type { Logger } from '../../streams/runtime/ports.ts'
import { installCodecs } from './codecs.ts'
import { quietIdleTimers } from './idle-timers.ts'

export interface KafkaSettings {
  readonly brokers: readonly string[]
  readonly ssl?: boolean
  readonly sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
  readonly requestTimeoutMs: number
  /** Tries after the first, of a request or a connection; default 8, 20 s in all: right for who starts before its broker. */
  readonly retries?: number
}

/**
 * A client of its own for every group member: kafkajs caches committed offsets per client and group, so two members
 * sharing one would read each other's positions.
 */
export function createKafka(settings: KafkaSettings, clientId: string, logger: Logger): Kafka {
  installCodecs()
  quietIdleTimers()
  return new kafkajs.Kafka({
    clientId,
    brokers: [...settings.brokers],
    ssl: settings.ssl ?? false,
    ...(settings.sasl ? { sasl: settings.sasl as NonNullable<KafkaConfig['sasl']> } : {}),
    requestTimeout: settings.requestTimeoutMs,
    connectionTimeout: 5_000,
    retry: { initialRetryTime: 200, maxRetryTime: 5_000, retries: settings.retries ?? 8 },
    logLevel: kafkajs.logLevel.INFO,
    logCreator: () => (entry) => forward(entry, logger),
  })
}

/** kafkajs tells of every pause, resume and rejoin at info; that is debug to an operator of ours. */
function forward({ level, namespace, log }: LogEntry, logger: Logger) {
  const { message, timestamp: _timestamp, stack: _stack, ...details } = log
  if (level === kafkajs.logLevel.ERROR || level === kafkajs.logLevel.WARN)
    logger.warn({ kafkajs: namespace, ...details }, message)
  else logger.debug({ kafkajs: namespace, ...details }, message)
}
