/**
 * The throttle of one process, wired: budgets leased from the fleet's totals, a gate before each stage and dependency,
 * one circuit breaker a dependency, and the operators' commands that steer all of them. Before `start` nothing is
 * limited: commands that only ask one question need no fleet.
 */
import { randomUUID } from 'node:crypto'
import type { Kafka } from 'kafkajs'
import type { Knex } from 'knex'
import { createControlChannel } from '../connectors/kafka/control.ts'
import { createBudgetLeases } from '../connectors/postgres/budget-leases.ts'
import type { LearnedLimits } from '../connectors/embeddings/embeddings.ts'
import type { Codec } from '../schemas/codec.ts'
import { DependencyUnavailable, errorMessage } from '../streams/errors.ts'
import type { Dependency } from '../streams/errors.ts'
import { whileHeld } from '../streams/runtime/hold.ts'
import { systemClock } from '../streams/runtime/ports.ts'
import type { Logger, Produce } from '../streams/runtime/ports.ts'
import type { Orders } from '../streams/runtime/run-stage.ts'
import { createAimd } from '../streams/throttle/aimd.ts'
import { createFleetBreaker } from '../streams/throttle/breaker.ts'
import type { FleetBreaker } from '../streams/throttle/breaker-ports.ts'
import { emptyControl, isPaused, tenantLimits, total } from '../streams/throttle/control-state.ts'
import type { BudgetName, ControlState } from '../streams/throttle/control-state.ts'
import { createGate } from '../streams/throttle/gate.ts'
import { createGradient } from '../streams/throttle/gradient.ts'
import { createLeases } from '../streams/throttle/leases.ts'
import type { Ownership } from '../streams/throttle/leases-ownership.ts'
import type { LeaseTable } from '../streams/throttle/leases-port.ts'
import type { Gate, Release } from '../streams/throttle/ports.ts'
import { stageNames } from '../streams/topology.ts'
import type { StageName } from '../streams/topology.ts'
import type { Connected } from './endpoints.ts'

interface Dependencies {
  readonly config: Connected
  readonly logger: Logger
  readonly kafka: (member: string) => Kafka
  readonly produce: Produce
  readonly codec: Codec
  /** With connections of its own: behind a pool full of long writes the leases would end. */
  readonly leaseDb: Knex
}

const dependencies: readonly Dependency[] = ['kafka', 'registry', 'postgres', 'embeddings']
const clock = systemClock
const noFloor: Ownership = { owned: [], of: 0 }
/** Who was refused this long ago is not waiting any more. */
const WANTED_MS = 10_000
const perMinute = (value: number | undefined) => (value === undefined ? null : value / 60)

/** Records that stand here are waiting, not hanging. */
const heldAt = (gate: Gate): Gate => ({ ...gate, acquire: (ask, signal) => whileHeld(() => gate.acquire(ask, signal)) })

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle({ config, logger, kafka, produce, codec, leaseDb }: Dependencies) {
  const instance = randomUUID()
  const topic = `${config.topicPrefix}pipeline.control`
  const control = createControlChannel({
    kafka: kafka('control'),
    ...{ topic, produce, logger, instance },
    encode: (value) => codec.encode('pipeline.control', value),
    decode: (value) => codec.decode('pipeline.control', value),
  })
  /** Its consumer may run, even if it never caught up. */
  let opened = false
  let started = false
  const state = (): ControlState => (started ? control.state() : emptyControl)

  /** With slots leased and no lease, nothing would be sent any more that could fail: so what is not renewed counts. */
  function watched(table: LeaseTable): LeaseTable {
    return {
      renew: async (request) => {
        try {
          return await table.renew(request)
        } catch (error) {
          breakers.postgres.failed({ message: `leases: ${errorMessage(error)}` })
          throw error
        }
      },
    }
  }

  // --- budgets -------------------------------------------------------------------------------------------------------
  let owned: (stage: StageName) => Ownership = () => ({ owned: [], of: 0 })
  const leases = createLeases({
    clock,
    monotonicNow: () => performance.now(),
    table: watched(createBudgetLeases({ db: leaseDb })),
    holder: instance,
    ownership: (budget) => ownershipOf(budget as BudgetName),
    logger,
    most: config.mostOfBudgets,
  })
  /**
   * Whose partitions make up a budget's floor: those of the stage that uses it. Several stages use the database, maybe in
   * different processes, and without Postgres nobody needs its slots: no floor.
   */
  function ownershipOf(budget: BudgetName): Ownership {
    // What a provider says of itself is known to those who called it: the others cannot vouch for their partitions.
    if (budget.startsWith('embedding_')) return isLearned(budget) ? noFloor : owned('chunker')
    const stage = stageNames.find((name) => budget === `${name}_records`)
    return stage ? owned(stage) : noFloor
  }
  const isLearned = (budget: BudgetName) => configured[budget] === null && total(state(), budget) === undefined
  const budgets = {
    embedding_requests: leases.budget('embedding_requests', 'rate', null),
    embedding_tokens: leases.budget('embedding_tokens', 'rate', null),
    embedding_slots: leases.budget('embedding_slots', 'slots', null),
    database_slots: leases.budget('database_slots', 'slots', null),
    crawler_records: leases.budget('crawler_records', 'rate', null),
    processor_records: leases.budget('processor_records', 'rate', null),
    chunker_records: leases.budget('chunker_records', 'rate', null),
  } satisfies Record<BudgetName, unknown>
  const { embeddings, postgres, pagesPerSecond = null } = config
  const configured: Record<BudgetName, number | null> = {
    embedding_requests: perMinute(embeddings.requestsPerMinute),
    embedding_tokens: perMinute(embeddings.tokensPerMinute),
    embedding_slots: embeddings.maxInFlight ?? null,
    database_slots: postgres.maxInFlight ?? null,
    crawler_records: pagesPerSecond,
    processor_records: pagesPerSecond,
    chunker_records: pagesPerSecond,
  }
  const learned: Partial<Record<BudgetName, number>> = {}
  /** An operator's word, then the environment's, then what the provider says of itself. */
  function setTotals() {
    for (const name of Object.keys(budgets) as BudgetName[]) {
      const ordered = total(state(), name)
      budgets[name].setTotal(ordered === undefined ? (configured[name] ?? learned[name] ?? null) : ordered)
    }
  }
  function onLimits({ requestsPerMinute, tokensPerMinute }: LearnedLimits) {
    if (requestsPerMinute !== undefined && requestsPerMinute >= 1) learned.embedding_requests = requestsPerMinute / 60
    if (tokensPerMinute !== undefined && tokensPerMinute >= 1) learned.embedding_tokens = tokensPerMinute / 60
    if (started) setTotals()
  }

  // --- gates ---------------------------------------------------------------------------------------------------------
  const tenants = { ratesOf: (tenantId: string) => tenantLimits(state(), tenantId) }
  const gates: Record<'embeddings' | 'database' | 'crawl' | StageName, Gate> = {
    embeddings: told(
      'embeddings',
      createGate({
        name: 'embeddings',
        clock,
        budgets: [budgets.embedding_requests, budgets.embedding_tokens, budgets.embedding_slots],
        // A request mixes tenants, so it names none; those with pages in hand are who wants it.
        weight: () => gates.chunker.figures().tenants,
        adaptive: createAimd({ clock, initial: embeddings.initialInFlight, max: embeddings.adaptiveMaxInFlight }),
        tenants,
      }),
    ),
    database: heldAt(
      told(
        'postgres',
        createGate({
          name: 'database',
          clock,
          budgets: [budgets.database_slots],
          adaptive: createGradient({
            clock,
            initial: postgres.initialInFlight,
            max: postgres.poolMax - postgres.poolSpare,
          }),
        }),
      ),
    ),
    crawl: createGate({ name: 'crawl', clock, budgets: [budgets.crawler_records] }),
    crawler: createGate({ name: 'crawler', clock, budgets: [], localSlots: config.crawler.maxInFlight, tenants }),
    processor: createGate({
      name: 'processor',
      clock,
      budgets: [budgets.processor_records],
      // More pages than workers: while some are produced (a round trip each), the workers have others to read.
      localSlots: config.processor.workers * 4,
      tenants,
    }),
    chunker: createGate({
      name: 'chunker',
      clock,
      budgets: [budgets.chunker_records],
      localSlots: config.chunker.maxInFlight,
      tenants,
    }),
  }

  // --- circuit breakers ----------------------------------------------------------------------------------------------
  /** When somebody was refused last. */
  const wanted = new Map<Dependency, number>()
  let isWanted: (dependency: Dependency) => boolean = () => false
  const breakerOf = (dependency: Dependency): FleetBreaker =>
    createFleetBreaker({
      dependency,
      // Kafka's own breaker cannot speak through Kafka.
      channel: dependency === 'kafka' ? null : control,
      clock,
      logger,
      ...config.breaker,
      hasWork: () => clock.now() - (wanted.get(dependency) ?? -Infinity) < WANTED_MS || isWanted(dependency),
    })
  const breakers = Object.fromEntries(dependencies.map((name) => [name, breakerOf(name)])) as Record<
    Dependency,
    FleetBreaker
  >
  /** Whoever passes sends: a probe of this process is used. */
  function told(dependency: Dependency, gate: Gate): Gate {
    const leaves = (release: Release) => {
      breakers[dependency].sent()
      return release
    }
    return {
      ...gate,
      tryAcquire: (ask) => {
        const release = gate.tryAcquire(ask)
        return release && leaves(release)
      },
      acquire: (ask, signal) => gate.acquire(ask, signal).then(leaves),
    }
  }
  const guarded = [
    ['embeddings', gates.embeddings],
    ['postgres', gates.database],
  ] as const
  for (const [dependency, gate] of guarded) breakers[dependency].onChange(() => follow(dependency, gate))

  function follow(dependency: Dependency, gate: Gate) {
    const { kind, probeIsMine } = breakers[dependency].state()
    if (kind === 'closed') wanted.delete(dependency)
    const probing = kind === 'half-open' && probeIsMine
    gate.probing(probing)
    gate.shut(kind === 'closed' || probing ? null : () => refusal(dependency))
  }
  /** Whoever is refused shows that there is work: someone has to try, and it may be this process. */
  function refusal(dependency: Dependency): Error {
    wanted.set(dependency, clock.now())
    breakers[dependency].wake()
    const { reason, sinceMs } = breakers[dependency].state()
    const since = new Date(sinceMs).toISOString()
    return new DependencyUnavailable(dependency, `${dependency}: the circuit is open since ${since}: ${reason}`)
  }

  // --- operators -----------------------------------------------------------------------------------------------------
  const orders: Orders = {
    isPaused: (stage, partition) => isPaused(state(), stage as StageName, '', partition) !== undefined,
    isTenantPaused: (stage, tenantId) =>
      state().pauses.size > 0 && isPaused(state(), stage as StageName, tenantId) !== undefined,
    pausedTenants: (stage) =>
      [...state().pauses.values()]
        .filter((pause) => pause.tenant !== '' && (pause.stage === '' || pause.stage === stage))
        .map(({ tenant }) => tenant),
    onChange: (call) => control.onChange(() => call()),
  }

  return {
    /** What operators and breakers say; also the way to say it. */
    control,
    gates,
    breakers,
    orders,
    /** A tenant limited in tokens waits before its pages are begun, not with the places of others in its hands. */
    takesOf: (tenantId: string, cost: number) =>
      tenantLimits(state(), tenantId) && { embedding_tokens: cost, embedding_requests: 1 },
    ownershipChanged: leases.ownershipChanged,
    /** For the embeddings connector. */
    embeddings: {
      gate: gates.embeddings,
      breaker: {
        failed: (failure: Parameters<FleetBreaker['failed']>[0]) => {
          if (started) breakers.embeddings.failed(failure)
        },
        succeeded: (request?: { readonly sentMs?: number }) => {
          if (started) breakers.embeddings.succeeded(request)
        },
      },
      onLimits,
      tenantLimited: (tenantId: string) => {
        const limits = tenantLimits(state(), tenantId)
        return limits !== undefined && ('embedding_tokens' in limits || 'embedding_requests' in limits)
      },
      /** So many that the rate of tokens binds, not that of requests; with tokens alone, small enough to be even. */
      batchTokens: (tenantId: string) => {
        const [tokens, requests] = [budgets.embedding_tokens.total(), budgets.embedding_requests.total()]
        const paced = (perSecond: number) => (perSecond * embeddings.paceMs) / 1000
        const own = tenantLimits(state(), tenantId)?.['embedding_tokens']
        const shared = tokens === null ? null : requests === null ? paced(tokens) : tokens / requests
        return own === undefined ? shared : Math.min(shared ?? Infinity, paced(own))
      },
    },
    /** Reads what operators and breakers have said so far, then leases. @throws UserError when the topic is missing. */
    start: async (ports: {
      readonly owned: (stage: StageName) => Ownership
      readonly isWanted: (dependency: Dependency) => boolean
    }) => {
      ;({ owned, isWanted } = ports)
      if (started) return // stages of this process were started before, and stopped
      opened = true
      await control.start()
      started = true
      control.onChange(setTotals)
      setTotals()
      leases.start()
    },
    figures: () => ({
      budgets: leases.figures(),
      gates: Object.entries(gates).map(([name, gate]) => ({ gate: name, ...gate.figures() })),
      breakers: dependencies.map((dependency) => ({ dependency, ...breakers[dependency].state() })),
      pauses: [...state().pauses.values()],
      limits: [...state().limits.values()],
    }),
    close: async () => {
      for (const breaker of Object.values(breakers)) breaker.close()
      for (const gate of Object.values(gates)) gate.close()
      if (started) await leases.close()
      if (opened) await control.close()
      await leaseDb.destroy()
    },
  }
}
