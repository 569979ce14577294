import { expect, test } from 'vitest'
import { onEndOfNpm } from '../../../src/inspect/command/environment.ts'
import { virtualClock } from '../../../src/testing/index.ts'

/** What a command is told whose parent changes from 7 after a second, in an hour. */
const told = async (
  variables: Readonly<Record<string, string>>,
  later: number,
  cancelled = false,
): Promise<string[]> => {
  const clock = virtualClock(1)
  const signals: string[] = []
  let parent = 7
  const cancel = onEndOfNpm(
    variables,
    clock,
    () => parent,
    (signal) => signals.push(signal),
  )
  await clock.advance(1_000)
  parent = later
  if (cancelled) cancel()
  await clock.advance(3_600_000)
  cancel()
  await clock.advance(3_600_000)
  return signals
}

const byNpm = { npm_lifecycle_event: 'start' }

test('under npm the end of the shell is one SIGTERM', async () => {
  expect(await told(byNpm, 1)).toEqual(['SIGTERM'])
})

test('a signal before it, after which the command listens no more, is the only one', async () => {
  expect(await told(byNpm, 1, true)).toEqual([])
})

test('with the same parent, as process 1 of a container always has it, nothing happens', async () => {
  expect(await told(byNpm, 7)).toEqual([])
})

test('outside of npm a service outlives its shell', async () => {
  expect(await told({ PATH: '/bin' }, 1)).toEqual([])
})
