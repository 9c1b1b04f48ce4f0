/**
 * Replays that are planned and run from the console: in this process, with connections and a low priority of their own.
 * One that this process' end interrupts keeps its place; `sluice replay resume` goes on with it anywhere.
 */
import { randomUUID } from 'node:crypto'
import type { Admin } from 'kafkajs'
import { createReplays } from '../../connectors/postgres/replays.ts'
import { UserError } from '../../streams/errors.ts'
import { topology } from '../../streams/topology.ts'
import { dryRun } from '../replay/dry-run.ts'
import { describeCost, sixFigures } from '../replay/figures.ts'
import { parsePosition, resolveRanges } from '../replay/positions.ts'
import { STALE_MS, cleanUp, runReplay } from '../replay/run.ts'
import { modest } from '../replay/stage.ts'
import { isInterrupted, stateOf } from '../replay/state.ts'
import { replayGroup, wishOf } from '../replay/wish.ts'
import { createServices } from '../services.ts'
import type { Services } from '../services.ts'
import type { Jobs } from './jobs.ts'
import type { ReplayPort, ReplayRow, ReplayWish } from './ports.ts'

const SHOWN = 30

export function createReplayPort(services: Services, jobs: Jobs): ReplayPort {
  const { db, config } = services
  const replays = createReplays(db)

  return {
    list: async () => (await replays.list(SHOWN)).map((row) => rowOf(stateOf(row))),
    plan: (wish, signal) =>
      withOwn(services, async (own, admin) => {
        const { ranges, expired } = await rangesOf(admin, own, wish)
        const figures = await dryRun({
          ...{ stage: wish.stage, ranges, tenant: wish.tenant ?? null, services: own, admin },
          stopped: aborted(signal),
        })
        const cost = describeCost(figures.embeddingTokens, config.embeddings.pricePerMillion)
        return {
          ...sixFigures(figures),
          ...(cost && { cost }),
          ...(expired.size > 0 && { expired: `${expired.size} partitions begin later: their records have expired` }),
        }
      }),
    start: async (wish) => {
      const id = randomUUID().slice(0, 8)
      const owner = `console:${randomUUID().slice(0, 8)}`
      const asked = wishOf(wish.stage, config, wish)
      const unfinished = await replays.unfinished(wish.stage, asked)
      if (unfinished && !isInterrupted(unfinished))
        throw new UserError(`replay ${unfinished.id} does just that`, 'It is in the list.')
      return jobs.start(`Replay ${unfinished?.id ?? id} of ${wish.stage}`, (tell, signal) =>
        withOwn(services, async (own, admin) => {
          if (!unfinished) {
            const { ranges } = await rangesOf(admin, own, wish)
            const group = replayGroup(config.topicPrefix, wish.stage, id)
            await replays.create({ id, stage: wish.stage, group, wish: asked, owner, ranges, handedOver: false })
          } else if (!(await replays.takeOver(unfinished.id, unfinished.owner, owner, STALE_MS)))
            throw new UserError(
              `replay ${unfinished.id} was taken over by another process`,
              'The list shows who works on it.',
            )
          const row = await replays.get(unfinished?.id ?? id)
          if (!row) throw new UserError('an equal replay was started a moment ago', 'It is in the list.')
          const { end, error } = await runReplay({
            ...{ row, owner, services: own, replays: createReplays(own.db), admin },
            stopped: aborted(signal),
            onProgress: ({ doneOffsets, totalOffsets }) => tell(`${doneOffsets} of ${totalOffsets} offsets`),
          })
          if (end === 'failed') throw new Error(error ?? 'it failed')
          return end
        }),
      )
    },
    cancel: async (id) => {
      const row = await replays.get(id)
      if (!row) throw new UserError(`no replay ${id}`, 'The list shows which there are.')
      if (!(await replays.end(id, 'cancelled')))
        throw new UserError(`replay ${id} is ${row.status} already`, 'There is nothing left to end.')
      // Nobody works on it, so nobody else tidies up after it.
      if (isInterrupted(row)) await withOwn(services, (_, admin) => cleanUp(row, replays, admin))
      return { cancelled: id }
    },
  }
}

async function rangesOf(
  admin: Admin,
  { config }: Services,
  { stage, from, to = 'now', partition, tenant }: ReplayWish,
) {
  return resolveRanges(admin, config.topicPrefix + topology[stage].from, {
    ...{ from: parsePosition(from, 'from'), to: parsePosition(to, 'to') },
    ...{ partition: partition ?? null, tenant: tenant ?? null },
  })
}

/** Connections of its own: behind those of the live stages it would hold them up. */
async function withOwn<T>({ config, logger }: Services, work: (own: Services, admin: Admin) => Promise<T>): Promise<T> {
  const own = createServices(modest(config), logger)
  const admin = own.kafka('console-replay').admin()
  try {
    await admin.connect()
    return await work(own, admin)
  } finally {
    await admin.disconnect()
    await own.close()
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

function rowOf(state: ReturnType<typeof stateOf>): ReplayRow {
  const { id, stage, status, from, to, partition, tenant, doneOffsets, totalOffsets, etaMs, createdAt, error } = state
  const narrowed = [partition !== null && `partition ${partition}`, tenant !== null && `tenant ${tenant}`, error]
  return {
    ...{ id, stage, state: status, done: doneOffsets, total: totalOffsets, etaMs },
    what: [`${from} to ${to}`, ...narrowed].filter(Boolean).join(', '),
    createdMs: Date.parse(createdAt),
    cancellable: status === 'running' || status === 'interrupted',
  }
}
