/** The copies of shards of other members, with a virtual clock and logs that are numbers. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import type { LogEnd } from '../../../src/members/engine-log/log-end.ts'
import { isOutdated } from '../../../src/members/engine-log/log-end.ts'
import { ShardCopies } from '../../../src/members/sharing/shard-copies.ts'
import type { ProjectionStore } from '../../../src/storage/index.ts'

const everyMs = 1_000
const mib = 1024 * 1024

/** The files of copies: each shows the end of its log at its last round, and says which are open. */
const copyFiles = (ends: ReadonlyMap<number, number>, rounds: (readonly number[])[]) => {
  const applied = new Map<number, number>()
  const opened: number[] = []
  const open = new Set<number>()
  const damaged = new Set<number>()
  const shows = (shard: number): void => void applied.set(shard, ends.get(shard) ?? 0)
  return {
    ...{ opened, openNow: open, damaged },
    /** A round follows some shards, whose files nobody may have open. */
    round(shards: readonly number[]) {
      rounds.push(shards)
      for (const shard of shards) expect(open.has(shard), `shard ${shard} is open`).toBe(false)
    },
    applied: (shards: readonly number[]): void => shards.forEach(shows),
    async open(this: void, shard: number) {
      opened.push(shard)
      if (damaged.has(shard)) return undefined
      open.add(shard)
      const store: Partial<ProjectionStore> = {
        position: () => ({ walId: 'l', epoch: 1, lsn: applied.get(shard) ?? 0 }),
        get: (key) => ({
          value: { tag: 1, bytes: Buffer.from(`${key}@${applied.get(shard)}`) },
          expiresAt: 0,
        }),
        close: async () => void open.delete(shard),
      }
      return store as ProjectionStore
    },
  }
}

/** Copies of the shards 0 to 5, of which the first two should be here, or more. */
const world = (shards = 6, first = 2) => {
  const clock = virtualClock(1)
  const ends = new Map<number, number>(Array.from({ length: shards }, (_, at) => [at, 1]))
  const own = new Set<number>()
  const rounds: (readonly number[])[] = []
  const looks: number[] = []
  const losses: unknown[] = []
  const failures: (readonly number[])[] = []
  const way = {
    follow: async (_: readonly number[]): Promise<void> => undefined,
    looks: (): void => undefined,
  }
  const files = copyFiles(ends, rounds)
  const copies = new ShardCopies({
    open: (shard) => files.open(shard),
    ...{ clock, copies: 2, everyMs, isOutdated, ended: new AbortController() },
    wanted: (count) => [...ends.keys()].slice(0, count === 1 ? first : undefined),
    isOwn: (shard) => own.has(shard),
    endOf: async (shard, known) => {
      looks.push(shard)
      way.looks()
      const lsn = ends.get(shard) ?? 0
      const end: LogEnd = { logId: 'l', id: `${lsn}`, lsn, trimmedLsn: 0, bytes: lsn * mib }
      return known?.id === end.id ? undefined : end
    },
    follow: async (of) => {
      files.round(of)
      await way.follow(of)
      files.applied(of)
    },
    onLoss: (error) => losses.push(error),
    onFailure: (_, of) => failures.push(of),
  })
  return { clock, copies, ends, own, rounds, looks, losses, failures, way, files }
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
    open: () => expect.unreachable(),
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

/** Copies of the shards 0 to 2, all of them here. */
const kept = async () => {
  const made = world(3)
  await made.copies.begin()
  await made.clock.advance(newMs)
  made.rounds.length = 0
  const rowOf = (lsn: number) => ({
    row: { value: { tag: 1, bytes: Buffer.from(`k@${lsn}`) }, expiresAt: 0 },
    lsn,
  })
  return { ...made, rowOf, read: (shard: number) => made.copies.read(shard, 'k', 0, 5_000) }
}

test('a read shows the copy as the last round left it, and its files are opened once', async () => {
  const { read, rowOf, ends, files } = await kept()
  ends.set(1, 2)
  expect(await read(1)).toEqual(rowOf(1))
  expect(await read(1)).toEqual(rowOf(1))
  expect(files.opened).toEqual([1])
})

test('a copy that is read follows whatever it lacks, and rests again when nobody reads it', async () => {
  const { read, rowOf, ends, files, clock, rounds } = await kept()
  await read(1)
  ends.set(1, 2)
  await clock.advance(12 * everyMs)
  expect(rounds).toEqual([[1]])
  expect(await read(1)).toEqual(rowOf(2))
  await clock.advance(2 * everyMs)
  expect(files.openNow).toEqual(new Set())
  ends.set(1, 3)
  await clock.advance(24 * everyMs)
  expect(rounds).toEqual([[1]])
})

test('a read that wants a later frame waits until the copy has it, and not for ever', async () => {
  const { copies, rowOf, ends, clock, rounds } = await kept()
  ends.set(1, 2)
  const later = copies.read(1, 'k', 2, 5_000)
  await clock.advance(everyMs - 1)
  expect(await later).toEqual(rowOf(2))
  expect(rounds).toEqual([[1]])
  const never = expect(copies.read(1, 'k', 3, 5_000)).rejects.toMatchObject({
    ...{ code: 'TIMEOUT', details: { shard: 1, least: 3, lsn: 2 } },
  })
  await clock.advance(5_000)
  await never
})

test('a read in a round of its shard waits for it, and one of another shard does not', async () => {
  const { read, rowOf, ends, clock, way } = await kept()
  let end = (): void => undefined
  way.follow = () =>
    new Promise((resolve) => {
      end = resolve
    })
  ends.set(1, 3)
  await clock.advance(12 * everyMs)
  let isRead = false
  const waits = read(1).then((row) => {
    isRead = true
    return row
  })
  expect(await read(2)).toEqual(rowOf(1))
  await clock.advance(1_000)
  expect(isRead).toBe(false)
  end()
  expect(await waits).toEqual(rowOf(3))
})

test('a shard without a copy is not read here: before the first round, when it is taken, and after the end', async () => {
  const early = world(3)
  expect(await early.copies.read(1, 'k', 0, 5_000)).toBeUndefined()
  const { copies, read, files } = await kept()
  await Promise.all([read(1), read(2)])
  await copies.leave(1)
  expect(files.openNow).toEqual(new Set([2]))
  expect(await read(1)).toBeUndefined()
  await copies.stop()
  expect(files.openNow).toEqual(new Set())
  expect(await read(2)).toBeUndefined()
})

test('a copy without a sound projection is not read here', async () => {
  const { read, files } = await kept()
  files.damaged.add(1)
  expect(await read(1)).toBeUndefined()
})

test('a read that wants a later frame while the member begins makes no second round beside the first', async () => {
  const { clock, copies, ends, way, rounds } = world(6, 6)
  way.follow = (of) =>
    of.includes(4) ? new Promise((resolve) => void clock.after(5_000, resolve)) : Promise.resolve()
  const begun = copies.begin()
  await clock.settle()
  ends.set(0, 9)
  const read = expect(copies.read(0, 'k', 9, 4_000)).rejects.toMatchObject({ code: 'TIMEOUT' })
  await clock.advance(4_000)
  await read
  let isFree = false
  const left = copies.leave(4).then(() => {
    isFree = true
  })
  await clock.settle()
  expect({ rounds, isFree }).toEqual({
    rounds: [
      [0, 1, 2, 3],
      [4, 5],
    ],
    isFree: false,
  })
  await clock.advance(1_000)
  await Promise.all([begun, left])
  way.follow = async () => undefined
  await clock.advance(12 * everyMs)
  expect(rounds.slice(2).flat()).toEqual([0, 4])
})

test('a read hurries no copy whose round has failed, and a copy that cannot be opened is none', async () => {
  const { copies, ends, clock, way, rounds, files } = await kept()
  ends.set(1, 9)
  way.follow = () => Promise.reject(new KeelsonError('NO_SPACE', 'the disk is full'))
  const read = expect(copies.read(1, 'k', 9, 5_000)).rejects.toMatchObject({ code: 'TIMEOUT' })
  await clock.advance(5_000)
  await read
  expect(rounds).toEqual([[1]])
  files.open = () => Promise.reject(new KeelsonError('SHARD_DOWN', 'no descriptor is left'))
  expect(await copies.read(2, 'k', 0, 5_000)).toBeUndefined()
})

test('a read that hurries a copy, at whatever moment of a look, lets no two looks follow', async () => {
  for (let moments = 0; moments < 40; moments++) {
    const { copies, clock, ends, looks, way } = await kept()
    const hurries = async (): Promise<void> => {
      way.looks = () => undefined
      for (let moment = 0; moment < moments; moment++) await Promise.resolve()
      await copies.read(1, 'k', 99, 100).catch(() => undefined)
    }
    way.looks = () => void hurries()
    await clock.advance(12 * everyMs)
    looks.length = 0
    for (let second = 1; second <= 10; second++) {
      ends.set(1, 10 * second)
      await clock.advance(everyMs)
    }
    expect(looks.filter((shard) => shard === 1).length, `after ${moments}`).toBeLessThanOrEqual(10)
  }
})
