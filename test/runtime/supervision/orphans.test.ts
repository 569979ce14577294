/** A name that a process still holds whose supervisor was killed: starts wait until it is free. */
import { expect, test } from 'vitest'
import {
  cast,
  type GenServer,
  type Messages,
  name,
  noReply,
  type SupervisorMessages,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stopProcess,
  supervisor,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

const a = name<Messages>('a')
const inner = name<SupervisorMessages>('inner')
const top = name<SupervisorMessages>('top')
const strategy = 'one_for_one'

/** It traps exits, and its end takes so long. */
const ending = (ms: number): GenServer<Messages, number> => ({
  init: (_, context) => {
    context.trapExit(true)
    return 0
  },
  terminate: (_state, _reason, context) =>
    new Promise<void>((resolve) => {
      context.system.clock.after(ms, resolve)
    }),
})

const stage = async (endMs: number) => {
  const world = testSystem()
  const child = worker('a', ending(endMs), undefined, { name: a, shutdown: 'infinity' })
  const below = supervisor('inner', { strategy, name: inner }, [child])
  await startSupervisor(world.system, supervisor('top', { strategy, name: top }, [below]))
  return { ...world, pid: () => world.system.whereis(a)?.pid }
}

test('a tree starts when they have ended, after one restart', async () => {
  const { system, advance, settle, pid } = await stage(20)
  const before = pid()
  system.kill(inner)
  await advance(19)
  expect(pid()).toBe(before)

  await advance(1)
  await settle()

  expect(pid()).toBeGreaterThan(before as number)
  expect(system.info(inner)?.restarts).toBe(1)
})

test('a supervisor that has to end waits for them no longer', async () => {
  const { system, settle } = await stage(1_000_000)
  system.kill(inner)
  await settle()
  expect(system.info(top)?.status).toBe('busy')

  void stopProcess(system.to(top))
  await settle()

  expect([system.info(top), system.info(inner)]).toEqual([undefined, undefined])
})

test('a tree that a process starts at its own restart waits for that of its predecessor', async () => {
  const { system, advance, settle } = testSystem()
  const tree = supervisor('inner', { strategy, name: inner }, [worker('slow', ending(20))])
  const starting: GenServer<Messages, number> = {
    init: async (_, context) => {
      await startSupervisor(context, tree)
      return 0
    },
  }
  const child = worker('a', starting, undefined, { name: a })
  await startSupervisor(system, supervisor('top', { strategy, name: top }, [child]))

  system.kill(a)
  await advance(20)
  await settle()

  expect(system.info(a)?.restarts).toBe(1)
  expect(system.info(inner)?.parent).toBe(system.whereis(a)?.pid)
})

test('one that waits for the supervisor that waits for it gets its answer after its shutdown time', async () => {
  const { system, advance } = testSystem()
  type Asking = Messages & { casts: { ask: () => void } }
  const [asking, answers] = [name<Asking>('asking'), [] as number[]]
  const child: GenServer<Asking, number> = {
    ...(ending(0) as object),
    init: (_, context) => {
      context.trapExit(true)
      return 0
    },
    casts: {
      ask: async (count, _, context) => {
        await new Promise<void>((resolve) => void system.clock.after(10, resolve))
        answers.push((await whichChildren(context.to(top))).length)
        return noReply(count)
      },
    },
  }
  const below = supervisor('inner', { strategy, name: inner }, [
    worker('asking', child, undefined, { name: asking, shutdown: 3_000 }),
  ])
  await startSupervisor(system, supervisor('top', { strategy, name: top }, [below]))
  const before = system.whereis(asking)?.pid as number
  cast(system.to(asking), 'ask')
  await advance(5)
  system.kill(inner)
  await advance(2_999)
  expect(answers).toEqual([])

  await advance(3_000)

  expect(answers).toEqual([1])
  expect(system.whereis(asking)?.pid).toBeGreaterThan(before)
})

test('a start that was asked for is refused at once, and holds up no other', async () => {
  const { system, settle, pid } = await stage(60_000)
  const crew = await startDynamicSupervisor(system)
  const before = pid()
  system.kill(inner)
  await settle()

  const started = await Promise.all([
    startDynamicChild(crew, worker('a', ending(0), undefined, { name: a })),
    startDynamicChild(crew, worker('b', ending(0))),
  ])

  expect(started).toEqual([
    { ok: false, reason: ['already_started', system.whereis(a)] },
    expect.objectContaining({ ok: true }),
  ])
  expect(pid()).toBe(before)
})

test('a process that lives on after its starter is not waited for', async () => {
  const { system, settle } = testSystem()
  const starting: GenServer<Messages, number> = {
    init: (_, context) => {
      context.spawnLink(
        async (bare) => {
          bare.trapExit(true)
          for (;;) await bare.receive()
        },
        { name: a },
      )
      return 0
    },
  }
  const starter = await system.start(starting)
  await settle()
  system.kill(starter)
  const crew = await startDynamicSupervisor(system)

  const started = await startDynamicChild(crew, worker('a', ending(0), undefined, { name: a }))

  expect(started).toEqual({ ok: false, reason: ['already_started', system.whereis(a)] })
})
