/** The queue of derived rows, played against a model of producers that do as they are told. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DerivedQueue } from '../../../src/actors/projection/derived-queue.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  derivedKeyOf,
  encodeValue,
  producerLsnOf,
  producerRowKey,
  type Row,
} from '../../../src/storage/index.ts'

type Step =
  | { readonly kind: 'give'; readonly producer: string; readonly size: number }
  | {
      readonly kind: 'commit' | 'fail' | 'discard' | 'discardDuring' | 'restart'
      readonly rows: number
    }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('give' as const),
        producer: fc.constantFrom('p', 'q'),
        size: fc.nat(3),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('commit' as const),
        rows: fc.integer({ min: 1, max: 6 }),
      }),
    },
    fc.record({
      kind: fc.constantFrom('fail', 'discard', 'discardDuring', 'restart' as const),
      rows: fc.integer({ min: 1, max: 6 }),
    }),
  ),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>

/** Plays the steps. The projection is a map of rows; each frame changes one row for each unit of size. */
const played = (all: readonly Step[]) => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  const rows = new Map<string, Row>()
  const lsnOf = (producer: string) => producerLsnOf(rows.get(producerRowKey(producer)))
  const next: Record<string, number> = {}
  const sizes: Record<string, Map<number, number>> = { p: new Map(), q: new Map() }
  const begin = (producer: string) => {
    next[producer] = queue.begin(producer, lsnOf(producer), undefined) + 1
  }
  const give = (producer: string, size: number) => {
    const lsn = next[producer] ?? 1
    // A frame leads to the same operations whenever it is read.
    const count = sizes[producer]?.get(lsn) ?? size
    const operations = Array.from({ length: count }, (_, at) => ({
      kind: 'put' as const,
      key: `${lsn}:${at}`,
      value: encodeValue(lsn),
    }))
    try {
      queue.add({ producer, lsn, operations, afterFlush: [] }, 0)
      sizes[producer]?.set(lsn, count)
      next[producer] = lsn + 1
    } catch (error) {
      if (!isKeelsonError(error, 'BUSY')) begin(producer)
      // Every other refusal loses what was given, as `enqueueAsync` does.
      else if (size % 2 === 0) queue.refused(producer)
    }
  }
  const commit = (count: number, isMade: boolean) => {
    const { changes } = queue.take(Number.POSITIVE_INFINITY, count)
    const list = [...changes]
    const before = ['p', 'q'].map(lsnOf)
    if (isMade) for (const [key, row] of list) if (row) rows.set(key, row)
    // Within a commit the last position counts.
    if (['p', 'q'].some((producer, at) => lsnOf(producer) < (before[at] ?? 0)))
      throw new Error('a position went back')
    return isMade
  }
  for (const producer of ['p', 'q']) begin(producer)
  for (const step of all) {
    if (step.kind === 'give') give(step.producer, step.size)
    if (step.kind === 'commit' && commit(step.rows, true)) queue.committed()
    if (step.kind === 'fail' && !commit(step.rows, false))
      queue.failed(true, { code: 'NO_SPACE', message: 'full' })
    if (step.kind === 'discard') queue.discard()
    if (step.kind === 'discardDuring' && commit(step.rows, true)) {
      queue.discard()
      // Its producers go on before the commit is answered.
      for (const producer of ['p', 'q']) {
        begin(producer)
        give(producer, step.rows % 4)
      }
      queue.committed()
    }
    // The writer dies during a commit, which is made or not, and the next one looks.
    if (step.kind === 'restart') {
      commit(step.rows, step.rows % 2 === 0)
      queue.reconcile(lsnOf)
    }
  }
  return { queue, rows, lsnOf, sizes }
}

test('the position of a producer never passes a gap, and every row up to it is there', {
  tags: ['M25'],
}, () => {
  fc.assert(
    fc.property(steps, (all) => {
      const { rows, lsnOf, sizes } = played(all)
      for (const producer of ['p', 'q']) {
        const position = lsnOf(producer)
        const expected: string[] = []
        for (let lsn = 1; lsn <= position; lsn++)
          for (let at = 0; at < (sizes[producer]?.get(lsn) ?? 0); at++)
            expected.push(`${lsn}:${at}`)
        const own = [...rows.keys()].filter((key) => key.startsWith(producerRowKey(producer)))
        const found = own.map(derivedKeyOf).filter((key) => key !== '')
        expect(found.sort()).toEqual(expected.sort())
      }
    }),
    { numRuns: 300 },
  )
})

test('what waits is bounded, and counted until it is committed', {
  tags: ['L15', 'L44', 'M53'],
}, () => {
  fc.assert(
    fc.property(steps, (all) => {
      const { queue } = played(all)
      expect(queue.operations + queue.room).toBe(8)
      while (queue.oldestAt !== undefined) {
        queue.take(Number.POSITIVE_INFINITY, 3)
        queue.committed()
      }
      expect([queue.operations, queue.room, queue.ended]).toEqual([0, 8, queue.accepted])
    }),
    { numRuns: 300 },
  )
})

test('a producer that begins goes on behind what waits of it, and not of another one', () => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  queue.begin('p', 3, undefined)
  queue.add({ producer: 'p', lsn: 7, operations: [], afterFlush: [] }, 0)
  queue.refused('p')

  expect(queue.begin('q', 3, undefined)).toBe(3)
  expect(queue.begin('p', 3, undefined)).toBe(7)
})

test('groups of actions alone are bounded too, and a known group without actions is not kept', () => {
  const queue = new DerivedQueue({ operations: 2, bytes: 1_000_000 })
  const to = undefined as never
  const known = (afterFlush: { to: never; message: string }[]) => () =>
    queue.add({ producer: 'p', lsn: 1, operations: [], afterFlush }, 0)
  queue.begin('p', 1, undefined)
  for (let again = 0; again < 10; again++) known([])()
  expect(queue.operations).toBe(0)

  for (let again = 0; again < 2; again++) known([{ to, message: 'told' }])()
  expect(known([{ to, message: 'told' }])).toThrow(expect.objectContaining({ code: 'BUSY' }))
})

test('a group is set aside only when it failed alone', () => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  const error = { message: 'no such row' }
  queue.begin('p', 0, undefined)
  for (const lsn of [1, 2]) queue.add({ producer: 'p', lsn, operations: [], afterFlush: [] }, 0)

  queue.take(9, 8)
  expect([queue.failed(false, error), queue.isolates]).toEqual([undefined, true])
  queue.take(9, 8)
  expect(queue.failed(false, error)).toBeUndefined()
  queue.take(9, 8)
  expect(queue.failed(true, error)?.setAside).toEqual({
    producer: 'p',
    lsn: 1,
    reason: error.message,
  })
  expect(queue.isolates).toBe(false)
})

test('the oldest group goes with a projection that shows its frame', () => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  expect([queue.isReadyAt(9), queue.oldestAt]).toEqual([false, undefined])
  queue.begin('p', 3, undefined)
  for (const lsn of [5, 6]) queue.add({ producer: 'p', lsn, operations: [], afterFlush: [] }, lsn)
  expect([4, 5, 6].map((lsn) => queue.isReadyAt(lsn))).toEqual([false, true, true])
  expect(queue.oldestAt).toBe(5)
})

test('the bytes of keys and values are bounded, and what each operation takes besides', () => {
  const queue = new DerivedQueue({ operations: 100, bytes: 3 * 164 })
  queue.begin('p', 0, undefined)
  let lsn = 0
  const give = (...lengths: readonly number[]) => {
    const operations = lengths.map((length) => ({
      kind: 'delete' as const,
      key: 'k'.repeat(length),
    }))
    queue.add({ producer: 'p', lsn: ++lsn, operations, afterFlush: [] }, 0)
  }
  const codeOf = (error: unknown) => (error as { code: string }).code
  const refusal = (...lengths: readonly number[]): unknown => {
    try {
      give(...lengths)
    } catch (error) {
      return [codeOf(error), (error as { details: object }).details]
    }
    return 'taken'
  }
  const limits = { operationsMax: 100, bytesMax: 492 }
  expect(refusal(429)).toEqual(['TOO_LARGE', { operations: 1, bytes: 493, ...limits }])
  expect(refusal(428)).toBe('taken')
  queue.take(9, 2)
  queue.committed()
  give(100, 100)
  expect(queue.room).toBe(98)
  expect(refusal(101)).toEqual(['BUSY', { operations: 1, bytes: 165, ...limits, room: 98 }])
  give(100)
  expect(queue.room).toBe(0)
  queue.take(9, 2)
  queue.committed()
  expect([queue.room, queue.operations]).toEqual([99, 1])
  expect(refusal(100, 100)).toBe('taken')
  const value = { kind: 'put', key: 'k', value: encodeValue('v'.repeat(500)) } as const
  queue.discard()
  queue.begin('p', lsn, undefined)
  expect(() =>
    queue.add({ producer: 'p', lsn: ++lsn, operations: [value], afterFlush: [] }, 0),
  ).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
})

test('a group that fails among others is not set aside', () => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  queue.begin('p', 0, undefined)
  for (const lsn of [1, 2]) queue.add({ producer: 'p', lsn, operations: [], afterFlush: [] }, 0)
  queue.take(9, 8)
  expect([queue.failed(true, { message: 'no' }), queue.isolates]).toEqual([undefined, true])
  expect(queue.health).toEqual({ operations: 2, lost: [], setAside: [] })
})

test('a producer whose group was refused has to begin, and is reminded until it does', () => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  const told = { to: undefined as never, message: 'begin' }
  queue.begin('p', 0, told)
  queue.begin('silent', 0, undefined)
  expect([queue.refused('nobody'), queue.reminders()]).toEqual([[], []])
  expect([queue.refused('p'), queue.refused('p'), queue.refused('silent')]).toEqual([
    [told],
    [],
    [],
  ])
  expect([queue.reminders(), queue.health.lost]).toEqual([[told], ['p', 'silent']])
  queue.begin('p', 0, told)
  expect([queue.reminders(), queue.health.lost]).toEqual([[], ['silent']])
})

test('a new writer finds what each producer has: it goes on, or begins again behind lost rows', () => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  const told = (message: string) => ({ to: undefined as never, message })
  for (const producer of ['p', 'q', 'r']) queue.begin(producer, 5, told(`begin ${producer}`))
  for (const producer of ['p', 'q', 'r'])
    for (const lsn of [6, 7])
      queue.add({ producer, lsn, operations: [], afterFlush: [told(`${producer} ${lsn}`)] }, 0)
  const found: Record<string, number> = { p: 5, q: 6, r: 4 }
  expect(queue.reconcile((producer) => found[producer] ?? 0)).toEqual([
    told('begin r'),
    told('q 6'),
  ])
  expect(queue.health).toMatchObject({ operations: 3, lost: ['r'] })
})

test.each<[string, number, string | undefined, boolean]>([
  ['with groups, whose cause is unknown', 8, undefined, true],
  ['with groups, whose cause may be one of them', 8, 'INVALID_ARGUMENT', true],
  ['with groups, whose cause is elsewhere', 8, 'NO_SPACE', false],
  ['with groups, in a shard that goes down', 8, 'SHARD_DOWN', false],
  ['with groups, on damage', 8, 'CORRUPT', false],
  ['without groups', 0, undefined, false],
])(
  'a commit %s, lets groups be tried alone only if one may be the cause',
  (_, rows, code, isolates) => {
    const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
    queue.begin('p', 0, undefined)
    queue.add({ producer: 'p', lsn: 1, operations: [], afterFlush: [] }, 0)
    if (rows > 0) queue.take(9, rows)

    expect(queue.failed(false, { code, message: 'no' })).toBeUndefined()

    expect([queue.isolates, queue.health.setAside, queue.operations]).toEqual([isolates, [], 1])
  },
)

test('a commit of nothing but one group, whose cause is elsewhere, sets nothing aside', () => {
  const queue = new DerivedQueue({ operations: 8, bytes: 1_000_000 })
  queue.begin('p', 0, undefined)
  queue.add({ producer: 'p', lsn: 1, operations: [], afterFlush: [] }, 0)
  queue.take(9, 8)
  expect(queue.failed(true, { code: 'NO_SPACE', message: 'full' })).toBeUndefined()
  expect(queue.health.setAside).toEqual([])
})
