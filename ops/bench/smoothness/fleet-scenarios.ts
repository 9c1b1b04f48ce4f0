/** Events of the work and of the fleet: starts, crawls, instances that come and go, an operator's pause. */
import type { Scenario } from './scenario.ts'
import { PAGES_PER_CRAWL } from './stated-api.ts'

export const fleetScenarios: readonly Scenario[] = [
  {
    id: 'cold-start',
    title: 'Cold start on a backlog',
    kind: 'event',
    what: `${PAGES_PER_CRAWL} pages wait; then 2 instances start`,
    instances: 0,
    play: async (scene) => {
      await scene.crawl(PAGES_PER_CRAWL)
      scene.timeline.event('instances start')
      await scene.fleet.start(2)
    },
  },
  {
    id: 'second-crawl',
    title: 'A second crawl in the middle',
    kind: 'event',
    what: 'a crawl, and another one at second 20',
    instances: 2,
    play: async (scene) => {
      await scene.crawl(PAGES_PER_CRAWL)
      await scene.timeline.at(20)
      scene.timeline.event('second crawl')
      await scene.crawl(PAGES_PER_CRAWL, PAGES_PER_CRAWL)
    },
  },
  {
    id: 'join',
    title: 'An instance joins',
    kind: 'event',
    what: '2 instances; a third one starts at second 12',
    instances: 2,
    play: async (scene) => {
      await scene.crawl(PAGES_PER_CRAWL)
      await scene.timeline.at(12)
      scene.timeline.event('third joins')
      await scene.fleet.join()
    },
  },
  {
    id: 'kill',
    title: 'An instance is killed',
    kind: 'event',
    what: '3 instances; one gets SIGKILL at second 15',
    instances: 3,
    play: async (scene) => {
      await scene.crawl(PAGES_PER_CRAWL)
      await scene.timeline.at(15)
      scene.timeline.event('killed', 'recovery')
      await scene.fleet.kill(2)
    },
  },
  {
    id: 'rebalance',
    title: 'A rolling restart',
    kind: 'event',
    what: '2 instances; one leaves in order at second 12, and another one starts',
    instances: 2,
    play: async (scene) => {
      await scene.crawl(PAGES_PER_CRAWL)
      await scene.timeline.at(12)
      scene.timeline.event('one leaves')
      await scene.fleet.leave(1)
      scene.timeline.event('another starts', 'mark')
      await scene.fleet.join()
    },
  },
  {
    id: 'mass-resume',
    title: 'Mass resume after an operator’s pause',
    kind: 'event',
    what: 'the chunker is paused, 2 crawls gather before it, then it is resumed',
    instances: 4,
    play: async (scene) => {
      await scene.command('pause', 'chunker')
      const pausedMs = Date.now()
      await scene.crawl(2 * PAGES_PER_CRAWL)
      scene.timeline.event('paused', 'mark', pausedMs)
      await scene.timeline.at(20)
      scene.timeline.outage(pausedMs, Date.now())
      scene.timeline.event('resumed', 'recovery')
      await scene.command('resume', 'chunker')
    },
  },
]
