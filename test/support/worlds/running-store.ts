/** A store that runs on a simulated machine, for tests of what its commands answer. */
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { type Machine, machine } from './simulated-instance.ts'

/** Starts an instance with `options` on a machine of its own; `during` waits for its writes. */
export const started = async (
  options?: Partial<StartOptions>,
): Promise<Machine & { app: App; store: App['store'] }> => {
  const world = machine()
  const app = await world.start(options)
  return { ...world, app, store: app.store }
}
