/** The start of a process, and what may end it before it is done. */
import { describe, expect, test } from 'vitest'
import {
  cast,
  type GenServer,
  name,
  noReply,
  ok,
  stopProcess,
  type Then,
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
  test('in its init answers its starter so', async () => {
    const { system, clock } = testSystem()

    const started = system.startResult(endless, undefined, { name: name('endless') })
    await clock.settle()
    system.kill(name('endless'))

    expect(await started).toEqual({ ok: false, reason: 'killed' })
  })

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

  test('in its terminate ends, and the caller of the stop gets the reason', async () => {
    const { system, clock } = testSystem()
    const runner = await system.start(unending, false)

    const stopped = stopProcess(runner).catch((error) => error.details.reason)
    await clock.settle()
    expect(system.info(runner)?.status).toBe('terminating')
    system.kill(runner)

    expect(await stopped).toBe('killed')
  })
})

const unending: GenServer<Runner.Messages, Runner.Notes, boolean> = {
  ...Runner.server,
  terminate: () => new Promise<void>(() => {}),
}

describe('a stop', () => {
  test('that is given up goes on: the server is still on its way out', async () => {
    const { system, clock } = testSystem()
    const runner = await system.start(unending, false)

    const stopped = stopProcess(runner, 'normal', { timeoutMs: 100 }).catch(({ code }) => code)
    await clock.advance(100)

    expect(await stopped).toBe('TIMEOUT')
    expect(system.info(runner)?.status).toBe('terminating')
  })

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

describe('what follows init', () => {
  type Messages = {
    casts: { cast: () => void }
    continues: { first: () => void; second: () => void }
  }
  const also = (seen: string[], what: string): string[] => {
    seen.push(what)
    return seen
  }
  const chain = (next: Then): GenServer<Messages, string[], string[]> => ({
    init: (seen) => ok(seen, { continue: ['first'] }),
    casts: { cast: (seen) => noReply(also(seen, 'cast')) },
    continues: {
      first: (seen) => noReply(also(seen, 'first'), { continue: ['second'] }),
      second: (seen) => noReply(also(seen, 'second'), next),
    },
    timeout: (seen) => noReply(also(seen, 'timeout')),
  })

  test('is done before anything that waits, and what waits comes before a timeout of 0', async () => {
    const { system, clock } = testSystem()
    const seen: string[] = []

    const started = system.start(chain({ timeoutMs: 0 }), seen, { name: name('chain') })
    cast(system.to(name<Messages>('chain')), 'cast')
    await started
    await clock.settle()

    // Whatever comes calls a timeout off.
    expect(seen).toEqual(['first', 'second', 'cast'])
  })

  test('hibernation: the process gives memory back, and the next message wakes it', async () => {
    const { system, clock } = testSystem()
    const seen: string[] = []

    const ref = await system.start(chain({ hibernate: true }), seen)
    await clock.settle()
    cast(ref, 'cast')
    await clock.settle()

    expect(seen).toEqual(['first', 'second', 'cast'])
  })
})
