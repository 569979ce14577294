/** Children that a function of the user's starts, and how the supervisor reports each end that it asks for. */
import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  call,
  type GenServer,
  noReply,
  type Ref,
  Registry,
  reply,
  type SupervisorReport,
  startChild,
  startSupervisor,
  stopProcess,
  supervisor,
  terminateChild,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const stage = () => {
  const { system, settle, advance, log } = testSystem()
  const reports: SupervisorReport[] = []
  system.events.on('supervisor.report', (report) => reports.push(report))
  const told = () =>
    reports.map(({ errorContext, reason, child }) => [errorContext, child.id, reason])
  const tree = (...children: ChildSpec[]) =>
    startSupervisor(system, supervisor('top', { strategy: 'one_for_all' }, children))
  return { system, settle, advance, log, told, tree }
}

const given = (id: string, ref: Ref, restart: 'permanent' | 'temporary' = 'temporary') =>
  ({ id, restart, start: async () => ({ ok: true, ref }) }) as ChildSpec

describe('a process that a start function has not started linked', () => {
  test('is a child: its end is noticed, and it ends with its supervisor', async () => {
    const { system, settle, told, tree } = stage()
    const [one, other] = [
      await system.start(Runner.server, false),
      await system.start(Runner.server, false),
    ]
    const top = await tree(given('one', one), given('other', other))
    system.kill(one)
    await settle()
    expect(told()).toEqual([['child_terminated', 'one', 'killed']])
    expect((await whichChildren(top)).map(({ id }) => id)).toEqual(['other'])
    await stopProcess(top)
    expect(system.info(other)).toBeUndefined()
  })

  test('and has ended by then, ends as a child that nobody knows', async () => {
    const { system, settle, told, tree } = stage()
    const gone = await system.start(Runner.server, false)
    system.kill(gone)
    const top = await tree(given('gone', gone))
    await settle()
    expect(told()).toEqual([['child_terminated', 'gone', 'noproc']])
    expect(await whichChildren(top)).toEqual([])
  })

  test('and has linked itself and ended by then, ends once, with its reason', async () => {
    const { system, settle, told, tree } = stage()
    const top = await tree()
    const start = async () => {
      const ref = await system.start(Runner.server, false)
      await Runner.run(ref, (context) => context.link(top))
      system.exit(ref, 'why')
      return { ok: true, ref } as never
    }
    await startChild(top, { id: 'a', restart: 'temporary', start })
    await settle()
    expect(told()).toEqual([['child_terminated', 'a', 'why']])
    expect(await whichChildren(top)).toEqual([])
  })

  test.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a text', () => 'ok'],
    ['no ref', () => ({ ok: true })],
    ['a ref that is none', () => ({ ok: true, ref: 7 })],
    ['null', () => null],
  ])('must be a result of a start: %s is a failed one', async (_, start) => {
    const { tree } = stage()
    await expect(tree({ id: 'odd', start } as ChildSpec)).rejects.toMatchObject({
      details: { reason: expect.anything() },
    })
  })
})

type Ending = { calls: { trap: () => void } }
/** Ends as it is told to: when it is asked to, with this reason. */
const ending = (reason: unknown): GenServer<Ending, null> => ({
  init: (_, context) => {
    context.trapExit(true)
    return null
  },
  calls: { trap: (state) => reply(undefined, state) },
  terminate: () => {
    if (reason !== 'shutdown') throw reason
  },
  exit: (state) => noReply(state),
})

describe('an end that the supervisor asks for', () => {
  test.each<[string, unknown, number | 'brutal_kill', unknown[]]>([
    ['as it was asked', 'shutdown', 50, []],
    ['with more to say', ['shutdown', 'why'], 50, []],
    ['by a kill that was asked', 'shutdown', 'brutal_kill', []],
    ['with another reason', 'why', 50, [['shutdown_error', 'a', ['nocatch', 'why']]]],
  ])('%s is reported unless it was expected', async (_, reason, shutdownMs, expected) => {
    const { told, tree } = stage()
    const how = shutdownMs === 'brutal_kill' ? { shutdown: shutdownMs } : { shutdownMs }
    const top = await tree(worker('a', ending(reason), undefined, how as object))
    await terminateChild(top, 'a')
    if (expected.length === 0 && reason !== 'shutdown') expect(told().length).toBeLessThan(2)
    else expect(told()).toEqual(expected)
  })

  test('is reported as killed if the child takes too long', async () => {
    const { told, tree, advance, log } = stage()
    const stuck: GenServer<Ending, null> = {
      ...ending('shutdown'),
      terminate: () => new Promise(() => {}),
    }
    const top = await tree(worker('a', stuck, undefined, { shutdownMs: 50 }))
    const ended = terminateChild(top, 'a')
    await advance(50)
    await ended
    expect(told()).toEqual([['shutdown_error', 'a', 'killed']])
    expect(log.lines.map(({ message }) => message)).toEqual([
      expect.stringMatching(/was ended: killed$/),
    ])
  })
})

describe('the table of a registry', () => {
  test.each([
    [{ keys: 'unique', name: 'rooms' }, 'table(rooms)'],
    [{ keys: 'unique' }, 'table(places)'],
  ] as const)('of %j is called %s', async (options, label) => {
    const { system, tree } = stage()
    await tree(Registry.childSpec('places', options as never))
    expect(system.processes().map((each) => each.label)).toContain(label)
  })
})

test('of children that end together those stay that are not temporary, with their new processes', async () => {
  const { system, settle, tree } = stage()
  const child = (id: string, restart: 'permanent' | 'temporary') =>
    worker(id, Runner.server, false, { restart, name: id as never })
  const top = await tree(child('a', 'permanent'), child('b', 'temporary'), child('c', 'permanent'))
  system.kill(system.to('a' as never))
  await settle()
  expect((await whichChildren(top)).map(({ id }) => id)).toEqual(['c', 'a'])
  system.kill(system.to('c' as never))
  await settle()
  const children = await whichChildren(top)
  expect(children.map(({ id, ref }) => [id, ref !== undefined])).toEqual([
    ['c', true],
    ['a', true],
  ])
  expect(await call(system.to<Runner.Messages>('a' as never), 'run', () => 7)).toBe(7)
})
