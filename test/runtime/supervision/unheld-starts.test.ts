/** Starts that nobody awaits: one of a process ends nothing, one of other code is a rejection like any other. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type AnyContext,
  type ChildSpec,
  type GenServer,
  Pool,
  Registry,
  type System,
  startDynamicSupervisor,
  startSupervisor,
  supervisor,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

const failing: GenServer<Record<never, never>, null> = {
  init: () => Promise.reject(new Error('no')),
}
const tree = supervisor('top', { strategy: 'one_for_one' }, [worker('a', failing, undefined)])

type Start = (where: System | AnyContext) => Promise<unknown>
const starts: [string, Start][] = [
  ['a supervisor', (where) => startSupervisor(where, tree)],
  ['a dynamic supervisor', (where) => startDynamicSupervisor(where, { intensity: -1 })],
  ['a registry', (where) => Registry.start(where, { keys: 'none' as never })],
  ['a pool', (where) => Pool.start(where, { server: failing, size: 1 })],
]

describe('a start that fails and that nobody awaits', () => {
  const unhandled: unknown[] = []
  const listen = (error: unknown): void => void unhandled.push(error)
  let others: NodeJS.UnhandledRejectionListener[] = []
  beforeEach(() => {
    unhandled.length = 0
    others = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', listen)
  })
  afterEach(() => {
    process.off('unhandledRejection', listen)
    for (const other of others) process.on('unhandledRejection', other)
  })
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  test.each(starts)('of a process is no unhandled rejection: %s', async (_, start) => {
    const { system, settle } = testSystem()
    system.spawn((context) => {
      context.trapExit(true)
      void start(context)
      return context.receive()
    })
    await settle()
    await turn()
    expect(unhandled).toEqual([])
  })

  test.each(starts)('of other code is one: %s', async (_, start) => {
    const { system, settle } = testSystem()
    void start(system)
    await settle()
    await turn()
    expect(unhandled).toHaveLength(1)
  })
})

test('a start function outside of a tree starts its process alone, with the System and no app', async () => {
  const { system } = testSystem()
  const seen: unknown[] = []
  const spec: ChildSpec = {
    id: 'a',
    start: (context) => {
      seen.push(context.system === system, context.app)
      return { ok: true, ref: context.spawnLink((own) => own.receive()) }
    },
  }
  const ref = await startSupervisor(system, spec)
  expect(seen).toEqual([true, undefined])
  expect(system.info(ref)).toMatchObject({ parent: undefined, links: [] })
})
