/**
 * Consumers of streams of tasks for tests, which record the outcomes, and inputs that record how
 * far they were read.
 */
import type { BareContext } from '../../../src/runtime/index.ts'
import type { TestSystem } from '../../../src/testing/index.ts'
import { failureOf, tasksOf } from './task-owner.ts'

/**
 * Runs `body` in a process of its own until nothing happens without time passing; returns its
 * records.
 */
export const consuming = async (
  { system, clock }: TestSystem,
  body: (context: BareContext, note: (what: unknown) => void) => Promise<unknown>,
) => {
  const noted: unknown[] = []
  const note = (what: unknown): void => void noted.push(what)
  const ref = system.spawn((context) => body(context, note).catch((e) => note(failureOf(e))))
  await clock.settle()
  return { noted, ref }
}

/** How many tasks run. */
export const running = ({ system }: TestSystem): number => tasksOf(system).length

/** Inputs that tell how many were read, and whether they were closed. */
export const counted = (limit = Number.POSITIVE_INFINITY) => {
  const reading = { read: 0, closed: 0 }
  function* numbers(): Generator<number> {
    try {
      while (reading.read < limit) yield ++reading.read
    } finally {
      reading.closed++
    }
  }
  return { reading, numbers }
}

/** The values of the outcomes of `stream`, to its end. */
export const values = async (
  stream: AsyncIterable<{ readonly value?: unknown }>,
): Promise<unknown[]> => {
  const found: unknown[] = []
  for await (const { value } of stream) found.push(value)
  return found
}

/** Sleeps for the given time, and returns it. */
export const sleeper = (ms: number, context: BareContext): Promise<number> =>
  context.sleep(ms).then(() => ms)

/** A task that waits for a message that never comes. */
export const waiter = (_: unknown, inner: BareContext): Promise<unknown> => inner.receive()
