/**
 * A short look whether what is needed is there, before a client with patience looks: kafkajs tries for 20 s, which is
 * right for a stage that starts before its broker and wrong for a person who mistyped a port.
 */
import { connect } from 'node:net'
import type { TopicName } from '../../schemas/topics.ts'
import { DependencyUnavailable, UserError, errorMessage } from '../../streams/errors.ts'
import type { Services } from '../services.ts'

const TIMEOUT_MS = 3_000

/** @throws DependencyUnavailable when no broker accepts a connection. */
export async function requireBroker(brokers: readonly string[]): Promise<void> {
  const looks = await Promise.allSettled(brokers.map(canConnect))
  if (looks.some(({ status }) => status === 'fulfilled')) return
  const reasons = looks.map(
    (look, i) => `${brokers[i]}: ${look.status === 'rejected' ? errorMessage(look.reason) : ''}`,
  )
  throw new DependencyUnavailable('kafka', `no Kafka broker answers (${reasons.join(', ')})`)
}

/** A look for a topic that is written to: kafkajs' producer asks 20 s long for one that is not there. */
export async function requireTopic(
  { kafka, config }: Pick<Services, 'kafka' | 'config'>,
  name: TopicName,
): Promise<void> {
  const topic = config.topicPrefix + name
  const admin = kafka('topics').admin()
  await admin.connect()
  try {
    if ((await admin.listTopics()).includes(topic)) return
    throw new UserError(`there is no topic ${topic}`, 'Run `sluice topics apply`.')
  } finally {
    await admin.disconnect()
  }
}

export function canConnect(address: string): Promise<void> {
  const colon = address.lastIndexOf(':')
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) })
    const end = (settle: () => void) => {
      socket.destroy()
      settle()
    }
    socket.setTimeout(TIMEOUT_MS, () => end(() => reject(new Error('timed out'))))
    socket.once('connect', () => end(resolve))
    socket.once('error', (error: NodeJS.ErrnoException) => end(() => reject(new Error(error.code ?? error.message))))
  })
}
