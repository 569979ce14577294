/** A group of writes: what it holds, and what becomes of each write. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { manyFrom, WriteGroup } from '../../../src/storage/groups/write-group.ts'
import { TestWrite } from '../../support/worlds/test-write.ts'

const MiB = 1024 * 1024

const groupOf = (...writes: TestWrite[]) => {
  const clock = virtualClock()
  const limits = { bytesMax: 4 * MiB, weightMax: 1_000 }
  const group = new WriteGroup<TestWrite>(Buffer.allocUnsafeSlow(16).fill(0xff), limits, clock)
  for (const write of writes) group.add(write)
  return { group, clock }
}

/** The names of a group's writes: lengths and bytes have to agree. */
const namesOf = ({ bytes, lengths }: ReturnType<WriteGroup<TestWrite>['take']>): number[] => {
  let at = 0
  const names = [...lengths].map((length) => {
    const payload = bytes.subarray(at, at + length)
    at += length
    expect(new Set(payload).size).toBeLessThanOrEqual(1)
    return payload[0] ?? 0
  })
  expect(at).toBe(bytes.length)
  return names
}

const full = new KeelsonError('NO_SPACE', 'full')
const died = new Error('died')

describe('a group that fills', () => {
  test('has the payloads of its writes one after another, in memory that may be given away', () => {
    const { group } = groupOf(
      new TestWrite(1, { length: 1 }),
      new TestWrite(2, { length: 30_000 }),
      new TestWrite(3, { length: 3 }),
    )
    const payloads = group.take()
    expect(namesOf(payloads)).toEqual([1, 2, 3])
    const { bytes } = payloads
    structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] })
    expect(bytes.length).toBe(0)
  })

  test('takes writes up to its bounds, one beyond them alone, and none once it was taken', () => {
    const { group } = groupOf(new TestWrite(1, { length: 3 * MiB }))
    expect(group.takes(new TestWrite(2, { length: MiB }))).toBe(true)
    expect(group.takes(new TestWrite(2, { length: MiB + 1 }))).toBe(false)
    expect(group.takes(new TestWrite(2, { weight: 999 }))).toBe(true)
    expect(group.takes(new TestWrite(2, { weight: 1_000 }))).toBe(false)
    const { group: other } = groupOf()
    expect(other.takes(new TestWrite(1, { length: 9 * MiB, weight: 5_000 }))).toBe(true)
    group.take()
    expect(group.takes(new TestWrite(2))).toBe(false)
  })

  test('takes none once it was closed', () => {
    const { group } = groupOf(new TestWrite(1))
    group.close()
    expect(group.takes(new TestWrite(2))).toBe(false)
    expect(namesOf(group.take())).toEqual([1])
  })
})

describe('the departure of a group', () => {
  test('is the earliest of its writes, and each that brings it nearer says so', () => {
    const { group } = groupOf()
    const news = [50, 80, 30, 30, 0, 0].map((departsAt, at) =>
      group.add(new TestWrite(at, { departsAt })),
    )
    expect(news).toEqual([true, false, true, false, true, false])
    expect([group.departsAt, group.isDue]).toEqual([0, true])
  })

  test('comes at once when it is told to leave', () => {
    const { group } = groupOf(new TestWrite(1, { departsAt: 50 }))
    expect(group.isDue).toBe(false)
    group.leave()
    expect(group.isDue).toBe(true)
  })

  test(`comes at once with ${manyFrom} writes, which says so, or when it is full`, () => {
    const { group } = groupOf()
    const add = () => group.add(new TestWrite(1, { length: 1, departsAt: 50 }))
    const news = Array.from({ length: manyFrom }, add)
    expect(news.flatMap((isNews, at) => (isNews ? [at] : []))).toEqual([0, manyFrom - 1])
    expect([group.isDue, group.isMany]).toEqual([true, true])

    const { group: heavy } = groupOf(new TestWrite(1, { departsAt: 50, weight: 1_000 }))
    expect([heavy.isDue, heavy.isMany]).toEqual([true, false])
    const { group: large } = groupOf(new TestWrite(1, { departsAt: 50, length: 4 * MiB }))
    expect([large.isDue, large.isMany]).toEqual([true, false])
  })
})

describe('the writes of a group', () => {
  test('are claimed once, each at its place', () => {
    const writes = [1, 2].map((name) => new TestWrite(name))
    const { group } = groupOf(...writes)
    group.take()
    group.committed([7, 9])
    expect([group.claim(0), group.claim(0), group.claim(1)]).toEqual([
      writes[0],
      undefined,
      writes[1],
    ])
    group.lose(died)
    expect(writes.map(({ failures }) => failures)).toEqual([[], []])
    expect(group.lsns).toEqual([7, 9])
  })

  test('that the log refused are refused, those whose answer was lost are unknown, with their LSN', () => {
    const writes = [1, 2, 3].map((name) => new TestWrite(name))
    const { group } = groupOf(...writes)
    group.take()
    group.committed([4, 5], full)
    group.claim(0)
    group.lose(died)
    expect(writes.map(({ failures }) => failures)).toEqual([
      [],
      [{ fate: 'unknown', cause: died, lsn: 5 }],
      [{ fate: 'refused', cause: full }],
    ])
  })

  test('are all refused when the log took nothing, and lost when it ended', () => {
    const endings = [
      (group: WriteGroup<TestWrite>) => group.refuse(full),
      (group: WriteGroup<TestWrite>) => group.lose(died),
    ]
    const fates = endings.flatMap((end) =>
      [true, false].map((isTaken) => {
        const writes = [1, 2].map((name) => new TestWrite(name))
        const { group } = groupOf(...writes)
        if (isTaken) group.take()
        end(group)
        expect(group.takes(new TestWrite(3))).toBe(false)
        const found = writes.flatMap(({ failures }) => failures)
        expect(found).toEqual([found[0], found[0]])
        return found[0]
      }),
    )
    expect(fates).toEqual([
      { fate: 'refused', cause: full },
      { fate: 'refused', cause: full },
      { fate: 'unknown', cause: died },
      { fate: 'unsubmitted', cause: died },
    ])
  })

  test('that give up while they wait are never written, and later are unknown', () => {
    const writes = [1, 2, 3].map((name) => new TestWrite(name))
    const [first, second, third] = writes as [TestWrite, TestWrite, TestWrite]
    const { group } = groupOf(...writes)
    group.giveUp(second, died)
    group.giveUp(second, died)
    expect(group.count).toBe(2)
    expect(namesOf(group.take())).toEqual([1, 3])
    group.giveUp(third, died)
    expect(second.failures).toEqual([{ fate: 'unsubmitted', cause: died }])
    expect(third.failures).toEqual([{ fate: 'unknown', cause: died }])
    group.committed([1, 2])
    expect([group.claim(0), group.claim(1)]).toEqual([first, undefined])
    group.giveUp(first, died)
    expect(first.failures).toEqual([])
  })

  test('fail at their own deadlines, and those without one never do', async () => {
    const [early, late, last, never] = [50, 80, 200, Number.POSITIVE_INFINITY].map(
      (endsAt, at) => new TestWrite(at + 1, { endsAt }),
    ) as [TestWrite, TestWrite, TestWrite, TestWrite]
    const { group, clock } = groupOf(last, never, early, late)
    await clock.advance(79)
    expect(early.failures).toMatchObject([
      { fate: 'unsubmitted', cause: { code: 'TIMEOUT', details: { reason: 'timeout' } } },
    ])
    expect(late.failures).toEqual([])
    await clock.advance(1)
    expect(late.failures).toHaveLength(1)
    expect(namesOf(group.take())).toEqual([3, 4])
    await clock.advance(1_000)
    expect(last.failures).toMatchObject([{ fate: 'unknown', cause: { code: 'TIMEOUT' } }])
    expect(never.failures).toEqual([])
  })

  test('that gave up hear nothing more when the group is lost before it is taken', () => {
    const writes = [1, 2, 3].map((name) => new TestWrite(name))
    const { group } = groupOf(...writes)
    group.giveUp(writes[1] as TestWrite, died)
    group.lose(full)
    expect(writes.map(({ failures }) => failures.map(({ cause }) => cause))).toEqual([
      [full],
      [died],
      [full],
    ])
  })

  test('fail 1 ms apart when their deadlines are', async () => {
    const writes = [50, 51].map((endsAt) => new TestWrite(1, { endsAt }))
    const { clock } = groupOf(...writes)
    const failed = () => writes.map(({ failures }) => failures.length)
    await clock.advance(50)
    expect(failed()).toEqual([1, 0])
    await clock.advance(1)
    expect(failed()).toEqual([1, 1])
  })

  test('fail at their deadline also when it is between two ticks of a timer', async () => {
    const early = new TestWrite(1, { endsAt: 50 })
    const between = new TestWrite(2, { endsAt: 50.5 })
    const { clock } = groupOf(early, between)
    await clock.advance(50)
    expect([early, between].map(({ failures }) => failures.length)).toEqual([1, 1])
  })

  test('keep their deadlines when an answered one is claimed again', async () => {
    const waiting = new TestWrite(2, { endsAt: 50 })
    const { group, clock } = groupOf(new TestWrite(1, { endsAt: 100 }), waiting)
    group.take()
    group.claim(0)
    group.claim(0)
    await clock.advance(50)
    expect(waiting.failures).toMatchObject([{ fate: 'unknown', cause: { code: 'TIMEOUT' } }])
  })

  test('tell when the group began and when it was taken', async () => {
    const { group, clock } = groupOf(new TestWrite(1))
    await clock.advance(5)
    expect([group.beganAt, group.takenAt]).toEqual([0, undefined])
    group.take()
    expect([group.beganAt, group.takenAt]).toEqual([0, 5])
  })

  test('leave no timer once all are settled', () => {
    const { group, clock } = groupOf(
      new TestWrite(1, { endsAt: 300 }),
      new TestWrite(2, { endsAt: 100 }),
    )
    expect(clock.untilNext()).toBe(100)
    group.take()
    group.committed([1, 2])
    group.claim(0)
    group.claim(1)
    expect(clock.untilNext()).toBeUndefined()
  })

  test('may bring others in as they fail', async () => {
    const first = new TestWrite(1, { endsAt: 10 })
    const { group, clock } = groupOf(first, new TestWrite(2, { endsAt: 20 }))
    const third = new TestWrite(3, { endsAt: 30 })
    first.onFailed = () => void group.add(third)
    await clock.advance(10)
    expect(namesOf(group.take())).toEqual([2, 3])
    await clock.advance(20)
    expect(third.failures).toMatchObject([{ fate: 'unknown' }])
  })

  test('that were withdrawn do not pile up', () => {
    const stays = new TestWrite(1)
    const { group } = groupOf(stays)
    for (let at = 0; at < 2_000; at++) {
      const write = new TestWrite(2, { length: 1_000, weight: 900 })
      expect(group.takes(write)).toBe(true)
      group.add(write)
      group.giveUp(write, died)
    }
    expect(group.count).toBe(1)
    expect(group.size).toBeLessThan(3_000)
    expect(namesOf(group.take())).toEqual([1])
  })

  test('that are left are written, in order, whatever was withdrawn between', async () => {
    const each = fc.record({
      length: fc.integer({ min: 1, max: 700 }),
      endsAt: fc.constantFrom(10, 20, 30_000),
      isGivenUp: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(each, { maxLength: 40 }), fc.nat(39), async (terms, cut) => {
        const writes = terms.map((one, at) => new TestWrite(at, one))
        const { group, clock } = groupOf(...writes.slice(0, cut))
        await clock.advance(10)
        for (const write of writes.slice(cut)) group.add(write)
        for (const [at, { isGivenUp }] of terms.entries())
          if (isGivenUp) group.giveUp(writes[at] as TestWrite, died)
        await clock.advance(15)

        const left = writes.filter(({ failures }) => failures.length === 0)
        expect(left).toEqual(
          writes.filter(({ endsAt, name }) => endsAt === 30_000 && !terms[name]?.isGivenUp),
        )
        expect(group.count).toBe(left.length)
        expect(namesOf(group.take())).toEqual(left.map(({ name }) => name))
        expect(group.writes).toEqual(left)
        expect(left.map(({ place }) => place)).toEqual([...left.keys()])
        for (const { failures } of writes) expect(failures.length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 100 },
    )
  })
})

describe('a group that comes back', () => {
  test('tells those that the log did not take that they are unsubmitted, without a refusal', () => {
    const writes = [1, 2, 3].map((name) => new TestWrite(name))
    const { group } = groupOf(...writes)
    group.take()
    group.committed([7])
    expect(writes.map(({ failures }) => failures.map(({ fate }) => fate))).toEqual([
      [],
      ['unsubmitted'],
      ['unsubmitted'],
    ])
  })

  test('tells one that gave up nothing more, although the log refused it', () => {
    const writes = [1, 2].map((name) => new TestWrite(name))
    const { group } = groupOf(...writes)
    group.take()
    group.giveUp(writes[1] as TestWrite, died)
    group.committed([7], full)
    expect(writes.map(({ failures }) => failures)).toEqual([[], [{ fate: 'unknown', cause: died }]])
  })
})

describe('a group that waits', () => {
  test('tells its writer when it has become many, although it was due before', () => {
    const clock = virtualClock()
    const limits = { bytesMax: 4 * MiB, weightMax: Number.POSITIVE_INFINITY }
    const group = new WriteGroup<TestWrite>(Buffer.alloc(16), limits, clock)
    const told = Array.from({ length: manyFrom + 1 }, () =>
      group.add(new TestWrite(1, { length: 1 })),
    )
    expect(told.flatMap((isParentNotified, at) => (isParentNotified ? [at + 1] : []))).toEqual([
      1,
      manyFrom,
    ])
  })

  test('gives back the memory of writes that were withdrawn', () => {
    const writes = Array.from({ length: 100 }, () => new TestWrite(1, { length: 10_000 }))
    const { group } = groupOf(...writes)
    for (const write of writes.slice(1)) group.giveUp(write, died)
    const { bytes } = group.take()
    expect([bytes.length, bytes.buffer.byteLength <= 40_000]).toEqual([10_000, true])
  })

  test('keeps memory of which a quarter is used', () => {
    const writes = Array.from({ length: 100 }, () => new TestWrite(1, { length: 10_000 }))
    const { group } = groupOf(...writes)
    for (const write of writes.slice(60)) group.giveUp(write, died)
    const { bytes } = group.take()
    expect([bytes.length, bytes.buffer.byteLength >= 1_000_000]).toEqual([600_000, true])
  })
})
