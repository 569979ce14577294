import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../src/errors.ts'
import {
  type AsyncStreamOptions,
  type BareContext,
  cast,
  exit,
  type GenServer,
  noReply,
  startTaskSupervisor,
  Task,
} from '../../src/runtime/index.ts'
import { type TestSystem, testSystem } from '../../src/testing/index.ts'

const failureOf = (error: unknown): unknown =>
  isKeelsonError(error) ? { code: error.code, reason: error.details.reason } : error

const running = ({ system }: TestSystem): number =>
  system.processes().filter(({ kind }) => kind === 'task').length

/** Runs `body` in a process of its own until nothing more happens without time passing; answers what it noted. */
const within = async (
  { system, clock }: TestSystem,
  body: (context: BareContext, note: (what: unknown) => void) => Promise<unknown>,
) => {
  const noted: unknown[] = []
  const note = (what: unknown): void => void noted.push(what)
  const ref = system.spawn((context) => body(context, note).catch((e) => note(failureOf(e))))
  await clock.settle()
  return { noted, ref }
}

/** Inputs that tell how many were read, and whether they were closed. */
const counted = (limit = Number.POSITIVE_INFINITY) => {
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

const values = async (stream: AsyncIterable<{ readonly value?: unknown }>): Promise<unknown[]> => {
  const found: unknown[] = []
  for await (const { value } of stream) found.push(value)
  return found
}

/** Sleeps for what it is given, and gives it back. */
const sleeper = (ms: number, context: BareContext): Promise<number> =>
  context.sleep(ms).then(() => ms)

describe('a stream of tasks', () => {
  test('starts nothing before it is asked, and nothing while nobody asks', async () => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await within(stage, async (context, note) => {
      const stream = Task.asyncStream(context, numbers(), (input) => input, { maxConcurrency: 3 })
      await context.sleep(1)
      note(reading.read)
      note((await stream.next()).value)
      note(reading.read)
      await context.sleep(1)
      note(reading.read)
    })
    await stage.clock.advance(2)
    expect(noted).toEqual([0, { ok: true, value: 1 }, 3, 3])
  })

  test.each([true, false])(
    'is never more than maxConcurrency ahead of its consumer (ordered: %s)',
    async (ordered) => {
      const stage = testSystem({ seed: 3 })
      const { reading, numbers } = counted()
      let most = 0
      await within(stage, async (context) => {
        let taken = 0
        const run = (input: number) => input
        const options = { maxConcurrency: 4, ordered }
        for await (const _ of Task.asyncStream(context, numbers(), run, options)) {
          most = Math.max(most, reading.read - taken++)
          await context.sleep(1)
          if (taken === 50) break
        }
      })
      await stage.clock.advance(60)
      expect({ most, closed: reading.closed }).toEqual({ most: 4, closed: 1 })
    },
  )

  test.each([
    [true, 1_000, [5, 1, 1, 1, 1, 1], 5],
    [true, 2, [5, 1, 1, 1, 1, 1], 7],
    [false, 1_000, [1, 1, 1, 1, 5, 1], 5],
  ])(
    'lets the quick pass a slow one, up to maxAhead (ordered: %s, maxAhead: %s)',
    async (ordered, maxAhead, expected, ms) => {
      const stage = testSystem()
      const { noted } = await within(stage, async (context, note) => {
        const inputs = [5, 1, 1, 1, 1, 1]
        const options = { maxConcurrency: 2, ordered, maxAhead }
        const found = await values(Task.asyncStream(context, inputs, sleeper, options))
        note(found)
        note(context.now())
      })
      const begun = stage.clock.now()
      await stage.clock.advance(20)
      expect(noted).toEqual([expected, begun + ms])
    },
  )

  test('reads an input that takes its time, and gives what is done meanwhile', async () => {
    const stage = testSystem()
    const { noted } = await within(stage, async (context, note) => {
      async function* inputs() {
        yield 1
        await context.sleep(100)
        yield 2
      }
      const stream = Task.asyncStream(context, inputs(), (input) => input * 10)
      for await (const { value } of stream) note(value)
      note('done')
    })
    expect(noted).toEqual([10])
    await stage.clock.advance(100)
    expect(noted).toEqual([10, 20, 'done'])
  })

  test('kills what runs and closes its input when its consumer stops early', async () => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await within(stage, async (context, note) => {
      const run = (input: number, inner: BareContext) => (input === 1 ? 1 : inner.receive())
      for await (const { value } of Task.asyncStream(context, numbers(), run)) {
        note(value)
        note(running(stage))
        break
      }
      note(running(stage))
      await context.sleep(10)
      note('alive')
    })
    await stage.clock.advance(10)
    expect(noted).toEqual([1, 7, 0, 'alive'])
    expect(reading).toEqual({ read: 8, closed: 1 })
  })

  test('kills also what was just being started under a supervisor', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system)
    let begun = 0
    const { noted } = await within(stage, async (context, note) => {
      const run = () => ++begun
      const stream = Task.asyncStream(context, [1], run, { supervisor: crew })
      const asked = stream.next()
      await stream.return?.()
      note((await asked).done)
    })
    expect({ noted, begun }).toEqual({ noted: [true], begun: 0 })
  })

  test('rejects when it is asked after its owner has ended', async () => {
    const stage = testSystem()
    let goOn = (): void => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const { noted, ref } = await within(stage, async (context, note) => {
      const stream = Task.asyncStream(context, [1, 2], (input) => input)
      note(await stream.next())
      await gate
      note(await stream.next())
    })
    stage.system.kill(ref)
    goOn()
    await stage.clock.settle()
    expect(noted.slice(1)).toEqual([{ code: 'EXITED', reason: 'killed' }])
  })

  test('does not fail by an input that fails to close, when its owner has ended or it owes an answer', async () => {
    const stage = testSystem()
    const inputs: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => Promise.reject(new Error('it does not close')),
      }),
    }
    const { noted, ref } = await within(stage, async (context, note) => {
      const stream = Task.asyncStream(context, inputs, (input) => input)
      const asked = stream.next()
      await context.sleep(1)
      note([await stream.return?.(), await asked])
      note(await Task.asyncStream(context, inputs, (input) => input).next())
    })
    await stage.clock.advance(1)
    stage.system.kill(ref)
    await stage.clock.settle()
    const end = { done: true, value: undefined }
    expect(noted).toEqual([[end, end], { code: 'EXITED', reason: 'killed' }])
  })

  test('rejects with what an input says that does not close', async () => {
    const stage = testSystem()
    const stuck = new Error('it does not close')
    const inputs: Iterable<number> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 1 }),
        return: () => {
          throw stuck
        },
      }),
    }
    const { noted } = await within(stage, async (context) => {
      for await (const _ of Task.asyncStream(context, inputs, (input) => input)) break
    })
    expect(noted).toEqual([stuck])
  })

  test('is closed while an outcome is asked for, and that is answered with the end', async () => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await within(stage, async (context, note) => {
      const stream = Task.asyncStream(context, numbers(), (_, inner) => inner.receive())
      const asked = stream.next()
      await context.sleep(1)
      note([running(stage), await stream.return?.(), await asked, running(stage)])
    })
    await stage.clock.advance(1)
    const end = { done: true, value: undefined }
    expect(noted).toEqual([[8, end, end, 0]])
    expect(reading.closed).toBe(1)
  })

  test.each(['throws', 'rejects'])(
    'ends with what its input %s, and kills what runs',
    async (how) => {
      const stage = testSystem()
      const broken = new Error('no more')
      const { noted } = await within(stage, async (context, note) => {
        const inputs = {
          [how === 'throws' ? Symbol.iterator : Symbol.asyncIterator]: () => {
            let count = 0
            const next = () => {
              if (++count < 3) return { done: false, value: count }
              throw broken
            }
            return { next: how === 'throws' ? next : async () => next() }
          },
        } as unknown as Iterable<number>
        const run = (_: number, inner: BareContext) => inner.receive()
        await values(Task.asyncStream(context, inputs, run)).catch((error) => {
          note(error)
          note(running(stage))
        })
      })
      expect(noted).toEqual([broken, 0])
    },
  )

  test.each([
    ['linked', false, {}],
    ['of an owner that traps exits', true, {}],
    ['under a supervisor', false, { supervisor: 'crew' as never }],
  ])('ends with its owner: %s', async (_, traps, options) => {
    const stage = testSystem()
    await startTaskSupervisor(stage.system, { name: 'crew' as never })
    const { reading, numbers } = counted()
    const { noted, ref } = await within(stage, async (context, note) => {
      context.trapExit(traps)
      const run = (_: number, inner: BareContext) => inner.receive()
      try {
        await values(Task.asyncStream(context, numbers(), run, options))
      } finally {
        note('unwound')
      }
    })
    expect(running(stage)).toBe(8)

    stage.system.kill(ref)
    await stage.clock.settle()

    expect(running(stage)).toBe(0)
    expect(reading.closed).toBe(1)
    expect(noted).toEqual(['unwound', { code: 'EXITED', reason: 'killed' }])
  })

  test('leaves tasks that are not linked to their owner, which has no time to give them any more', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system)
    const { ref } = await within(stage, (context) => {
      const run = (_: number, inner: BareContext) => inner.receive()
      const options = { supervisor: crew, link: false, timeoutMs: 100 }
      return values(Task.asyncStream(context, [1, 2], run, options))
    })
    stage.system.kill(ref)
    await stage.clock.advance(1_000)
    expect(running(stage)).toBe(2)
  })

  test('shows a trapping owner a crash as an outcome with its input, and sends it no exit message', async () => {
    const stage = testSystem()
    const { noted } = await within(stage, async (context, note) => {
      context.trapExit(true)
      const run = (input: number) => (input === 2 ? exit('bad') : input)
      for await (const outcome of Task.asyncStream(context, [1, 2, 3], run)) note(outcome)
      note(await context.receive(0))
    })
    expect(stage.clock.untilNext()).toBeUndefined()
    expect(noted).toEqual([
      { ok: true, value: 1 },
      { ok: false, reason: 'bad', input: 2 },
      { ok: true, value: 3 },
      undefined,
    ])
  })

  test('of which one task takes too long rejects with TIMEOUT and kills the others', async () => {
    const stage = testSystem()
    const { noted } = await within(stage, async (context, note) => {
      const options = { timeoutMs: 100, maxConcurrency: 2 }
      const stream = Task.asyncStream(context, [90, 1_000, 50], sleeper, options)
      try {
        for await (const { value } of stream) note(value)
      } finally {
        note(running(stage))
      }
    })
    await stage.clock.advance(100)
    expect(noted).toEqual([90, 0, { code: 'TIMEOUT', reason: 'timeout' }])
  })

  test('rejects with EXITED when its supervisor is full', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system, { maxChildren: 2 })
    const run = (_: number, inner: BareContext) => inner.receive()
    const { noted } = await within(stage, (context) =>
      values(Task.asyncStream(context, [1, 2, 3], run, { supervisor: crew })),
    )
    expect(noted).toEqual([{ code: 'EXITED', reason: 'max_children' }])
    expect(running(stage)).toBe(0)
  })

  test('without a supervisor rejects with NO_PROCESS when its owner traps exits', async () => {
    const stage = testSystem()
    const { noted } = await within(stage, (context) => {
      context.trapExit(true)
      return values(Task.asyncStream(context, [1], () => 1, { supervisor: 'nobody' as never }))
    })
    expect(noted).toEqual([{ code: 'NO_PROCESS', reason: 'noproc' }])
  })

  test.each([true, false])(
    'without a supervisor ends an owner that does not trap, and no terminate runs, link: %s',
    async (link) => {
      const { system, clock } = testSystem()
      const ends: unknown[] = []
      const server: GenServer<{ casts: { go: () => void } }, null> = {
        init: () => null,
        casts: {
          go: async (state, _, context) => {
            const options = { supervisor: 'nobody' as never, link }
            await values(Task.asyncStream(context, [1], () => 1, options))
            return noReply(state)
          },
        },
        terminate: () => void ends.push('terminate'),
      }
      const owner = await system.start(server)
      system.monitor(owner, (reason) => ends.push(reason))
      cast(owner, 'go')
      await clock.settle()
      expect(ends).toMatchObject([{ code: 'EXITED', details: { reason: 'noproc' } }])
    },
  )

  test.each<AsyncStreamOptions>([
    { maxConcurrency: 0 },
    { maxConcurrency: 1.5 },
    { maxAhead: 0 },
    { timeoutMs: Number.NaN },
    { onTimeout: 'wait' as never },
  ])('with %o is refused before anything is read', async (options) => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await within(stage, async (context) =>
      Task.asyncStream(context, numbers(), sleeper, options),
    )
    expect(noted).toEqual([{ code: 'INVALID_ARGUMENT', reason: undefined }])
    expect(reading).toEqual({ read: 0, closed: 0 })
  })
})

describe('the input of a stream of tasks', () => {
  const boom = new Error('boom')
  const broken: Record<string, (reads: number) => Iterable<number> | AsyncIterable<number>> = {
    'its opening': () => ({
      [Symbol.iterator]: () => {
        throw boom
      },
    }),
    'its opening, async': () => ({
      [Symbol.asyncIterator]: () => {
        throw boom
      },
    }),
    'a read': function* (reads) {
      for (let read = 0; read < reads; read++) yield read
      throw boom
    },
    'an async read': async function* (reads) {
      for (let read = 0; read < reads; read++) yield read
      throw boom
    },
  }
  const everyWay = Object.keys(broken).flatMap((what) =>
    [1, 2, 8].flatMap((maxConcurrency) =>
      [true, false].map((ordered) => ({ what, maxConcurrency, ordered })),
    ),
  )

  test.each(everyWay)(
    'that throws in $what is an error of the reader, also when nothing runs ($maxConcurrency at a time, ordered: $ordered)',
    async ({ what, ...options }) => {
      for (const reads of [0, 1, 2]) {
        const { noted } = await within(testSystem(), async (context) => {
          await values(
            Task.asyncStream(context, broken[what]?.(reads) ?? [], (each) => each, options),
          )
        })
        expect(noted, `after ${reads}`).toEqual([boom])
      }
    },
  )

  test.each([5, null, undefined, {}, true])('is refused when it is none: %s', async (inputs) => {
    const { noted } = await within(testSystem(), async (context) => {
      Task.asyncStream(context, inputs as never, (each) => each)
    })
    expect(noted).toEqual([{ code: 'INVALID_ARGUMENT', reason: undefined }])
  })

  test('may be a text', async () => {
    const { noted } = await within(testSystem(), async (context, note) => {
      note(await values(Task.asyncStream(context, 'abc', (each) => each)))
    })
    expect(noted).toEqual([['a', 'b', 'c']])
  })
})
