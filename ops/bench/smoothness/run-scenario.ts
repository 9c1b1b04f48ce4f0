/** One scenario of ours, from an empty database to a recording. What fails is recorded, so that the others still run. */
import { errorMessage } from '../../../streams/errors.ts'
import type { Recording } from './recording.ts'
import type { Scenario } from './scenario.ts'
import { createScene } from './scene.ts'
import type { Scene, Surroundings } from './scene.ts'

export async function runScenario(scenario: Scenario, surroundings: Surroundings): Promise<Recording> {
  const { id, title, kind, what, instances } = scenario
  let scene: Scene | undefined
  try {
    scene = await createScene(id, surroundings)
    const { arms, failure } = await play(scenario, scene)
    return await scene.record({ title, kind, what, instances: Math.max(instances, scene.fleet.most()), arms, failure })
  } catch (error) {
    return {
      ...nothing,
      id,
      title,
      kind,
      what,
      instances,
      database: surroundings.databases.name,
      failure: errorMessage(error),
    }
  } finally {
    await scene?.close()
  }
}

async function play({ instances, play: act }: Scenario, scene: Scene): Promise<Pick<Recording, 'arms' | 'failure'>> {
  try {
    if (instances > 0) {
      await scene.fleet.start(instances)
      await scene.warmUp()
    }
    const arms = (await act(scene)) ?? {}
    await scene.drained()
    return { arms, failure: null }
  } catch (error) {
    return { arms: {}, failure: errorMessage(error) }
  }
}

const nothing = {
  ...{
    startedMs: 0,
    drainedMs: null,
    embeddings: [],
    postgres: [],
    publishedMs: {},
    arms: {},
    events: [],
    outages: [],
  },
  limits: { requests: [{ fromMs: 0, perSecond: 0 }], tokens: [{ fromMs: 0, perSecond: 0 }] },
  pages: { published: 0, stored: 0 },
  tasksOpen: null,
}
