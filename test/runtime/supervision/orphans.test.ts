/** A name that a process still holds whose supervisor was killed: starts wait until it is free. */
import { expect, test } from 'vitest'
import {
  type GenServer,
  type Messages,
  name,
  type SupervisorMessages,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stopProcess,
  supervisor,
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
