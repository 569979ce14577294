/** Where supervisors start, what they are called, and what their children see; a pool forgets whom it has served. */
import { expect, test } from 'vitest'
import {
  call,
  cast,
  dynamicSupervisor,
  name,
  Pool,
  type Ref,
  type System,
  startDynamicChild,
  startDynamicSupervisor,
  startOrGet,
  startSupervisor,
  supervisor,
  worker,
} from '../../../src/runtime/index.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { type Messages, telling } from './telling-children.ts'

test('the children of a dynamic supervisor see the app that its specification names', async () => {
  const { system } = testSystem()
  const app = { store: 'its own' }
  const seen = await Promise.all(
    [dynamicSupervisor('own', { app } as never), dynamicSupervisor('none')].map(async (spec) => {
      const root = supervisor(`r-${spec.id}`, { strategy: 'one_for_one' }, [spec])
      await startSupervisor(system, root)
      const found = system.processes().find(({ label }) => label === spec.id)
      const started = await startDynamicChild(found?.ref as never, worker('a', telling([]), 'a'))
      if (!started.ok || !('ref' in started)) throw new Error('not started')
      return call(started.ref as Ref<Messages>, 'app')
    }),
  )
  expect(seen).toEqual([app, undefined])
})

test('a dynamic supervisor is called by its name, or by its id', async () => {
  const { system } = testSystem()
  const specs = [dynamicSupervisor('first'), dynamicSupervisor('second', { name: name('named') })]
  await startSupervisor(system, supervisor('r', { strategy: 'one_for_one' }, specs))
  const labels = system
    .processes()
    .flatMap(({ kind, label }) => (kind === 'dynamic_supervisor' ? [label] : []))
  expect(labels).toEqual(['first', 'named'])
})

test('a dynamic supervisor that is started by itself is called by its name, or by its kind', async () => {
  const { system } = testSystem()
  const refs = [
    await startDynamicSupervisor(system),
    await startDynamicSupervisor(system, { name: name('named') }),
  ]
  expect(refs.map((ref) => system.info(ref)?.label)).toEqual(['dynamic_supervisor', 'named'])
})

test('startOrGet gives the process that has the name, and without a name starts one each time', async () => {
  const { system } = testSystem()
  const crew = await startDynamicSupervisor(system)
  const named = name<Messages>('a')
  const child = worker('a', telling([]), 'a', { name: named })
  const one = await startOrGet(crew, child, named)
  expect((await startOrGet(crew, child, named)).pid).toBe(one.pid)
  const free = worker('b', telling([]), 'b')
  const pids = [one.pid]
  for (let start = 0; start < 2; start++) pids.push((await startOrGet(crew, free, undefined)).pid)
  expect(new Set(pids).size).toBe(3)
})

test('startOrGet gives the process that has the name also where no more may start', async () => {
  const { system } = testSystem()
  const crew = await startDynamicSupervisor(system, { maxChildren: 1 })
  const named = name<Messages>('a')
  const child = worker('a', telling([]), 'a', { name: named })
  const one = await startOrGet(crew, child, named)

  expect((await startOrGet(crew, child, named)).pid).toBe(one.pid)
  await expect(startOrGet(crew, child, undefined)).rejects.toMatchObject({
    code: 'EXITED',
    details: { reason: 'max_children' },
  })
})

test('a process that startOrGet finds or starts through a bound ref has the same sender', async () => {
  const { system } = testSystem()
  const crew = await startDynamicSupervisor(system)
  const named = name<Messages>('a')
  const child = worker('a', telling([]), 'a', { name: named })
  const seen: unknown[] = []
  const client = system.spawn(async (context) => {
    for (const _ of ['starts', 'finds'])
      seen.push(addressOf(await startOrGet(context.to(crew), child, named)).sender)
    seen.push(addressOf(await startOrGet(crew, child, named)).sender)
  })
  await new Promise((resolve) => system.monitor(client, resolve))
  const { process } = addressOf(client)
  expect(seen).toEqual([process, process, undefined])
})

test.each<[string, (system: System) => Promise<Ref<never>>]>([
  [
    'a supervisor',
    (system) => startSupervisor(system, supervisor('r', { strategy: 'one_for_one' }, [])) as never,
  ],
  ['a dynamic supervisor', (system) => startDynamicSupervisor(system) as never],
])('%s does not start again what is no child of it', async (_, start) => {
  const { system, clock } = testSystem()
  const ref = (await start(system)) as Ref<unknown>
  for (const child of ['none', { isRestarting: true }]) {
    cast(ref as Ref<{ casts: { tryAgain: (child: unknown) => void } }>, 'tryAgain', child)
    await clock.settle()
  }
  expect(system.info(ref as Ref)?.handled).toBeGreaterThan(1)
  expect(system.processes()).toHaveLength(1)
})

test('a supervisor in an instance without a name for it is refused', () => {
  const make = () => supervisor('r', { strategy: 'one_for_one', instance: 7 as never }, [])
  expect(make).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      details: expect.objectContaining({ path: 'r.instance' }),
    }),
  )
})

test('a supervisor starts in a System or a context, and nowhere else', async () => {
  const root = supervisor('r', { strategy: 'one_for_one' }, [])
  for (const where of [undefined, null, 7, 'system', {}])
    await expect(async () => startSupervisor(where as never, root)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
})

test('a pool monitors its clients while they have a worker', async () => {
  const { system, clock } = testSystem()
  const pool = await Pool.start(system, { server: telling([]), arg: 'w', size: 1 } as never)
  const monitored = () => system.info(pool as Ref)?.monitors.length ?? 0
  const before = monitored()
  const counts: number[] = []
  for (let round = 0; round < 3; round++) {
    const client = system.spawn(async (context) => {
      const own = context.to(pool as never) as never
      const ref = await Pool.checkout(own)
      counts.push(monitored() - before)
      Pool.checkin(own, ref)
      await context.receive()
    })
    await clock.settle()
    counts.push(monitored() - before)
    expect(system.info(client)).toBeDefined()
  }
  expect(counts).toEqual([1, 0, 1, 0, 1, 0])
})
