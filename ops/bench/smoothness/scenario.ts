/** What one scenario is. */
import type { Recording, ScenarioKind } from './recording.ts'
import type { Scene } from './scene.ts'

export interface Scenario {
  readonly id: string
  readonly title: string
  readonly kind: Exclude<ScenarioKind, 'baseline'>
  readonly what: string
  /** Of the two minutes that `--quick` takes. */
  readonly quick?: boolean
  /** Instances that are warm before the first page is published; 0: the scenario starts them itself. */
  readonly instances: number
  /** From the first page on; draining is waited for afterwards. @returns page ids by arm, where waits are compared. */
  readonly play: (scene: Scene) => Promise<void | Recording['arms']>
}
