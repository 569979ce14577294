/** Options that are a list, or that throw when they are read, are refused with a code. */
import { describe, expect, test } from 'vitest'
import {
  call,
  createSystem,
  dynamicSupervisor,
  Registry,
  startTaskSupervisor,
  supervisor,
  Task,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const unreadable = (): never => {
  throw new Error('not to be read')
}

/** Options objects that are none; the key is one that is known. */
const odd: [string, (key: string) => object][] = [
  ['a list', () => []],
  [
    'a getter that throws',
    (key) => Object.defineProperty({}, key, { get: unreadable, enumerable: true }),
  ],
  ['a proxy that refuses its keys', () => new Proxy({}, { ownKeys: unreadable })],
  ['a proxy that refuses its values', () => new Proxy({}, { has: unreadable, get: unreadable })],
  [
    'a revoked proxy',
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    },
  ],
]

describe.each(odd)('options that are %s', (_, make) => {
  const given = (key: string) => make(key) as never

  test('are refused by a System and its starts, its calls and its tasks', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const within = (work: Parameters<typeof Runner.run>[1]) =>
      Runner.run(runner, async (context) => {
        try {
          return await work(context)
        } catch (error) {
          return error
        }
      })
    const asked: [string, () => unknown][] = [
      ['a System', () => createSystem(given('seed'))],
      ['a start', () => system.start(Runner.server, false, given('label'))],
      ['a spawn', () => system.spawn(() => {}, given('label'))],
      ['a call', () => call(runner, 'run', () => 1, given('timeoutMs'))],
      ['Task.run', () => Task.run(system, () => 1, given('label'))],
      ['Task.async', () => within((context) => void Task.async(context, () => 1, given('label')))],
      [
        'a stream',
        () => within((context) => void Task.asyncStream(context, [], () => 1, given('link'))),
      ],
      [
        'Task.await',
        () => within((context) => Task.await(Task.completed(context, 1), given('timeoutMs'))),
      ],
      [
        'demonitor',
        () => within((context) => context.demonitor(context.monitor(runner), given('flush'))),
      ],
    ]
    for (const [what, ask] of asked) {
      const answer = await Promise.resolve()
        .then(ask)
        .catch((error) => error)
      expect([what, answer]).toMatchObject([what, { code: 'INVALID_ARGUMENT' }])
    }
  })

  test('are refused where a specification is written', async () => {
    const { system } = testSystem()
    const written: [string, () => unknown][] = [
      ['a worker', () => worker('child', Runner.server, false, given('label'))],
      ['a supervisor', () => supervisor('child', given('strategy'), [])],
      ['a dynamic supervisor', () => dynamicSupervisor('child', given('intensity'))],
      ['a registry', () => Registry.childSpec('child', given('keys'))],
      ['a task', () => Task.childSpec('child', () => {}, given('label'))],
      ['a task supervisor', () => startTaskSupervisor(system, given('intensity'))],
      ['a registry at once', () => Registry.start(system, given('keys'))],
    ]
    for (const [what, write] of written) {
      const answer = await Promise.resolve()
        .then(write)
        .catch((error) => error)
      expect([what, answer]).toMatchObject([what, { code: 'CONFIG' }])
    }
    expect(system.processes()).toEqual([])
  })
})
