/** The start of a process, and what may end it before it is done. */
import { describe, expect, test } from 'vitest'
import {
  type GenServer,
  getState,
  name,
  type Ref,
  stopProcess,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

type Nothing = Record<never, never>

const endless: GenServer<Nothing, null> = { init: () => new Promise<null>(() => {}) }

describe('a start that takes longer than its time', () => {
  test.each([false, true])(
    'answers so and does nothing else to its starter (trapping: %j)',
    async (isTrapping) => {
      const { system, clock } = testSystem()
      const starter = await system.start(Runner.server, isTrapping)

      const started = Runner.run(starter, (context) =>
        context.startLinkResult(endless, undefined, { timeoutMs: 10 }),
      )
      await clock.advance(10)

      expect(await started).toEqual({ ok: false, reason: 'timeout' })
      expect(system.processes().map(({ pid }) => pid)).toEqual([starter.pid])
      await expect(Runner.run(starter, () => 'alive')).resolves.toBe('alive')
    },
  )

  test('is cut off: its signal aborts, its name is free, and its init has no further effect', async () => {
    const { system, clock } = testSystem()
    const watcher = await system.start(Runner.server, false)
    const seen: unknown[] = []
    const slow: GenServer<Nothing, null> = {
      init: async (_, context) => {
        context.signal.addEventListener('abort', () => seen.push('aborted'))
        await new Promise<void>((resolve) => void clock.after(50, resolve))
        seen.push(context.send(watcher, 'tick', 'late'))
        return null
      },
    }

    const started = system.startResult(slow, undefined, { timeoutMs: 10, name: name('slow') })
    await clock.advance(10)
    expect(system.whereis(name('slow'))).toBeUndefined()
    await clock.advance(50)

    expect(await started).toEqual({ ok: false, reason: 'timeout' })
    expect(seen).toEqual(['aborted', false])
  })
})

describe('a process that is killed', () => {
  test('in its init does not take a trapping starter along, nor leave it an exit message', async () => {
    const { system, clock } = testSystem()
    const starter = await system.start(Runner.server, true)

    const started = Runner.run(starter, (context) =>
      context.startLinkResult(endless, undefined, { name: name('endless') }),
    )
    await clock.settle()
    system.kill(name('endless'))

    expect(await started).toEqual({ ok: false, reason: 'killed' })
    expect(await Runner.run(starter, (context) => context.self.pid)).toBe(starter.pid)
  })
})

test('the end of a server whose start it has failed itself is an exit message of its trapping starter', async () => {
  const { system, clock } = testSystem()
  const starter = await system.start(Runner.server, true)
  const pretending: GenServer<Nothing, null> = {
    init: (_, context) => {
      context.exit(context.parent as Ref, 'pretended')
      return new Promise<null>(() => {})
    },
  }

  const started = Runner.run(starter, (context) =>
    context.startLinkResult(pretending, undefined, { name: name('pretending') }),
  )
  expect(await started).toEqual({ ok: false, reason: 'pretended' })
  system.kill(name('pretending'))
  await clock.settle()

  expect(await getState(starter)).toEqual([['exit', 'killed']])
})

describe('a stop', () => {
  test('of a bare process is refused: it would wait for ever', async () => {
    const { system } = testSystem()
    const bare = system.spawn((context) => context.receive())

    await expect(stopProcess(bare)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test.each(['shutdown', 'normal'])(
    'of a system (%s) ends bare processes at once, which take no stop in their turn',
    async (reason) => {
      const { system } = testSystem()
      system.spawn((context) => context.receive())

      await system.stop(reason)

      expect(system.processes()).toEqual([])
    },
  )
})
