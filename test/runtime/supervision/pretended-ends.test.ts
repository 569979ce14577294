/** An exit signal that a child sends by hand looks like its end. Its supervisor ends it all the same. */
import { expect, test } from 'vitest'
import {
  type ChildSpec,
  cast,
  type GenServer,
  name,
  noReply,
  type Ref,
  type SupervisorReport,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stopProcess,
  supervisor,
  terminateChild,
  terminateDynamicChild,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Messages = { casts: { pretend: (to: Ref) => void } }

const pretender: GenServer<Messages, null> = {
  init: () => null,
  casts: {
    pretend: (state, to, context) => {
      context.exit(to, 'pretended')
      return noReply(state)
    },
  },
}

const child = (id: string) => worker(id, pretender, undefined, { name: name<Messages>(id) })

const stage = () => {
  const { system, settle } = testSystem()
  const reports: unknown[] = []
  system.events.on(
    'supervisor.report',
    ({ errorContext, reason, child: { id } }: SupervisorReport) =>
      reports.push([errorContext, id, reason]),
  )
  /** `root` is to end. Behind that wait two exit messages: `a` pretends its end, `b` has ended. */
  const atOnce = async (root: Ref, start: (spec: ChildSpec) => Promise<unknown>) => {
    let go = (): void => undefined
    const held = new Promise<never>((resolve) => {
      go = () => resolve({ ok: false, reason: 'held' } as never)
    })
    void start({ id: 'held', start: () => held })
    await settle()
    const stopped = stopProcess(root)
    cast(system.to(name<Messages>('a')), 'pretend', root)
    await settle()
    system.kill(name('b'))
    go()
    await stopped
  }
  return { system, settle, reports, atOnce }
}

test('with its supervisor, whose exit messages are taken of those only that have ended', async () => {
  const { system, reports, atOnce } = stage()
  const root = await startSupervisor(
    system,
    supervisor('root', { strategy: 'one_for_one' }, [child('a'), child('b')]),
  )
  await atOnce(root, (spec) => startChild(root, spec))
  expect(system.processes()).toEqual([])
  expect(reports).toEqual([
    ['shutdown_error', 'b', 'killed'],
    ['shutdown_error', 'a', 'pretended'],
  ])
})

test('with a dynamic supervisor too', async () => {
  const { system, reports, atOnce } = stage()
  const root = await startDynamicSupervisor(system)
  for (const id of ['a', 'b']) await startDynamicChild(root, child(id))
  await atOnce(root, (spec) => startDynamicChild(root, spec))
  expect(system.processes()).toEqual([])
  expect(reports.sort()).toEqual([
    ['shutdown_error', 'a', 'pretended'],
    ['shutdown_error', 'b', 'killed'],
  ])
})

test('by hand leaves none of its exit messages behind', async () => {
  const { system, settle, reports } = stage()
  const root = await startSupervisor(
    system,
    supervisor('root', { strategy: 'one_for_one' }, [child('a')]),
  )
  await terminateChild(root, 'a')
  const crew = await startDynamicSupervisor(system)
  const started = await startDynamicChild(crew, child('b'))
  await terminateDynamicChild(crew, started.ref as Ref)
  await settle()
  expect([reports, system.info(root)?.mailbox, system.info(crew)?.mailbox]).toEqual([[], 0, 0])
})
