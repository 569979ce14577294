/**
 * State machines in processes, for tests: each is started in a system of its own, whose time stands
 * still until the test moves it.
 */
import {
  createSystem,
  type GenServer,
  type Logger,
  type Messages,
  type StartOptions,
  type System,
  type Target,
} from '../../../src/runtime/index.ts'
import { testSystem, virtualClock } from '../../../src/testing/index.ts'

/** A process of `server` in a new system, which comes with it. */
export const started = async <T extends Messages, S, P>(
  server: GenServer<T, S, undefined, P>,
  options?: StartOptions<T>,
) => {
  const { system, clock } = testSystem()
  return { system, clock, ref: await system.start(server, undefined, options) }
}

/** A system whose log is kept, as bare lines. */
export const listening = () => {
  const lines: string[] = []
  const keep = (line: string): void => void lines.push(line)
  const logger: Logger = { error: keep, warn: keep, info: keep }
  const clock = virtualClock()
  return { system: createSystem({ clock, logger }), clock, lines }
}

/** Why the process behind `ref` ends. */
export const reasonOfEnd = (system: System, ref: Target): Promise<unknown> =>
  new Promise((resolve) => void system.monitor(ref, resolve))

/** Why processes of `system` end from now on, in the order of their ends; grows as they do. */
export const reasonsOfEnds = (system: System): readonly unknown[] => {
  const reasons: unknown[] = []
  system.events.on('process.exited', ({ reason }) => reasons.push(reason))
  return reasons
}

/** `saved` as it comes back from a file of JSON. */
export const throughJson = <T>(saved: T): T => JSON.parse(JSON.stringify(saved))
