/** The scenarios: what is done to the pipeline, as a table. What ours is compared with is in `baselines.ts`. */
import { faultScenarios } from './fault-scenarios.ts'
import { fleetScenarios } from './fleet-scenarios.ts'
import type { Scenario } from './scenario.ts'
import { PAGES_PER_CRAWL } from './stated-api.ts'

const steady = (instances: number, quick = false): Scenario => ({
  id: `d${instances}`,
  title: `Ours, ${instances} ${instances === 1 ? 'instance' : 'instances'}`,
  kind: 'steady',
  what: `${PAGES_PER_CRAWL} pages of 12 tenants, published at once`,
  instances,
  quick,
  play: (scene) => scene.crawl(PAGES_PER_CRAWL),
})

export const scenarios: readonly Scenario[] = [
  steady(1, true),
  steady(2),
  steady(4),
  {
    id: 'one-partition',
    title: 'All work in one partition, 4 instances',
    kind: 'steady',
    what: `${PAGES_PER_CRAWL} pages of one tenant`,
    instances: 4,
    play: (scene) => scene.crawl(PAGES_PER_CRAWL, 0, scene.tenants.slice(0, 1)),
  },
  ...fleetScenarios,
  ...faultScenarios,
]
