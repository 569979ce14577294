/**
 * The thread of a log dies with groups on their way. The log is opened again, and its frames tell
 * what became of each write.
 */
import { describe, expect, test } from 'vitest'
import { Applier, WalWriter } from '../../../src/actors/index.ts'
import { framesOf } from '../../../src/actors/log/log-successor.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { encodeFrame, type FrameUnits, type LogHost } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import type { ThreadRole } from '../../../src/testing/simulated/simulated-thread.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

const noSpace = new KeelsonError('NO_SPACE', 'the disk is full')

/** An instance, and the death of its log's thread. */
const world = async () => {
  const hosts: LogHost[] = []
  const aroundLog = (host: LogHost): LogHost => {
    hosts.push(host)
    return host
  }
  const { clock, disk, during, app } = await started(
    { wal: { maxFileSize: 1024 * 1024, idleMarkerMs: 0 } },
    { syncMs: 5, aroundLog },
  )
  await during(app.store.put('k', ''))
  const append = (suffix: string) => app.store.append('k', suffix).then(({ length }) => length)
  return { app, clock, disk, during, append, dieNow: () => void hosts.at(-1)?.end() }
}

describe('when the thread of a log dies', () => {
  test('a write whose frame is in the log is answered as applied, with its true answer', async () => {
    const { app, clock, during, append, dieNow } = await world()
    const answers = Promise.all(['a', 'b', 'c'].map(append))
    await clock.settle()
    // The group is written and synced, and the answer is on its way.
    dieNow()
    expect(await during(answers)).toEqual([1, 2, 3])
    expect(app.store.get('k')).toBe('abc')
  })

  test('a group that was not written is NOT_SUBMITTED, and what waited follows', async () => {
    const { app, clock, during, append, dieNow } = await world()
    const first = Array.from({ length: 3 }, () => append('1'))
    await clock.settle()
    const second = Array.from({ length: 600 }, () => codeOf(append('2')))
    await clock.settle()
    const third = append('3')
    dieNow()
    expect(await during(Promise.all(first))).toEqual([1, 2, 3])
    expect(new Set(await during(Promise.all(second)))).toEqual(new Set(['NOT_SUBMITTED']))
    expect(await during(third)).toBe(4)
    expect(app.store.get('k')).toBe('1113')
  })

  test.each([
    ['the writer', [WalWriter.name(0)]],
    ['the applier', [Applier.name(0)]],
    ['the writer twice', [WalWriter.name(0), WalWriter.name(0)]],
  ])('and %s is killed besides, each answer is the true one', async (_, victims) => {
    const { app, clock, during, append, dieNow } = await world()
    const answers = Promise.all(['a', 'b', 'c'].map(append))
    await clock.settle()
    dieNow()
    for (const victim of victims) {
      app.system.kill(victim as never)
      await clock.advance(1)
    }
    expect(await during(answers)).toEqual([1, 2, 3])
    expect(app.store.get('k')).toBe('abc')
  })

  test('and the log cannot be opened again, only what was handed to it waits for reopen', async () => {
    const { app, clock, disk, during, append, dieNow } = await world()
    const handed = append('handed')
    await clock.settle()
    const waiting = codeOf(append('waits'))
    const fault = { kind: 'error', code: 'EIO' } as const
    disk.inject({ at: 1, operation: 'create', path: '/data/shard-0/wal/', fault })
    dieNow()
    expect(await during(waiting)).toBe('SHARD_DOWN')
    expect(app.shards[0]?.phase.kind).toBe('down')
    await clock.advance(1_000)
    await during(app.control.reopen(0))
    expect(await during(handed)).toBe(6)
    expect(app.store.get('k')).toBe('handed')
  })
})

describe('one death of a thread', () => {
  /** An instance, the processes that failed in it, and the thread of its log. */
  const mortal = async (dyingAt?: MachineOptions['dyingAt']) => {
    const lives = await started(
      { wal: { idleMarkerMs: 0 }, blobs: { threshold: 1_000 } },
      { ...(dyingAt && { dyingAt }) },
    )
    const crashed: unknown[] = []
    lives.app.system.events.on('process.crashed', ({ label }) => crashed.push(label))
    const die = (role: ThreadRole): void => {
      for (const thread of lives.threads(role)) thread.die()
    }
    return { ...lives, crashed, die }
  }

  test.each([
    ['the applier is restarted', ({ system }: App) => system.kill(Applier.name(0))],
    ['the projection is discarded', ({ control }: App) => void control.discardAll()],
    ['a snapshot is asked for', ({ control }: App) => void codeOf(control.snapshotAll())],
    ['a sweep is asked for', ({ control }: App) => void codeOf(control.sweepAll())],
    ['a watch reads the log', ({ store }: App) => void store.watch({ from: 'oldest' }).next()],
    ['the journal is read', ({ journal }: App) => void journal.entries({ from: 'oldest' }).next()],
    [
      'the journal is subscribed to',
      ({ journal }: App) => void journal.subscribe({ name: 's', handler: () => undefined }),
    ],
    ['nobody asks', () => undefined],
  ])('of the log, after which %s, restarts its writer once', async (_, act) => {
    const { app, clock, during, crashed, die } = await mortal()
    await during(app.store.put('k', 1))
    die('log')
    act(app)
    await clock.advance(100)
    expect(app.shards[0]?.phase.kind).toBe('open')
    expect(crashed.filter((label) => label !== 'applier(0)')).toEqual(['wal_writer(0)'])
    expect(await codeOf(during(app.store.put('k', 2)))).toBe('ok')
  })

  test('of the blobs while they are idle costs no put', async () => {
    const { app, during, crashed, die } = await mortal()
    await during(app.store.put('k', 'x'.repeat(2_000)))
    die('blobs')
    expect(await codeOf(during(app.store.put('l', 'y'.repeat(2_000))))).toBe('ok')
    expect(crashed).toEqual([])
  })

  test.each<ThreadRole>(['log', 'snapshots'])(
    'of the %s in a start costs no start',
    async (role) => {
      let call: number | undefined
      const dyingAt = (dying: ThreadRole): number | undefined => {
        if (dying !== role) return undefined
        const at = call
        call = undefined
        return at
      }
      const { app, world, during, projections } = await mortal(dyingAt)
      await during(app.store.put('k', 1))
      await during(app.control.snapshotAll())
      await during(app.close())
      for (const at of [1, 2, 5, 9, 15, 25, 40]) {
        projections.remove('/data/shard-0/lmdb')
        call = at
        const next = await world.start({ wal: { idleMarkerMs: 0 } })
        expect(next.store.get('k')).toBe(1)
        await during(next.close())
      }
    },
  )
})

test.each([
  ['refused as a whole', () => Promise.reject(noSpace)],
  [
    'refused at its end',
    () => Promise.resolve({ lsns: [], time: 0, durableLsn: 0, refused: noSpace }),
  ],
])(
  'a full disk is noted although nobody lives to hear of the group that was %s',
  async (_, answer) => {
    let isFull = true
    const hosts: LogHost[] = []
    const { clock, during, app } = await started(
      { wal: { idleMarkerMs: 0 } },
      {
        aroundLog: (host) => {
          hosts.push(host)
          const run = (kind: never, request: never) => {
            if (kind !== 'commit' || !isFull) return host.run(kind, request)
            return new Promise((resolve) => clock.after(5, () => resolve(answer())))
          }
          return { run, end: () => host.end() } as LogHost
        },
      },
    )
    const refused = codeOf(app.store.put('k', 1))
    await clock.settle()
    app.system.kill(WalWriter.name(0))
    void hosts.at(-1)?.end()
    expect(await during(refused)).toBe('NO_SPACE')
    expect(hosts).toHaveLength(2)
    expect(app.health().shards[0]?.space).toMatchObject({
      refusing: { reason: expect.stringContaining('NO_SPACE') },
    })
    isFull = false
    await during(app.store.put('k', 1))
    expect(app.health().shards[0]?.space.refusing).toBeUndefined()
  },
)

describe('the frames of groups', () => {
  const units = (key: string): FrameUnits => [{ kind: 'delete', key }]
  const frame = (key: string, lsn: number) => ({ lsn, time: lsn, payload: encodeFrame(units(key)) })
  const lsnsOf = (groups: readonly string[], frames: string): number[][] =>
    framesOf(
      groups.map((keys) => [...keys].map(units)),
      [...frames].map((key, at) => frame(key, at + 1)),
    ).map((found) => found.map(({ lsn }) => lsn))

  test.each([
    { groups: ['ab', 'c'], frames: '', found: [[], []] },
    { groups: ['ab', 'c'], frames: 'a', found: [[1], []] },
    { groups: ['ab', 'c'], frames: 'abc', found: [[1, 2], [3]] },
    // The log refused the rest of the first group, and took the second.
    { groups: ['ab', 'cd'], frames: 'ac', found: [[1], [2]] },
    // The second group begins as the rest of the first does.
    { groups: ['abb', 'bc'], frames: 'abc', found: [[1], [2, 3]] },
    { groups: ['aa', 'a'], frames: 'aa', found: [[1, 2], []] },
  ])('$groups in a log with "$frames" are those of $found', ({ groups, frames, found }) => {
    expect(lsnsOf(groups, frames)).toEqual(found)
  })

  test('are CORRUPT when none of the groups wrote one of them', () => {
    for (const frames of ['x', 'abx', 'ba', 'abcc'])
      expect(() => lsnsOf(['ab', 'c'], frames)).toThrow(
        expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ lsn: 1 }) }),
      )
  })
})
