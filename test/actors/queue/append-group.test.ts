import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppendGroup } from '../../../src/actors/queue/append-group.ts'
import { virtualClock } from '../../../src/clock.ts'
import type { UnitAnswer } from '../../../src/storage/index.ts'
import { TestAppend } from '../../support/test-append.ts'

const MiB = 1024 * 1024

const put: readonly UnitAnswer[] = [{ kind: 'put' }]

const bounds = { commandsMax: 10_000, bytesMax: 4 * MiB }

const boundedBy = (limits: typeof bounds, ...appends: TestAppend[]) => {
  const clock = virtualClock()
  const group = new AppendGroup(Buffer.allocUnsafeSlow(16).fill(0xff), limits, clock)
  for (const append of appends) group.add(append)
  return { group, clock }
}

const groupOf = (...appends: TestAppend[]) => boundedBy(bounds, ...appends)

const payloadsOf = ({ bytes, lengths }: ReturnType<AppendGroup['take']>): Uint8Array[] => {
  let at = 0
  return [...lengths].map((length) => {
    at += length
    return new Uint8Array(bytes.subarray(at - length, at))
  })
}

const payloads = (appends: readonly TestAppend[]) =>
  appends.map(({ payload }) => new Uint8Array(payload))

describe('a group of appends', () => {
  test('has the payloads of its appends one after another, and marks them submitted', () => {
    const appends = [1, 200, 3].map((bytes, at) => new TestAppend(`k${at}`, { bytes }))
    const { group } = groupOf(...appends)

    expect(payloadsOf(group.take())).toEqual(payloads(appends))
    expect(appends.map(({ state }) => state)).toEqual(['submitted', 'submitted', 'submitted'])
    expect(group.takes(1, 1)).toBe(false)
  })

  test('takes frames up to its bound in bytes, and one that is larger alone', () => {
    const { group } = groupOf()
    expect(group.takes(9 * MiB, 1)).toBe(true)
    group.add(new TestAppend('a', { bytes: 3 * MiB }))
    expect(group.takes(MiB - 100, 1)).toBe(true)
    expect(group.takes(MiB, 1)).toBe(false)

    const { group: other } = groupOf(new TestAppend('a', { bytes: 9 * MiB }))
    expect(other.takes(1, 1)).toBe(false)
  })

  test('takes commands up to its bound, and an append of more alone', () => {
    const { group } = boundedBy({ ...bounds, commandsMax: 3 })
    expect(group.takes(1, 9)).toBe(true)
    group.add(new TestAppend('a'))
    expect([group.takes(1, 2), group.takes(1, 3)]).toEqual([true, false])
  })

  test('leaves at the earliest departure of its appends, and at once for one that may not wait', () => {
    const { group } = groupOf()
    const sooner = [500, 800, 300, 0, 100].map((departsAt) =>
      group.add(new TestAppend('a', { departsAt })),
    )

    expect(sooner).toEqual([true, false, true, true, false])
    expect([group.departsAt, group.isDue]).toEqual([0, true])
  })

  test('leaves at once when it is full, and when it is told to', () => {
    const { group } = boundedBy({ ...bounds, commandsMax: 2 })
    const waits = () => new TestAppend('a', { departsAt: 500 })
    expect([group.add(waits()), group.isDue]).toEqual([true, false])
    expect([group.add(waits()), group.isDue]).toEqual([true, true])

    const { group: other } = groupOf(waits())
    other.depart()
    expect([other.isDue, other.add(waits())]).toEqual([true, false])
  })

  test('tells each append once where it stands and what it answered', () => {
    const appends = ['a', 'b'].map((key) => new TestAppend(key))
    const { group } = groupOf(...appends)
    group.take()
    group.committed([7, 9], undefined)
    group.applied(0, put)
    group.applied(1, put)
    group.applied(1, put)
    group.fail(new Error('late'))

    expect(appends.map(({ told }) => told)).toEqual([
      [{ applied: 7, answers: put }],
      [{ applied: 9, answers: put }],
    ])
  })

  test('tells those that the log refused, and those whose answer was lost where they stand', () => {
    const appends = ['a', 'b', 'c'].map((key) => new TestAppend(key))
    const { group } = groupOf(...appends)
    group.take()
    const full = new Error('no room')
    group.committed([4, 5], full)
    group.applied(0, put)
    const died = new Error('died')
    group.fail(died)

    expect(appends.map(({ told }) => told)).toEqual([
      [{ applied: 4, answers: put }],
      [{ failed: died, lsn: 5 }],
      [{ failed: full, lsn: undefined }],
    ])
  })

  test('lets those go whose time is up, and does not write what waited', async () => {
    const early = new TestAppend('a', { endsAt: 50 })
    const late = new TestAppend('b', { endsAt: 80 })
    const last = new TestAppend('c', { endsAt: 200 })
    const { group, clock } = groupOf(last, early, late)
    await clock.advance(79)

    expect(early.told).toMatchObject([{ failed: { code: 'TIMEOUT' } }])
    expect([late.told, last.told]).toEqual([[], []])
    await clock.advance(1)
    expect(late.told).toMatchObject([{ failed: { code: 'TIMEOUT' } }])
    expect(group.count).toBe(1)
    expect(payloadsOf(group.take())).toEqual(payloads([last]))
    expect([early.state, late.state, last.state]).toEqual(['withdrawn', 'withdrawn', 'submitted'])
  })

  test('tells a caller whose time is up on the way, and its answer nobody', async () => {
    const early = new TestAppend('a', { endsAt: 50 })
    const { group, clock } = groupOf(early, new TestAppend('b'))
    group.take()
    await clock.advance(50)
    group.committed([1, 2], undefined)
    group.applied(0, put)

    expect(early.told).toMatchObject([{ failed: { code: 'TIMEOUT' }, lsn: undefined }])
    expect(early.state).toBe('submitted')
    expect(group.units).toHaveLength(2)
  })

  test('keeps no timer once everybody was told', () => {
    const { group, clock } = groupOf(new TestAppend('a'), new TestAppend('b'))
    expect(clock.untilNext()).toBe(30_000)
    group.take()
    group.committed([1, 2], undefined)
    group.applied(0, put)
    group.applied(1, put)

    expect(clock.untilNext()).toBeUndefined()
  })

  test('does not grow with what was withdrawn', async () => {
    const { group, clock } = groupOf(new TestAppend('stays'))
    for (let at = 0; at < 2_000; at++) {
      group.add(new TestAppend(`k${at}`, { bytes: 1_000, endsAt: clock.monotonic() + 1 }))
      if (at % 100 === 99) await clock.advance(1)
    }

    expect(group.count).toBe(1)
    expect(group.size).toBeLessThan(1_000)
    expect(payloadsOf(group.take())).toEqual(payloads([new TestAppend('stays')]))
  })

  test('writes what is left, in order, whoever gave up between', async () => {
    const each = fc.record({ bytes: fc.nat(40), endsAt: fc.constantFrom(10, 20, 30_000) })
    await fc.assert(
      fc.asyncProperty(fc.array(each, { maxLength: 40 }), fc.nat(39), async (terms, cut) => {
        const appends = terms.map((one, at) => new TestAppend(`k${at}`, one))
        const { group, clock } = groupOf(...appends.slice(0, cut))
        await clock.advance(10)
        for (const append of appends.slice(cut)) group.add(append)
        await clock.advance(15)

        const left = appends.filter(({ endsAt }) => endsAt === 30_000)
        expect(group.count).toBe(left.length)
        expect(payloadsOf(group.take())).toEqual(payloads(left))
        expect(group.units).toEqual(left.map(({ units }) => units))
      }),
      { numRuns: 100 },
    )
  })
})
