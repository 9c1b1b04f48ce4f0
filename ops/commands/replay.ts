/** `sluice replay STAGE` and `replay resume`: one replay in this process, or the estimate of one. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { constants, hostname, setPriority } from 'node:os'
import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { createReplays } from '../../connectors/postgres/replays.ts'
import type { ReplayRow, Replays } from '../../connectors/postgres/replays.ts'
import { UserError } from '../../streams/errors.ts'
import { topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import { readConfig } from '../config.ts'
import { connected } from '../endpoints.ts'
import { foreground } from '../foreground.ts'
import type { Life } from '../foreground.ts'
import { createLogger, secretsOf } from '../logger.ts'
import { dryRun } from '../replay/dry-run.ts'
import { describeCost, describeFigures, sixFigures } from '../replay/figures.ts'
import { parsePosition, resolveRanges } from '../replay/positions.ts'
import type { ResolvedRanges } from '../replay/positions.ts'
import { createProgress } from '../replay/progress-line.ts'
import { cleanUp, runReplay } from '../replay/run.ts'
import { modest } from '../replay/stage.ts'
import { stateOf } from '../replay/state.ts'
import { knownReplay, takeOver } from '../replay/take-over.ts'
import { replayGroup, stageOf, wishOf } from '../replay/wish.ts'
import type { Asked } from '../replay/wish.ts'
import { createServices } from '../services.ts'
import type { Services } from '../services.ts'
import { startTracing } from '../tracing/tracing.ts'
import { note, printRows } from './output.ts'
import type { Output } from './output.ts'
import { requireBroker } from './reachable.ts'

export interface ReplayOptions extends Output, Omit<Asked, 'from'> {
  readonly from?: string | undefined
  readonly dryRun?: boolean
  readonly detach?: boolean
}

const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')

interface Context {
  readonly life: Life
  readonly services: Services
  readonly admin: Admin
  readonly replays: Replays
  readonly output: Output
}

/** Stays until the replay has ended. Exit 1 when it failed or was cancelled. */
export function replay(stageName: string, options: ReplayOptions): Promise<never> {
  const stage = stageOf(stageName)
  if (options.from === undefined)
    throw new UserError('from where?', 'Say --from beginning, an offset, a time, or how long ago (--from 6h).', 2)
  const asked = { ...options, from: options.from }
  const positions = {
    from: parsePosition(asked.from, '--from'),
    to: parsePosition(asked.to ?? 'now', '--to'),
    ...{ partition: asked.partition ?? null, tenant: asked.tenant ?? null },
  }
  return withReplays(options, async (context) => {
    const { services, admin, replays } = context
    const { config } = services
    const find = async () => tell(await resolveRanges(admin, config.topicPrefix + topology[stage].from, positions))
    if (options.dryRun) return estimate(stage, await find(), positions.tenant, context)
    const wish = wishOf(stage, config, asked)
    const unfinished = await replays.unfinished(stage, wish)
    if (unfinished) note(`replay ${unfinished.id} is not finished: going on with it`)
    const id = unfinished?.id ?? randomUUID().slice(0, 8)
    const owner = ownerName()
    if (!unfinished) {
      const row = { ...{ id, stage, wish, owner }, group: replayGroup(config.topicPrefix, stage, id) }
      const made = await replays.create({ ...row, ...(await find()), handedOver: options.detach ?? false })
      if (!made) throw new UserError('the same replay was started a moment ago', 'See `sluice replay status`.')
    }
    if (options.detach) return detach(id, context)
    const mine = unfinished ? await mineNow(unfinished, owner, context) : (await replays.get(id))!
    await follow(mine, owner, context)
  })
}

/** Goes on where it was interrupted. */
export function resume(id: string, output: Output): Promise<never> {
  return withReplays(output, async (context) => {
    const row = await knownReplay(context.replays, id)
    if (row.status === 'done') {
      await cleanUp(row, context.replays, context.admin)
      return printRows([sixFigures(row.figures)], output, describeFigures)
    }
    const owner = ownerName()
    await follow(await mineNow(row, owner, context), owner, context)
  })
}

function withReplays(output: Output, work: (context: Context) => Promise<void>): Promise<never> {
  const config = readConfig()
  return foreground(
    async (life) => {
      // Of what the stage says only trouble is of interest to a person at a terminal.
      const logger = createLogger(
        config.logLevel === 'info' ? 'warn' : config.logLevel,
        {},
        { secrets: secretsOf(config) },
      )
      const parts = connected(config, ['kafka', 'registry', 'postgres', 'embeddings'])
      await requireBroker(parts.kafka.brokers)
      yieldProcessor()
      const services = createServices(modest(parts), logger, await startTracing(config.tracing, logger))
      life.defer('connections', services.close)
      const admin = services.kafka('replay').admin()
      await admin.connect()
      life.defer('the admin client', () => admin.disconnect())
      const working = work({ life, services, admin, replays: createReplays(services.db), output })
      // A signal does not cut it short: it ends in order and says where it stands.
      life.defer('the replay', () => working.catch(() => {}))
      await working
    },
    { codeOnSignal: 130 },
  )
}

async function follow(row: ReplayRow, owner: string, { life, services, admin, replays, output }: Context) {
  note(`replay ${row.id} of ${row.stage}: ${stateOf(row).totalOffsets} offsets in ${row.partitions.length} partitions`)
  const onProgress = createProgress(row.id, note)
  const { end, error } = await runReplay({
    ...{ row, owner, services, replays, admin, onProgress },
    stopped: life.stopped,
  })
  const after = (await replays.get(row.id))!
  if (end === 'interrupted') return note(`interrupted; go on with: sluice replay resume ${row.id}`)
  if (end === 'lost')
    throw new UserError(`replay ${row.id} was taken over by another process`, 'See `sluice replay status`.')
  if (after.failed > 0) note(`${after.failed} records failed and went to the retry topic or the dead letters`)
  if (end !== 'done') {
    note(
      end === 'cancelled'
        ? `replay ${row.id} was cancelled; what it has done stays`
        : `replay ${row.id} failed: ${error}`,
    )
    process.exitCode = 1
  }
  printRows([sixFigures(after.figures)], output, describeFigures)
}

async function estimate(stage: StageName, { ranges }: ResolvedRanges, tenant: string | null, context: Context) {
  const { services, admin, life, output } = context
  const figures = await dryRun({ stage, ranges, tenant, services, admin, stopped: life.stopped })
  const cost = describeCost(figures.embeddingTokens, services.config.embeddings.pricePerMillion)
  if (cost) note(cost)
  printRows([sixFigures(figures)], output, (of: typeof figures) => `would be: ${describeFigures(of)}`)
}

const mineNow = (row: ReplayRow, owner: string, { replays, services: { config } }: Context) =>
  takeOver(row, { owner, replays, config, say: note })

/** Its log is a file: nobody is at its terminal. */
function detach(id: string, { services: { config }, output }: Context) {
  const folder = join(config.dataDir, 'replays')
  mkdirSync(folder, { recursive: true })
  const logFile = join(folder, `${id}.log`)
  const log = openSync(logFile, 'a')
  spawn(process.execPath, [cli, 'replay', 'resume', id], { detached: true, stdio: ['ignore', log, log] }).unref()
  closeSync(log)
  printRows([{ id, logFile }], output, () => `replay ${id} goes on by itself; its log is ${logFile}`)
}

function tell(resolved: ResolvedRanges): ResolvedRanges {
  for (const [partition, low] of resolved.expired)
    note(`partition ${partition}: records before ${low} have expired, so it begins there`)
  if (resolved.ranges.size === 0) note('nothing lies in this range')
  return resolved
}

/** Live stages on this machine come first here too. */
function yieldProcessor() {
  try {
    setPriority(constants.priority.PRIORITY_LOW)
  } catch {
    // A container may forbid it; the budgets hold all the same.
  }
}

/** For people who wonder where it runs. */
const ownerName = () => `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`
