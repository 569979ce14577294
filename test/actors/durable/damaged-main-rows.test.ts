/**
 * A damaged row of the projection shows no actor anything else than its acknowledged state, and ends
 * none: the rows are built anew from the log, and the actor waits for them.
 */
import { expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  name,
  noReply,
  type Ref,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { add: (by: number) => number; read: () => number; first: () => number }
  casts: { more: () => void }
  alarms: { due: () => void }
}

/** A sum that keeps its parts as rows, looks at them when it wakes, and has an alarm. */
const server: DurableServer<Messages, number, Record<never, never>, string> = {
  init: () => 0,
  wake: (_, context) => void context.rows.range(),
  calls: {
    add: (sum, by, context) => {
      context.rows.put(`part/${sum}`, by)
      context.setAlarm('due', { inMs: 300_000 })
      return reply(sum + by, sum + by)
    },
    read: (sum) => reply(sum, sum),
    first: (sum, _, context) => reply(Number(context.rows.get('part/0')), sum),
  },
  casts: { more: (sum, _, context) => noReply(sum + Number(context.rows.get('part/0'))) },
  alarms: { due: (sum) => noReply(sum + 100) },
}

const lmdb = '/data/shard-0/lmdb'

/** An entity and a worker with the sum 5, all of it in the projection. The entity is at rest. */
const atRest = async (which: 'book/a' | '$worker/till') => {
  const kind = entity('book', server, { idleMs: 30_000 })
  const till = worker('till', server, { durable: true, arg: '' })
  const s = await simulated({ app: supervisor('app', {}, [kind, till]) })
  const ref = (
    which === 'book/a' ? s.app.entity(kind).ref('a') : s.system.to(name<Messages>('till'))
  ) as Ref<Messages>
  for (const by of [2, 3]) await s.during(call(ref, 'add', by, { id: `${by}` }))
  await s.during(s.app.control.flushAll())
  await s.advance(60_000)
  const [shard] = s.app.shards
  const rows = [...(shard?.view().layers.projection.range({ lt: '\x01' }) ?? [])]
  const own = rows.map(([key]) => key).filter((key) => key.includes(which))
  return { s, kind, ref, own, shard }
}

/** What the actor shows, in the order in which it is asked. */
const shown = async ({ s, ref }: Awaited<ReturnType<typeof atRest>>): Promise<unknown[]> => {
  const ask = (...asked: ['read' | 'first'] | ['add', number, { id: string }]) =>
    s.during(
      call(ref, ...(asked as ['read'])).catch((error: { code: string }) => error.code),
      { withinMs: 60_000 },
    )
  const found = [await ask('read'), await ask('first'), await ask('add', 3, { id: '3' })]
  cast(ref, 'more')
  await s.advance(60_000)
  found.push(await ask('read'))
  await s.advance(300_000)
  return [...found, await ask('read'), s.app.health().actors]
}

for (const which of ['book/a', '$worker/till'] as const)
  test(`whichever row of ${which} is damaged, it shows what was acknowledged`, {
    tags: ['slow'],
  }, async () => {
    const sound = await atRest(which)
    const expected = await shown(sound)
    expect(expected.slice(0, -1)).toEqual([5, 2, 5, 7, 107])
    expect(sound.own.length).toBeGreaterThanOrEqual(7)
    for (const row of sound.own) {
      const world = await atRest(which)
      const { s, shard } = world
      const failed: unknown[] = []
      s.system.events.on('process.exited', ({ name, reason }) => {
        if (!orderly.includes(reason)) failed.push(name)
      })
      const appliedLsn = shard?.appliedLsn
      s.projections.damageRow(lmdb, row)
      if (which === '$worker/till') s.system.kill(world.ref)
      await s.settle()
      expect(shard?.appliedLsn, row).toBe(appliedLsn)
      expect(await shown(world), row).toEqual(expected)
      // The shard's own processes end once at most, and no actor does.
      expect(['', 'applier(0)', 'alarms(0),applier(0)'], row).toContain(failed.join())
    }
  })

const orderly: readonly unknown[] = ['normal', 'shutdown', 'killed']

/** The contents of every file, but for the lock of the folder. */
const filesOf = ({ disk }: Simulation, path = '/data'): [string, string][] =>
  disk.list(path).flatMap((name): [string, string][] => {
    const inside = `${path}/${name}`
    if (disk.entry(inside)?.kind === 'folder') return filesOf({ disk } as Simulation, inside)
    return name === 'LOCK' ? [] : [[inside, Buffer.from(disk.contents(inside)).toString('base64')]]
  })

const isLogOf =
  (entity: string) =>
  ([path, contents]: [string, string]): boolean =>
    path.endsWith('.wal') && Buffer.from(contents, 'base64').includes(entity)

test.each([
  ['with its projection', false],
  ['without its projection', true],
])(
  'a changed byte in a frame of an entity refuses the start of a shard %s, and changes nothing',
  async (_, isLost) => {
    const { s, kind } = await atRest('book/a')
    await s.during(s.app.store.put('later', 1))
    await s.kill()
    if (isLost) s.projections.remove(lmdb)
    const [path = '', contents = ''] = filesOf(s).find(isLogOf('book/a')) ?? []
    const file = path.replace('/data/', '')
    const whole = Buffer.from(contents, 'base64')
    const at = whole.indexOf('book/a')
    const before = filesOf(s)

    for (let offset = at - 24; offset < at + 60; offset += 7) {
      s.disk.poke(path, offset, Uint8Array.of((whole[offset] as number) ^ 1))
      const refusal = await s.start().catch((error: unknown) => error)
      expect(refusal, `${offset}`).toMatchObject({
        code: 'CORRUPT',
        details: { file, offset: 4096 },
      })
      s.disk.poke(path, offset, whole.subarray(offset, offset + 1))
      expect(filesOf(s), `${offset}`).toEqual(before)
    }

    await s.start()
    expect(await s.during(call(s.app.entity(kind).ref('a'), 'read'))).toBe(5)
  },
)

test('a message that needs a damaged row after a refused turn is handled again once', async () => {
  const key = '{book/a}:key'
  type Slow = { calls: { fill: () => void; spoil: () => void }; casts: { slow: () => void } }
  const slow: DurableServer<Slow, number> = {
    init: () => 0,
    calls: {
      fill: (sum, _, context) => {
        context.rows.put('part', 1)
        return reply(undefined, sum)
      },
      spoil: (sum, _, context) => {
        context.writes.put(key, 1)
        return reply(undefined, sum + 100)
      },
    },
    casts: {
      slow: async (sum, _, context) => {
        await new Promise<void>((resolve) => context.system.clock.after(30, resolve))
        return noReply(sum + Number(context.rows.get('part')))
      },
    },
  }
  const kind = entity('book', slow)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const ref = s.app.entity(kind).ref('a')
  await s.during(call(ref, 'fill'))
  await s.during(s.app.store.lock([key], { owner: 'other', leaseMs: 60_000 }))
  await s.during(s.app.control.flushAll())
  await s.during(s.app.entity(kind).stop('a'))
  const rows = [...(s.app.shards[0]?.view().layers.projection.range({ lt: '\x01' }) ?? [])]
  const [row] = rows.map(([found]) => found).filter((found) => found.endsWith('part'))

  s.syncMs = 20
  const spoilt = codeOf(call(ref, 'spoil'))
  cast(ref, 'slow')
  s.projections.damageRow(lmdb, row as string)

  expect(await s.during(spoilt)).toBe('LOCKED')
  await s.advance(60_000)
  expect(s.app.entity(kind).state('a')).toBe(1)
})
