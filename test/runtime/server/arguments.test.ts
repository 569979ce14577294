import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type Context,
  call,
  createSystem,
  dynamicSupervisor,
  getState,
  Registry,
  startDynamicSupervisor,
  startSupervisor,
  stopProcess,
  supervisor,
  Task,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

const codeOf = async (attempt: () => unknown): Promise<unknown> => {
  try {
    await attempt()
    return 'nothing'
  } catch (error) {
    return isKeelsonError(error) ? error.code : error
  }
}

/** The code of each attempt of a caller without types. */
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

describe('a wrong argument is refused at the caller', () => {
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

/** Every function with options, called with a misspelt name. */
const misspellings: Record<string, [code: string, (context: Context, wrong: never) => unknown]> = {
  createSystem: ['INVALID_ARGUMENT', (_, wrong) => createSystem(wrong)],
  'system.start': [
    'INVALID_ARGUMENT',
    ({ system }, wrong) => system.start({ init: () => 0 }, undefined, wrong),
  ],
  'context.spawn': ['INVALID_ARGUMENT', (context, wrong) => context.spawn(async () => {}, wrong)],
  call: [
    'INVALID_ARGUMENT',
    ({ system }, wrong) => call(system.to(rooms), 'whichChildren', undefined, wrong),
  ],
  getState: ['INVALID_ARGUMENT', ({ system }, wrong) => getState(system.to(rooms), wrong)],
  stopProcess: [
    'INVALID_ARGUMENT',
    ({ system }, wrong) => stopProcess(system.to(rooms), 'normal', wrong),
  ],
  'context.demonitor': [
    'INVALID_ARGUMENT',
    (context, wrong) => context.demonitor(context.monitor(rooms), wrong),
  ],
  'Task.await': [
    'INVALID_ARGUMENT',
    (context, wrong) => Task.await(Task.completed(context, 1), wrong),
  ],
  'Task.yield': [
    'INVALID_ARGUMENT',
    (context, wrong) => Task.yield(Task.completed(context, 1), wrong),
  ],
  'Task.async': ['INVALID_ARGUMENT', (context, wrong) => Task.async(context, () => 0, wrong)],
  'Task.run': ['INVALID_ARGUMENT', ({ system }, wrong) => Task.run(system, () => 0, wrong)],
  'Task.asyncStream': [
    'INVALID_ARGUMENT',
    (context, wrong) => Task.asyncStream(context, [], () => 0, wrong),
  ],
  'Task.childSpec': ['CONFIG', (_, wrong) => Task.childSpec('job', () => 0, wrong)],
  worker: ['CONFIG', (_, wrong) => worker('it', { init: () => 0 }, undefined, wrong)],
  supervisor: [
    'CONFIG',
    (_, wrong) => supervisor('top', { strategy: 'one_for_one', ...(wrong as object) }, []),
  ],
  dynamicSupervisor: ['CONFIG', (_, wrong) => dynamicSupervisor('top', wrong)],
  'Registry.childSpec': [
    'CONFIG',
    (_, wrong) => Registry.childSpec('rooms', { keys: 'unique', ...(wrong as object) }),
  ],
}

const rooms = Registry.name('rooms')

describe('an unknown option is refused', () => {
  const codeFrom = async (attempt: (context: Context) => unknown): Promise<unknown> => {
    const { system, settle } = testSystem()
    await Registry.start(system, { keys: 'unique', name: rooms })
    const codes: unknown[] = []
    system.spawn(async (context) => {
      codes.push(await codeOf(() => attempt(context)))
    })
    await settle()
    return codes[0]
  }

  test.each(Object.entries(misspellings))('by %s', async (_, [code, attempt]) => {
    const wrong = { timeOutMs: 1 } as never
    expect(await codeFrom((context) => attempt(context, wrong))).toBe(code)
  })

  test.each([{ wholeMs: 1 }, { isOfPeer: true }])(
    'by a call, also the name of what the runtime says of one: %o',
    async (wrong) => {
      const made = { to: 'keys' as never, payload: 0 as never, wrong: wrong as never }
      const codes = [
        codeFrom(({ system }) => call(system.to(rooms), made.to, made.payload, made.wrong)),
        codeFrom((context) =>
          context.call(context.system.to(rooms), made.to, made.payload, made.wrong),
        ),
      ]
      expect(await Promise.all(codes)).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT'])
    },
  )

  test('by a bare process, which has no init that could take long', async () => {
    const limited = { timeoutMs: 1 } as object
    expect(await codeFrom((context) => context.spawn(async () => {}, limited))).toBe(
      'INVALID_ARGUMENT',
    )
  })

  test('and options that are none are refused, too', async () => {
    const codes = [null, 5, 'fast'].map((none) =>
      codeFrom(({ system }) => stopProcess(system.to(rooms), 'normal', none as never)),
    )
    expect(await Promise.all(codes)).toEqual(Array(3).fill('INVALID_ARGUMENT'))
  })
})

test('a stop with an undefined timeout waits without limit, as one without a timeout', async () => {
  const { system, clock } = testSystem()
  const slow = await system.start(
    {
      init: () => 0,
      terminate: () => new Promise<void>((resolve) => void clock.after(60_000, resolve)),
    },
    undefined,
  )
  const stopped = codeOf(() => stopProcess(slow, 'normal', { timeoutMs: undefined }))
  await clock.advance(60_000)
  expect(await stopped).toBe('nothing')
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
