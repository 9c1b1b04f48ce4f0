/** A replay as it is asked for. The same words under the same configuration mean the same replay, also the next day. */
import { CHUNKER_VERSION, configFingerprint } from '../../streams/3-chunker/rows.ts'
import { UserError } from '../../streams/errors.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import type { ReplayWish } from '../../connectors/postgres/replays.ts'
import type { Config } from '../config.ts'

export interface Asked {
  readonly from: string
  readonly to?: string | undefined
  readonly partition?: number | undefined
  readonly tenant?: string | undefined
}

/** @throws UserError for what is no stage. */
export function stageOf(name: string): StageName {
  const stage = stageNames.find((one) => one === name)
  if (stage) return stage
  throw new UserError(`no stage ${name}`, `The stages are ${stageNames.join(', ')}.`, 2)
}

export const wishOf = (
  stage: StageName,
  config: Config,
  { from, to = 'now', partition, tenant }: Asked,
): ReplayWish => ({
  ...{ from, to, partition: partition ?? null, tenant: tenant ?? null, config: configOf(stage, config) },
})

/** Of an interrupted replay the first half would keep the old configuration if it went on under a new one. */
export function configOf(stage: StageName, { chunker: { childTokens, parentTokens }, embeddings }: Config): string {
  const { model, dimensions } = embeddings
  const fingerprint = configFingerprint({ childTokens, parentTokens, model, dimensions })
  return stage === 'chunker' ? `${CHUNKER_VERSION}-${fingerprint}` : ''
}

export const replayGroup = (prefix: string, stage: StageName, id: string) =>
  `${prefix}${topology[stage].group}.replay.${id}`
