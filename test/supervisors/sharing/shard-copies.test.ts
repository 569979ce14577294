/** The copies of shards of other members, with a virtual clock and logs that are numbers. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { isOutdated } from '../../../src/storage/engine-log/log-end.ts'
import type { LogEnd } from '../../../src/storage/index.ts'
import { ShardCopies } from '../../../src/supervisors/sharing/shard-copies.ts'

const everyMs = 1_000
const mib = 1024 * 1024

/** Copies of the shards 0 to 5, of which the first two should be here. */
const world = (shards = 6) => {
  const clock = virtualClock(1)
  const ends = new Map<number, number>(Array.from({ length: shards }, (_, at) => [at, 1]))
  const own = new Set<number>()
  const rounds: (readonly number[])[] = []
  const looks: number[] = []
  const losses: unknown[] = []
  const failures: (readonly number[])[] = []
  const way = { follow: async (_: readonly number[]): Promise<void> => undefined }
  const copies = new ShardCopies({
    ...{ clock, copies: 2, everyMs, isOutdated, ended: new AbortController() },
    wanted: (count) => [...ends.keys()].slice(0, count === 1 ? 2 : undefined),
    isOwn: (shard) => own.has(shard),
    endOf: async (shard, known) => {
      looks.push(shard)
      const lsn = ends.get(shard) ?? 0
      const end: LogEnd = { logId: 'l', id: `${lsn}`, lsn, trimmedLsn: 0, bytes: lsn * mib }
      return known?.id === end.id ? undefined : end
    },
    follow: (of) => {
      rounds.push(of)
      return way.follow(of)
    },
    onLoss: (error) => losses.push(error),
    onFailure: (_, of) => failures.push(of),
  })
  return { clock, copies, ends, own, rounds, looks, losses, failures, way }
}

/** A new copy begins after so long. */
const newMs = 7 * everyMs

test('the shards that should be here are followed first, and the others a while later, four at a time', async () => {
  const { clock, copies, rounds } = world(8)
  await copies.begin()
  expect(rounds).toEqual([[0, 1]])
  await clock.advance(6 * everyMs)
  expect(rounds).toHaveLength(1)
  await clock.advance(everyMs)
  expect(rounds.slice(1)).toEqual([
    [2, 3, 4, 5],
    [6, 7],
  ])
  expect(copies.health).toEqual({ shards: 8, warm: 8 })
})

test('a copy follows again when it lacks more than 1 MiB', async () => {
  const { clock, copies, rounds, ends } = world(3)
  await copies.begin()
  await clock.advance(newMs)
  rounds.length = 0
  ends.set(1, 2)
  await clock.advance(4 * everyMs)
  expect(rounds).toEqual([])
  ends.set(1, 3)
  await clock.advance(4 * everyMs)
  expect(rounds).toEqual([[1]])
})

test('an opening waits for the round that has its shard, and for no other one', async () => {
  const { clock, copies, rounds, way, own } = world(6)
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  way.follow = () => ended
  const begun = copies.begin()
  await clock.settle()
  expect(rounds).toEqual([[0, 1]])
  own.add(0)
  let isFree = false
  const left = copies.leave(0).then(() => {
    isFree = true
  })
  await copies.leave(5)
  await clock.advance(60 * everyMs)
  expect(isFree).toBe(false)
  end()
  await Promise.all([left, begun])
})

test('no round has a shard that is here, also if it came while others were followed', async () => {
  const { clock, copies, rounds, way, own } = world(7)
  own.add(1)
  await copies.begin()
  way.follow = async (of) => void (of.includes(2) && own.add(6))
  await clock.advance(newMs + everyMs)
  expect(rounds).toEqual([[0], [2, 3, 4, 5]])
  expect(copies.health).toEqual({ shards: 5, warm: 5 })
})

test('a member that comes back soon costs no new copies, and one that stays away does', async () => {
  const { clock, copies, rounds, ends } = world(3)
  await copies.begin()
  await clock.advance(newMs)
  rounds.length = 0
  ends.set(3, 1)
  await clock.advance(4 * everyMs)
  ends.delete(3)
  await clock.advance(60 * everyMs)
  expect(rounds).toEqual([])
  ends.set(3, 1)
  await clock.advance(newMs + everyMs)
  expect(rounds).toEqual([[3]])
})

test('a log at rest is looked at less and less often, and one that moves at each time', async () => {
  const { clock, copies, looks, ends } = world(2)
  await copies.begin()
  for (let second = 0; second < 120; second++) {
    ends.set(1, second + 2)
    await clock.advance(everyMs)
  }
  const of = (shard: number): number => looks.filter((each) => each === shard).length
  expect(of(1)).toBeGreaterThan(115)
  // After 1, 2, 4, 8 and 12 s, and each 12 s then.
  expect(of(0)).toBeGreaterThan(11)
  expect(of(0)).toBeLessThan(17)
})

test('a round that fails is reported, and tried again after a minute of looks', async () => {
  const { clock, copies, failures, way, rounds } = world(2)
  way.follow = () => Promise.reject(new KeelsonError('NO_SPACE', 'the disk is full'))
  await copies.begin()
  expect(failures).toEqual([[0, 1]])
  await clock.advance(10 * everyMs)
  expect(rounds).toHaveLength(1)
  way.follow = async () => undefined
  await clock.advance(5 * everyMs)
  expect(rounds).toHaveLength(2)
  expect(copies.health).toEqual({ shards: 2, warm: 2 })
})

test('a round that meets a later owner, trimmed frames or an engine that is away is only repeated', async () => {
  const away = new KeelsonError('SHARD_DOWN', 'no answer', { details: { reason: 'engine' } })
  for (const error of [new KeelsonError('FENCED', ''), new KeelsonError('BAD_CURSOR', ''), away]) {
    const { clock, copies, failures, way, rounds } = world(1)
    way.follow = () => Promise.reject(error)
    await copies.begin()
    await clock.advance(2 * everyMs)
    expect([failures, rounds.length > 1]).toEqual([[], true])
  }
})

test('a loss that a copy sees is told at once', async () => {
  const { copies, failures, losses, way } = world(1)
  const loss = new KeelsonError('CORRUPT', 'lost', { details: { isLoss: true, shard: 0 } })
  way.follow = () => Promise.reject(loss)
  await copies.begin()
  expect([losses, failures]).toEqual([[loss], []])
})

test('a stop ends the round, and waits for it', async () => {
  const clock = virtualClock(1)
  const ended = new AbortController()
  let hasEnded = false
  const copies = new ShardCopies({
    ...{ clock, copies: 1, everyMs, isOutdated, ended },
    wanted: () => [0],
    isOwn: () => false,
    endOf: async () => ({ logId: 'l', id: '1', lsn: 1, trimmedLsn: 0, bytes: 0 }),
    follow: () =>
      new Promise((_, reject) =>
        ended.signal.addEventListener('abort', () =>
          clock.after(50, () => {
            hasEnded = true
            reject(ended.signal.reason)
          }),
        ),
      ),
    onLoss: () => expect.unreachable(),
    onFailure: () => expect.unreachable(),
  })
  const begun = copies.begin()
  await clock.settle()
  const stopped = copies.stop()
  await clock.advance(50)
  await stopped
  expect(hasEnded).toBe(true)
  await begun
  await clock.advance(60 * everyMs)
  expect(copies.health).toEqual({ shards: 1, warm: 0 })
})
