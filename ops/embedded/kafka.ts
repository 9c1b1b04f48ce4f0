/** Apache Kafka, one KRaft node that is broker and controller. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { quietIdleTimers } from '../../connectors/kafka/idle-timers.ts'
import { UserError } from '../../streams/errors.ts'
import type { StartContext } from './context.ts'
import { kafkaLibrary } from './library.ts'
import { startProcess, type RunningPart } from './part.ts'
import { freePort, LOOPBACK } from './ports.ts'
import { runTool } from './run-tool.ts'

/** Above the largest record of any topic, a dead letter of 9 MB. */
const MESSAGE_MAX_BYTES = 10 * 1024 * 1024
/** A consumer group that was away for a season goes on where it was. */
const OFFSETS_RETENTION_MINUTES = 365 * 24 * 60

export interface KafkaOptions extends StartContext {
  readonly dataDir: string
  /** A free port when not given. */
  readonly port?: number | undefined
  /** Host and port that clients are told to connect to, when that is a proxy in front of the broker. */
  readonly advertised?: { readonly host: string; readonly port: number } | undefined
  readonly heapMb?: number | undefined
}

export async function startKafka(options: KafkaOptions): Promise<RunningPart & { readonly brokers: string[] }> {
  const jars = join(await kafkaLibrary(options), '*')
  options.onStart?.()
  const [port, controllerPort] = await Promise.all([freePort(options.port), freePort()])
  await mkdir(options.dataDir, { recursive: true })
  const propertiesFile = join(options.dataDir, 'server.properties')
  const advertised = options.advertised ?? { host: LOOPBACK, port }
  await writeFile(propertiesFile, serverProperties({ dataDir: options.dataDir, port, controllerPort, advertised }))
  await formatOnce(options.dataDir, jars, propertiesFile, options.signal)

  const child = await startProcess({
    part: 'kafka',
    command: 'java',
    args: [...jvmFlags(options.heapMb ?? 512), '-Dlog4j2.level=WARN', '-cp', jars, 'kafka.Kafka', propertiesFile],
    cwd: options.dataDir,
    logFile: options.logFile,
    signal: options.signal,
    isReady: () => hasBroker(`${LOOPBACK}:${port}`),
  })
  return { part: 'kafka', brokers: [`${advertised.host}:${advertised.port}`], ...child }
}

/** Serial GC and the first compiler tier: a third of the memory and half of the start time, at loads of one machine. */
export const jvmFlags = (heapMb: number): string[] => [
  `-Xmx${heapMb}m`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:+ExitOnOutOfMemoryError',
  '-Xshare:auto',
]

interface Listeners {
  readonly dataDir: string
  readonly port: number
  readonly controllerPort: number
  readonly advertised: { readonly host: string; readonly port: number }
}

/**
 * Written anew at every start, because the ports change. That is safe with a static quorum (`controller.quorum.voters`):
 * the node's state on disk names its voters by id, and the address comes from here.
 */
const serverProperties = ({ dataDir, port, controllerPort, advertised }: Listeners) => `\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@${LOOPBACK}:${controllerPort}
listeners=PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}
advertised.listeners=PLAINTEXT://${advertised.host}:${advertised.port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=${join(dataDir, 'data')}

# One node: every internal topic has one replica.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The defaults (50) cost a second and 100 files at the first group; the count must never change on a data folder.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=4
offsets.retention.minutes=${OFFSETS_RETENTION_MINUTES}

message.max.bytes=${MESSAGE_MAX_BYTES}
replica.fetch.max.bytes=${MESSAGE_MAX_BYTES}
# A typo in a topic's name must be an error, not a topic.
auto.create.topics.enable=false
# Nobody else is about to join: waiting 3 s for more members only delays the first start.
group.initial.rebalance.delay.ms=0

# After SIGKILL the broker is let in again once its old session has ended: 9 s by default.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000

# Threads and buffers of one machine.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
log.index.size.max.bytes=1048576
`

/** Writes the cluster's id. The marker comes last, so that an interrupted first start formats again. */
async function formatOnce(dataDir: string, jars: string, propertiesFile: string, signal?: AbortSignal): Promise<void> {
  const marker = join(dataDir, 'formatted')
  if (existsSync(marker)) return
  const clusterId = newClusterId()
  const args = [
    ...jvmFlags(128),
    ...['-Dlog4j2.level=WARN', '-cp', jars, 'kafka.tools.StorageTool', 'format', '--ignore-formatted'],
    ...['-t', clusterId, '-c', propertiesFile],
  ]
  const { code, output } = await runTool('java', args, { guarded: true, signal })
  if (code !== 0)
    throw new UserError(
      `Kafka's storage in ${dataDir} cannot be formatted:\n${output.trim()}`,
      'Remove that folder, or name another SLUICE_DATA_DIR.',
    )
  await writeFile(marker, `${clusterId}\n`)
}

/** 16 bytes as base64url; the tool would take a leading dash for an option. */
function newClusterId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? newClusterId() : id
}

/** The port opens before the controller has let the broker in: only metadata that names a broker means ready. */
async function hasBroker(broker: string): Promise<boolean> {
  quietIdleTimers()
  const kafka = new Kafka({
    clientId: 'sluice-ready',
    brokers: [broker],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
    retry: { retries: 0 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    return (await admin.describeCluster()).brokers.length > 0
  } finally {
    await admin.disconnect()
  }
}
