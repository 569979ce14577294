import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../src/errors.ts'
import {
  type Context,
  createSystem,
  dynamicSupervisor,
  Registry,
  startDynamicSupervisor,
  startSupervisor,
  supervisor,
  Task,
} from '../../src/runtime/index.ts'
import { testSystem } from '../../src/testing/index.ts'

const codeOf = async (attempt: () => unknown): Promise<unknown> => {
  try {
    await attempt()
    return 'nothing'
  } catch (error) {
    return isKeelsonError(error) ? error.code : error
  }
}

/** What the code of each attempt is, in the hands of somebody whom no compiler checks. */
const refusals: Record<string, (context: Context, nothing: never) => unknown> = {
  'createSystem(…)': (_, nothing) => createSystem(nothing),
  'system.start(server, arg, …)': ({ system }, nothing) =>
    system.start({ init: () => 0 }, 0, nothing),
  'startSupervisor(…, tree)': (_, nothing) =>
    startSupervisor(nothing, supervisor('top', { strategy: 'one_for_one' }, [])),
  'startDynamicSupervisor(…)': (_, nothing) => startDynamicSupervisor(nothing),
  'context.demonitor(…)': (context, nothing) => context.demonitor(nothing),
  'Registry.register(…)': ({ system }, nothing) =>
    Registry.register(nothing, system.to(nothing), 'key', 'value'),
  'Task.async(…)': (_, nothing) => Task.async(nothing, () => 0),
}

describe('what is no such thing is refused where it is handed in', () => {
  test.each(
    Object.entries(refusals).flatMap(([what, attempt]) =>
      [null, 5].map((nothing) => ({ what, nothing, attempt })),
    ),
  )('$what with $nothing', async ({ attempt, nothing }) => {
    const { system, settle } = testSystem()
    const codes: unknown[] = []
    system.spawn(async (context) => {
      codes.push(await codeOf(() => attempt(context, nothing as never)))
    })
    await settle()
    expect(codes).toEqual(['INVALID_ARGUMENT'])
  })

  test('startSupervisor(system, …)', async () => {
    const { system } = testSystem()
    expect(await codeOf(() => startSupervisor(system, null as never))).toBe('CONFIG')
  })
})

describe('an option that nobody knows is refused', () => {
  const misspelt = { maxMailbox: 1 } as object
  test('at a start', async () => {
    const { system } = testSystem()
    expect(await codeOf(() => system.start({ init: () => 0 }, undefined, misspelt))).toBe(
      'INVALID_ARGUMENT',
    )
  })

  test('of supervisors', async () => {
    const strategy = 'one_for_one' as const
    expect(await codeOf(() => supervisor('top', { strategy, ...misspelt }, []))).toBe('CONFIG')
    expect(await codeOf(() => dynamicSupervisor('top', misspelt))).toBe('CONFIG')
  })

  test('of a stream of tasks', async () => {
    const { system, settle } = testSystem()
    const codes: unknown[] = []
    system.spawn(async (context) => {
      codes.push(await codeOf(() => Task.asyncStream(context, [], () => 0, misspelt)))
    })
    await settle()
    expect(codes).toEqual(['INVALID_ARGUMENT'])
  })
})

test('a task and a timer show themselves in a line, and not the world behind them', async () => {
  const { system, settle } = testSystem()
  const shown: string[] = []
  system.spawn((context) => {
    shown.push(inspect(Task.completed(context, 1)), inspect(context.sendAfter(5, 'tick' as never)))
    const task = Task.async(context, () => 0)
    shown.push(inspect(task), JSON.stringify({ task }))
  })
  await settle()
  expect(shown).toEqual([
    'completed task',
    'timer tick',
    expect.stringMatching(/^task \S+$/),
    expect.stringContaining('task '),
  ])
  for (const each of shown) expect(each.length).toBeLessThan(60)
})
