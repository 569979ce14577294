/** A supervisor reports what happens to its children, in SASL's words. */
import { expect, test } from 'vitest'
import {
  type ChildSpec,
  cast,
  exit,
  type SupervisorReport,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stopProcess,
  supervisor,
  suspend,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { telling } from './telling-children.ts'

const stage = () => {
  const { system, settle } = testSystem()
  const reports: SupervisorReport[] = []
  system.events.on('supervisor.report', (report) => reports.push(report))
  const tree = (...children: ChildSpec[]) =>
    startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, children))
  const named = (options: object): ChildSpec =>
    worker('a', telling([]), 'a', { name: 'a' as never, ...options })
  return { system, settle, reports, tree, named, a: system.to<never>('a' as never) }
}

const boom = new Error('boom')

test('a child that ends by itself is reported with its pid and its specification', async () => {
  const { system, settle, reports, tree, named, a } = stage()
  await tree(named({ shutdownMs: 70 }))
  const pid = system.info(a)?.pid
  cast(a as never, 'crash' as never)
  await settle()
  expect(reports).toMatchObject([
    {
      label: 'top',
      errorContext: 'child_terminated',
      reason: boom,
      child: { id: 'a', pid, restart: 'permanent', shutdown: 70, kind: 'worker' },
    },
  ])
})

test.each([
  ['permanent', 1],
  ['transient', 0],
  ['temporary', 0],
] as const)('an orderly end of a %s child makes %i reports, as in OTP', async (restart, count) => {
  const { settle, reports, tree, named, a } = stage()
  await tree(named({ restart }))
  await stopProcess(a)
  await settle()
  expect(reports).toHaveLength(count)
})

test('a child that cannot be started is reported, at the first start and later', async () => {
  const { system, settle, reports, tree } = stage()
  const failing = worker('b', { init: () => Promise.reject(boom) }, undefined)
  await tree(failing).catch(() => undefined)
  const expected = { errorContext: 'start_error', reason: boom, child: { id: 'b', pid: undefined } }
  expect(reports).toMatchObject([expected])

  reports.length = 0
  let starts = 0
  const once = worker('b', { init: () => (starts++ > 0 ? Promise.reject(boom) : null) }, undefined)
  await tree(once)
  system.kill(system.processes()[1]?.ref as never)
  await settle()
  expect(reports.map(({ errorContext }) => errorContext)).toEqual([
    'child_terminated',
    ...['start_error', 'start_error', 'start_error'],
  ])
})

test.each([
  ['in order, makes no report', 'stop', []],
  [
    'with an error, is reported with it',
    'crash',
    [{ errorContext: 'shutdown_error', reason: boom }],
  ],
])(
  'a child that ended while its supervisor was suspended until its own end: %s',
  async (_, how, expected) => {
    const { settle, reports, tree, named, a } = stage()
    const top = await tree(named({ restart: 'transient' }))
    await suspend(top)
    if (how === 'stop') await stopProcess(a)
    else cast(a as never, 'crash' as never)
    await settle()

    await stopProcess(top)

    expect(reports).toMatchObject(expected)
    expect(reports).toHaveLength(expected.length)
  },
)

test('a child that does not end as it is asked is reported', async () => {
  const { system, reports, tree } = stage()
  const angry = {
    init: (_: unknown, context: { trapExit(on: boolean): void }) => context.trapExit(true),
    terminate: () => Promise.reject(boom),
  }
  await tree(worker('b', angry as never, undefined as never))
  await system.stop()
  expect(reports).toMatchObject([
    { errorContext: 'shutdown_error', reason: boom, child: { id: 'b' } },
  ])
})

const revoked = Proxy.revocable([], {})
revoked.revoke()

test.each([
  ['cannot be inspected', revoked.proxy],
  ['is a promise that never settles', new Promise(() => undefined)],
])('a child whose reason %s is reported, and its siblings are ended', async (_, odd) => {
  const { system, settle, reports, tree } = stage()
  const log: string[] = []
  const ending = (id: string, end: () => void) => {
    const init = (_: unknown, context: { trapExit(on: boolean): void }) => context.trapExit(true)
    const terminate = () => {
      log.push(id)
      end()
    }
    return worker(id, { init, terminate } as never, undefined as never)
  }
  const top = await tree(
    ending('first', () => undefined),
    ending('odd', () => exit(odd)),
  )
  const ends: unknown[] = []
  system.monitor(top, (reason) => ends.push(reason))

  void system.stop()
  await settle()

  expect([log, ends]).toEqual([['odd', 'first'], ['shutdown']])
  expect(reports.map(({ errorContext, child }) => [errorContext, child.id])).toEqual([
    ['shutdown_error', 'odd'],
  ])
})

test('a dynamic supervisor reports its children too', async () => {
  const { system, settle, reports, named, a } = stage()
  const root = await startDynamicSupervisor(system)
  await startDynamicChild(root, named({ restart: 'temporary' }))
  system.kill(a)
  await settle()
  expect(reports).toMatchObject([
    { kind: 'dynamic_supervisor', errorContext: 'child_terminated', reason: 'killed' },
  ])
})
