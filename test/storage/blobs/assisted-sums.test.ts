/** Two sides of a board without a thread: the test says when the assistant does a job. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { AssistedSums } from '../../../src/storage/blobs/assisted-sums.ts'
import { type PayloadSum, payloadSum } from '../../../src/storage/blobs/payload-sums.ts'
import { jobBytesMax, sumBoardBytes, words } from '../../../src/storage/blobs/sum-board.ts'
import { SumAssistance } from '../../../src/storage/threads/sum-assistance.ts'
import { payload } from '../../support/blob-folder.ts'

const benchBytes = 4 * 1024 * 1024

/** Both sides of a board whose counts stand at `count`. */
const sides = ({ count = 0, patienceMs = 5_000 } = {}) => {
  const memory = new SharedArrayBuffer(sumBoardBytes + benchBytes)
  const counts = new Int32Array(memory)
  for (const word of ['posted', 'done', 'chunks'] as const) counts[words[word]] = count
  const bench = new Uint8Array(memory, sumBoardBytes)
  const sums = new AssistedSums(memory, patienceMs)
  return { bench, sums, assistance: new SumAssistance(memory, bench) }
}

const place = (number: number) => ({ segment: 2 ** 40 + number, offset: 48 + number * 4096 })

/** Puts a payload on the bench and says so, in jobs of `step` bytes; answers how many jobs that was. */
const stage = (
  { bench, sums }: ReturnType<typeof sides>,
  bytes: Uint8Array,
  number: number,
  step = jobBytesMax,
): number => {
  bench.set(bytes)
  sums.begin(place(number), bytes.length)
  for (let at = 0; at < bytes.length; at += step) sums.add(at, Math.min(bytes.length, at + step))
  sums.end()
  return Math.ceil(bytes.length / step) + 1
}

const same = (found: PayloadSum | undefined, bytes: Uint8Array, number: number): void => {
  expect(found).toEqual(payloadSum(bytes, place(number)))
}

describe('sums that an assistant works out', () => {
  test('are those of the payload, its chunks begun with its place', () => {
    const both = sides()
    for (const [number, size] of [0, 1, 65_535, 65_536, 65_537, 1_000_000].entries()) {
      const bytes = payload(number + 1, size)
      const jobs = stage(both, bytes, number, 50_000)
      expect(both.sums.next('now')).toBeUndefined()
      for (let job = 0; job < jobs; job++) both.assistance.next()
      same(both.sums.next('now'), bytes, number)
      expect(both.sums.next('now')).toBeUndefined()
    }
  })

  test('come in the order of their payloads, whenever jobs are done and sums taken', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed)
      const both = sides({ count: seed % 2 === 0 ? 2 ** 31 - 40 : 0 })
      const given: Uint8Array[] = []
      let open = 0
      let taken = 0
      const take = () => {
        const found = both.sums.next('now')
        if (!found) return false
        same(found, given[taken] as Uint8Array, taken)
        taken += 1
        return true
      }
      for (let number = 0; number < 60; number++) {
        const bytes = payload(number, Math.floor(random() * 150_000))
        // What stands on the bench may go when it was seen.
        for (; open > 0; open--) both.assistance.next()
        open += stage(both, bytes, number)
        given.push(bytes)
        while (open > 0 && random() < 0.7) {
          both.assistance.next()
          open -= 1
        }
        while (random() < 0.5 && take());
      }
      for (; open > 0; open--) both.assistance.next()
      while (take());
      expect(taken, `seed ${seed}`).toBe(60)
    }
  })

  test('of a put that failed are nobody’s: the next payload has its own', () => {
    const both = sides()
    const lost = payload(1, 200_000)
    stage(both, lost, 1)
    both.bench.set(lost)
    both.sums.begin(place(2), 400_000)
    both.sums.add(0, 100_000)
    for (let job = 0; job < 3; job++) both.assistance.next()
    both.sums.reset()
    const bytes = payload(3, 70_000)
    const jobs = stage(both, bytes, 3)
    for (let job = 0; job < jobs; job++) both.assistance.next()
    same(both.sums.next('wait'), bytes, 3)
  })

  test('are not waited for when nothing moves for a while, and never believed after that', () => {
    const both = sides({ patienceMs: 1 })
    const jobs = stage(both, payload(1, 300_000), 1)
    expect(both.sums.next('wait')).toBeUndefined()
    expect(both.sums.isAssisted).toBe(false)
    // It does its jobs late, over what stands there by then.
    both.bench.fill(0)
    for (let job = 0; job < jobs; job++) expect(both.assistance.next()).toBe(true)
    expect(both.sums.next('wait')).toBeUndefined()
    expect(both.assistance.next()).toBe(false)
  })

  test('wait for room when more jobs are outstanding than the board has', () => {
    const both = sides({ patienceMs: 1 })
    both.sums.begin(place(0), 640)
    for (let job = 0; job < 64; job++) both.sums.add(job, job + 1)
    expect(both.sums.mark()).toBe(64)
    both.assistance.announce()
    expect(both.sums.isAssisted).toBe(true)
    both.sums.add(64, 65)
    // Nobody made room: from here on there is no assistant.
    expect(both.sums.isAssisted).toBe(false)
    expect(both.sums.mark()).toBe(64)
  })

  test('are there only from when somebody has said that he takes jobs', () => {
    const { sums, assistance } = sides()
    expect(sums.isAssisted).toBe(false)
    assistance.announce()
    expect(sums.isAssisted).toBe(true)
    sums.giveUp()
    expect(sums.isAssisted).toBe(false)
    expect(assistance.next()).toBe(false)
  })
})
