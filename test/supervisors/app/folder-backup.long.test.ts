/** Backups of an instance whose shards several members have: each makes its part, and one asks for all. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import type { App } from '../../../src/supervisors/index.ts'
import type { Shard } from '../../../src/supervisors/tree/shard.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { lacks } from '../../support/lacks.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { restore } from '../../support/worlds/restored.ts'

const shards = 12
let world: FolderMembers
let [a, b, c]: [App, App, App] = [] as never
const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

beforeEach(async () => {
  world = new FolderMembers(['a', 'b', 'c'], { seed: 3, delayMs: 3 })
  const started = await world.start(['a', 'b', 'c'], () => ({ shards }))
  ;[a, b, c] = started as [App, App, App]
})

const indexes = Array.from({ length: shards }, (_, at) => at)

const shardsOf = (app: App): number[] =>
  app.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)

const keyOf = (shard: number): string => {
  for (let at = 0; ; at++) if (shardOf(`k${at}`, shards) === shard) return `k${at}`
}

const errorOf = (work: Promise<unknown>): Promise<KeelsonError | undefined> =>
  during(
    work.then(
      () => undefined,
      (error) => error,
    ),
  )

/** The value of each key in the copy of a backup. */
const restored = async (target: string): Promise<unknown[]> => {
  restore(world.machine, target, `${target}-restored`)
  const system = createSystem({ clock: world.clock, logger: silentLogger })
  const dir = `${target}-restored`
  const app = await world.machine.start({ dir, instance: target.slice(1), app: false, system })
  const values = indexes.map((shard) => app.store.get(keyOf(shard)))
  await during(app.close())
  return values
}

const fill = (value: unknown): Promise<unknown> =>
  during(Promise.all(indexes.map((shard) => a.store.put(keyOf(shard), value))))

/** Whether writes and snapshots go on at every shard. */
const goesOn = async (app: App): Promise<void> => {
  await during(Promise.all(indexes.map((shard) => app.store.put(keyOf(shard), 'after'))))
  const { outcomes } = await during(app.control.snapshotAll())
  expect(outcomes.map(({ ok }) => ok)).toEqual(indexes.map(() => true))
}

describe('a backup of members', () => {
  test('has the shards of all of them, from whichever makes it, and is brought up to date from another', async () => {
    await fill('L'.repeat(300 * 1024))
    const report = await during(b.backup('/one'))
    expect(report.shards.map(({ shard, lsn }) => [shard, lsn > 0])).toEqual(
      indexes.map((shard) => [shard, true]),
    )
    await fill('second')
    const again = await during(c.backup('/one'))

    expect(again.shards.every(({ copiedBytes }) => copiedBytes < 300 * 1024)).toBe(true)
    expect(await restored('/one')).toEqual(indexes.map(() => 'second'))
    await goesOn(a)
  })

  test('has a shard that moves while the backup waits for its turn at another member', async () => {
    await fill('there')
    await world.stop('c')
    const before = shardsOf(b)
    const snapshots = (a.shards[0] as Shard).snapshots.parts
    const leave = await snapshots.turns.take()
    const backup = b.backup('/one')
    await world.start(['c'], () => ({ shards }))
    await world.clock.advance(6_000)
    expect(shardsOf(b).length).toBeLessThan(before.length)
    leave()

    expect((await during(backup)).shards.map(({ shard }) => shard)).toEqual(indexes)
    expect(await restored('/one')).toEqual(indexes.map(() => 'there'))
  })

  test('says of each shard how far it has come', async () => {
    await fill(1)
    const heard = new Set<number>()
    const onProgress = ({ shard }: { shard: number }): void => void heard.add(shard)
    await during(b.backup('/one', { onProgress }))
    expect([...heard].sort((one, other) => one - other)).toEqual(indexes)
  })

  test('consistent: has a write only with all that were answered before it, at any member', async () => {
    await fill(0)
    let isOver = false
    // Each round writes to every shard in turn, and waits for each.
    const write = async (): Promise<void> => {
      for (let round = 1; !isOver; round++)
        for (const shard of indexes) await c.store.put(keyOf(shard), round)
    }
    const writing = write()
    for (const target of ['/one', '/two', '/three']) {
      await world.clock.advance(33)
      await during(a.backup(target, { consistent: true }))
      const values = (await restored(target)) as number[]
      const [first = 0] = values
      expect(values).toEqual([...values].sort((one, other) => other - one))
      expect(first - (values.at(-1) ?? 0)).toBeLessThanOrEqual(1)
    }
    isOver = true
    await during(writing)
    await goesOn(b)
  })

  test('two at one time, from two members, do not wait for each other for ever', async () => {
    await fill(7)
    await during(Promise.all([a.backup('/one'), b.backup('/two'), c.backup('/three')]))
    for (const target of ['/one', '/two', '/three'])
      expect(await restored(target)).toEqual(indexes.map(() => 7))
    expect((await errorOf(Promise.all([a.backup('/one'), b.backup('/one')])))?.code).toBe(
      'LOCKED_DIR',
    )
  })

  test.each([false, true])(
    'fails with the shard and the member that ended, and holds nothing (consistent: %s)',
    async (consistent) => {
      await fill('L'.repeat(100 * 1024))
      const lost = shardsOf(b)
      let isHalf: () => void = () => undefined
      const half = new Promise<void>((resolve) => {
        isHalf = resolve
      })
      // The shards come one after another, so this one is before the last of the lost ones.
      const last = Math.max(...lost)
      const onProgress = ({ shard }: { shard: number }): void => {
        if (shard < last && shard > last - 3) isHalf()
      }
      const making = errorOf(a.backup('/one', { consistent, onProgress }))
      await during(half)
      await world.kill('b')

      const error = await making
      expect(error).toMatchObject({
        code: 'SHARD_DOWN',
        details: { member: 'b', shard: expect.any(Number) },
      })
      expect(lost).toContain(error?.details.shard)
      expect(world.machine.disk.entry('/one/backup.json')).toBeUndefined()
      await world.clock.advance(2_000)
      await goesOn(c)
      await during(c.backup('/one'))
      expect(await restored('/one')).toEqual(indexes.map(() => 'after'))
    },
  )

  test.skipIf(lacks(FolderMembers.noLogs))(
    'lets the writes of all members go on when the one that makes it has ended',
    async () => {
      await fill('L'.repeat(100 * 1024))
      // A write that does not end holds up the pause, while the gates of all are held.
      world.machine.syncMs = 2_000
      const put = c.store.put(keyOf(shardsOf(c)[0] as number), 1)
      await world.clock.advance(1)
      const making = a.backup('/one', { consistent: true })
      making.catch(() => undefined)
      await world.clock.advance(50)
      expect(b.shards[shardsOf(b)[0] as number]?.gate.isHeld).toBe(true)
      world.machine.syncMs = 1
      await world.kill('a')
      await during(put)

      await world.clock.advance(2_500)
      await goesOn(b)
      expect(await errorOf(b.backup('/two'))).toBeUndefined()
    },
  )

  test('names a shard that nobody has', async () => {
    world.links.part('a', 'b')
    await world.clock.advance(10)
    const error = await errorOf(a.backup('/one'))
    expect(error).toMatchObject({ code: 'SHARD_DOWN', details: { state: 'elsewhere' } })
    expect(shardsOf(b)).toContain(error?.details.shard)
    world.links.heal()
    await world.clock.advance(2_000)
    await during(a.backup('/one'))
  })
})
