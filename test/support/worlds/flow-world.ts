/** A simulated instance with workflows, for the tests of `keelson/flow`. */
import { type CountsOf, type FlowParts, flow, flows } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import { simulated } from './simulated-instance.ts'

/** Workflows of any types. */
export type Workflows = NonNullable<FlowParts['workflows']>

/** How many runs have each status, where all others are 0. */
export const counted = (some: Partial<CountsOf>): CountsOf => ({
  ...{ waiting: 0, running: 0, cancelling: 0, undoing: 0 },
  ...{ blocked: 0, completed: 0, failed: 0, cancelled: 0, ...some },
})

/** An instance with these workflows, and what its tests ask of it. */
export const flowWorld = async (
  workflows: Workflows,
  { options = {}, ...parts }: Omit<FlowParts, 'workflows'> & { options?: SimulatedOptions } = {},
) => {
  const tree = (of: Workflows) => supervisor('app', {}, [flows({ workflows: of, ...parts })])
  const s = await simulated({ ...options, app: tree(workflows) })
  const world = {
    s,
    tree,
    get flow() {
      return flow(s.app)
    },
    /** Waits while time passes. */
    during: <T>(work: Promise<T>, withinMs = 3_600_000): Promise<T> => s.during(work, { withinMs }),
    /** Kills the program and starts it again, with other workflows if they are given. */
    crash: async (next: Workflows = workflows): Promise<void> => {
      await s.kill()
      await s.start({ ...options, app: tree(next) })
    },
    powerCut: async (next: Workflows = workflows): Promise<void> => {
      await s.powerCut()
      await s.start({ ...options, app: tree(next) })
    },
    status: (type: { readonly name: string }, id: string): string | undefined =>
      (s.app.entity(`$flow-${type.name}`).state(id) as { status: string } | undefined)?.status,
  }
  return world
}
