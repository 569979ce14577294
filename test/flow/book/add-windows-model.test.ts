/** Adds under debounces and throttles against a naive list of when each job has to start. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AddWindow } from '../../../src/flow/book/add-windows.ts'
import { BookWorld, newJob } from '../../support/worlds/queue-book.ts'

/** The length of each window: a key has one. */
const lengths: Readonly<Record<string, number>> = { a: 30, b: 100 }

const anyWindow = fc
  .record({
    sort: fc.constantFrom('debounce' as const, 'throttle' as const),
    key: fc.constantFrom('a', 'b'),
    maxMs: fc.constantFrom(undefined, 70),
    keep: fc.constantFrom('first' as const, 'last' as const),
  })
  .map((window): AddWindow => ({ ...window, ms: lengths[window.key] as number }))

const anyAct = fc.oneof(
  { weight: 6, arbitrary: fc.record({ add: anyWindow }) },
  { weight: 4, arbitrary: fc.record({ passes: fc.constantFrom(1, 10, 29, 30, 31, 100) }) },
  { weight: 1, arbitrary: fc.record({ removes: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ refused: anyWindow }) },
  { weight: 1, arbitrary: fc.record({ crash: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ pauses: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ sweeps: fc.constant(true) }) },
)

type Known = { readonly number: number; job: string; dueAt: number; isOpen: boolean }

/** The naive side: the last job of each window, and when its window began or its job starts. */
class Naive {
  readonly jobs = new Map<number, Known>()
  readonly #last = new Map<string, { job: Known; since: number }>()

  /** What an add has to answer, and what becomes of the jobs. */
  add(job: string, { sort, key, ms, maxMs, keep }: AddWindow, now: number, number: number): object {
    const place = `${sort} ${key}`
    const last = this.#last.get(place)
    const waits = last?.job.isOpen === true && last.job.dueAt > now
    const isNew = sort === 'debounce' ? !waits : !last || now >= last.since + ms
    if (isNew)
      return this.#begins(
        place,
        job,
        sort === 'debounce' ? now : undefined,
        { ms, maxMs },
        now,
        number,
      )
    const found = last as { job: Known; since: number }
    if (sort === 'throttle' && keep === 'first') return { number: found.job.number, repeated: true }
    if (sort === 'throttle' && !waits) {
      const at = now < found.since ? found.since : found.since + ms
      this.#holds(place, { number, job, dueAt: at, isOpen: true }, at)
      return { number, repeated: false }
    }
    if (sort === 'debounce') found.job.dueAt = Math.min(now + ms, found.since + (maxMs ?? 1e9))
    const answer = { number: found.job.number, repeated: true }
    if (keep === 'first') return answer
    found.job.job = job
    return { ...answer, replaced: true }
  }

  #begins(
    place: string,
    job: string,
    since: number | undefined,
    { ms, maxMs }: { ms: number; maxMs: number | undefined },
    now: number,
    number: number,
  ): object {
    const dueAt = since === undefined ? now : now + Math.min(ms, maxMs ?? 1e9)
    this.#holds(place, { number, job, dueAt, isOpen: true }, now)
    return { number, repeated: false }
  }

  #holds(place: string, job: Known, since: number): void {
    this.jobs.set(job.number, job)
    this.#last.set(place, { job, since })
  }

  /** The jobs that are due. */
  starts(now: number): string[] {
    const due = [...this.jobs.values()].filter(({ isOpen, dueAt }) => isOpen && dueAt <= now)
    for (const each of due) each.isOpen = false
    return due.map(({ job }) => job).sort()
  }
}

test('adds under windows come to the jobs that the windows say, at their times, whatever happens in which order', {
  tags: ['slow', 'W10'],
}, () => {
  fc.assert(
    fc.property(fc.array(anyAct, { maxLength: 60 }), (acts) => {
      const world = new BookWorld({ concurrency: 1_000, depthMax: 1_000 })
      const naive = new Naive()
      for (const [at, act] of acts.entries()) {
        const job = `job ${at}`
        if ('add' in act) {
          const expected = naive.add(job, act.add, world.now, world.book.next)
          expect(world.add({ job, window: act.add })).toEqual([expected])
        }
        if ('passes' in act) world.now += act.passes
        if ('refused' in act)
          world.refused((rows) =>
            world.book.add([newJob({ job, window: act.refused })], world.now, rows),
          )
        if ('crash' in act) world.crash()
        if ('pauses' in act)
          world.turn(() => {
            world.book.isPaused = act.pauses
          })
        if ('sweeps' in act) world.sweep()
        if ('removes' in act) {
          const known = naive.jobs.get(act.removes)
          const isOpen = known?.isOpen === true
          expect(world.remove(act.removes) !== undefined).toBe(isOpen)
          if (known) known.isOpen = false
        }
        const claims = world.claim()
        if (world.book.isPaused) expect(claims).toEqual([])
        else expect(claims.map(({ record }) => record.job).sort()).toEqual(naive.starts(world.now))
        world.done(...claims.map(({ number }) => number))
      }
    }),
    { numRuns: 400 },
  )
})

test('a window that is over leaves no row', () => {
  const world = new BookWorld()
  const window = { key: 'a', ms: 30, maxMs: undefined, keep: 'last' as const }
  world.add({ window: { ...window, sort: 'debounce' } })
  world.add({ window: { ...window, sort: 'throttle' } })
  world.sweep()
  expect([...world.stored.keys()].filter((row) => row.startsWith('y'))).toEqual(['y1/a', 'y2/a'])
  world.done(...world.claimed())
  world.now += 30
  world.done(...world.claimed())
  world.sweep()
  expect([...world.stored.keys()]).toEqual([])
})

test('a clock that is set back makes no window longer than it is', () => {
  const world = new BookWorld()
  const window = { key: 'a', ms: 30, maxMs: 40, keep: 'last' as const }
  const add = (sort: AddWindow['sort'], job: string) =>
    world.add({ job, window: { ...window, sort } })
  add('debounce', 'one')
  add('throttle', 'first')
  add('throttle', 'two')
  world.now -= 1_000_000
  add('debounce', 'three')
  add('throttle', 'four')
  expect(world.claim().map(({ record }) => record.job)).toEqual(['first'])
  world.now += 30
  expect(world.claim().map(({ record }) => record.job)).toEqual(['three', 'four'])
})

test('a job that has had a try is in no window any more', () => {
  const world = new BookWorld()
  const window = { sort: 'debounce', key: 'a', ms: 30, maxMs: undefined, keep: 'last' } as const
  world.add({ job: 'one', window })
  world.now += 30
  const [first] = world.claimed()
  world.fail(first as number, 20)
  expect(world.add({ job: 'two', window })).toEqual([{ number: 2, repeated: false }])
  world.now += 20
  expect(world.claim().map(({ record }) => record.job)).toEqual(['one'])
})
