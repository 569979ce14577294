/**
 * What every host of a log promises, in one file since it is one contract: on a thread with the real disk, in line on the
 * simulated one, and over an engine. It names no file.
 */
import { describe, expect, test } from 'vitest'
import type {
  CommitRequest,
  Evidence,
  LogHost,
  LogOptions,
  LogState,
} from '../../src/storage/ports/log-host.ts'
import type { ProjectedPosition } from '../../src/storage/ports/projection-store.ts'
import { content, payload } from '../support/worlds/logs.ts'

/** Hosts of one log, which does not exist yet, or was made with its cluster. */
export type LogUnderTest = {
  readonly isMade?: true
  readonly dir: string
  readonly options: LogOptions
  readonly makeHost: () => LogHost
  /** Lets time pass until `work` settles. */
  readonly during: <T>(work: Promise<T>) => Promise<T>
}

const all = Number.MAX_SAFE_INTEGER

/** A commit of one group. */
const groupOf = (payloads: readonly Uint8Array[], now = 0): CommitRequest => ({
  bytes: Uint8Array.from(Buffer.concat(payloads)),
  lengths: payloads.map(({ length }) => length),
  now,
  sync: true,
  projectedLsn: 0,
})

type Read = { readonly lsn: number; readonly time: number; readonly content: string }

/** One life of the log, with words for its requests. */
class Life {
  readonly #under: LogUnderTest
  readonly #host: LogHost

  constructor(under: LogUnderTest) {
    this.#under = under
    this.#host = under.makeHost()
  }

  readonly run: LogHost['run'] = (kind, request) =>
    this.#under.during(this.#host.run(kind, request))

  async open(): Promise<this> {
    const { dir, options } = this.#under
    const inspection = await this.run('inspect', { dir, options, evidence: [] })
    await this.run('open', { dir, options, inspection })
    return this
  }

  async create(): Promise<this> {
    const { dir, options, isMade } = this.#under
    if (!isMade) await this.run('create', { dir, options })
    return this.open()
  }

  /** Commits `count` frames of `size` bytes, each as a group. */
  async commit(count: number, size: number): Promise<void> {
    for (let number = 1; number <= count; number++) {
      const bytes = payload(number, size)
      const frame = { bytes, lengths: [bytes.length], now: number, sync: true, projectedLsn: 0 }
      await this.run('commit', frame)
    }
  }

  /** Every frame from `from` on, read in answers of `maxBytes`. */
  async read(from = 1, maxBytes = 500, to?: number): Promise<Read[]> {
    const found: Read[] = []
    for (let next = from; ; ) {
      const answer = await this.run('read', { from: next, maxBytes, ...(to && { to }) })
      for (const { lsn, time, offset, length } of answer.frames) {
        const bytes = Buffer.from(answer.bytes.subarray(offset + 8, offset + length))
        found.push({ lsn, time, content: bytes.toString('base64') })
      }
      if (answer.next <= next || answer.frames.length === 0) return found
      next = answer.next
    }
  }

  state(): Promise<LogState> {
    return this.run('state', null)
  }

  async bytesAfter(lsn: number): Promise<number> {
    return (await this.run('state', { after: lsn })).bytesAfter
  }

  end(): Promise<void> {
    return this.#under.during(this.#host.end())
  }
}

const snapshotAt = (lsn: number) => ({ lsn, bytes: 100, sum: 7 })

/** Describes the contract for one implementation. */
export const logHostContract = (
  name: string,
  make: () => LogUnderTest | Promise<LogUnderTest>,
): void => {
  /** A log of 40 frames of a tenth of a unit, so that it can give frames back. */
  const withLog = async (
    work: (life: Life, under: LogUnderTest, frames: number) => Promise<void>,
  ): Promise<void> => {
    const under = await make()
    const size = under.options.maxFileSize / 10
    const life = await new Life(under).create()
    try {
      await life.commit(40, size)
      await work(life, under, 40 * size)
    } finally {
      await life.end()
    }
  }

  /** A log without frames. */
  const withNew = async (
    work: (life: Life, under: LogUnderTest) => Promise<void>,
  ): Promise<void> => {
    const under = await make()
    const life = await new Life(under).create()
    try {
      await work(life, under)
    } finally {
      await life.end()
    }
  }

  describe(`a log (${name})`, () => {
    test('begins with lsn 1, and ends with its last durable frame', () =>
      withLog(async (life) => {
        const { firstLsn, lastLsn, durableLsn, checkpointLsn, snapshots } = await life.state()
        expect({ firstLsn, snapshots }).toEqual({ firstLsn: 1, snapshots: [] })
        expect(lastLsn).toBeGreaterThanOrEqual(40)
        expect([durableLsn, checkpointLsn]).toEqual([lastLsn, 0])
      }))

    test('has as many bytes after an LSN as its frames have, and none after its end', () =>
      withLog(async (life, _, frames) => {
        const { lastLsn } = await life.state()
        const whole = await life.bytesAfter(0)
        expect(whole).toBeGreaterThanOrEqual(frames)
        const half = await life.bytesAfter(Math.round(lastLsn / 2))
        expect(half / whole).toBeCloseTo(0.5, 0)
        expect([half > 0, half < whole]).toEqual([true, true])
        expect(await life.bytesAfter(lastLsn)).toBe(0)
        const { newBytes, epoch } = await life.state()
        expect(newBytes).toBe(whole)
        await life.run('name', { epoch, snapshot: snapshotAt(20), keep: 1 })
        expect((await life.state()).newBytes).toBe(await life.bytesAfter(20))
      }))

    test('begins later when frames were given back, and refuses a reader and a pin before', () =>
      withLog(async (life) => {
        const { epoch, lastLsn } = await life.state()
        const whole = await life.bytesAfter(0)
        await life.run('name', { epoch, snapshot: snapshotAt(lastLsn), keep: 1 })

        const released = await life.run('release', { epoch, lsn: all })

        const after = await life.state()
        expect(released.removedBytes).toBeGreaterThan(0)
        expect(after).toMatchObject({ firstLsn: released.firstLsn, lastLsn: after.durableLsn })
        expect(after.firstLsn).toBeGreaterThan(1)
        expect(await life.bytesAfter(0)).toBeLessThan(whole)
        const early = { from: after.firstLsn - 1 }
        const refusal = { code: 'BAD_CURSOR', details: { ...early, firstLsn: after.firstLsn } }
        await expect(life.run('read', { ...early, maxBytes: 1 })).rejects.toMatchObject(refusal)
        await expect(life.run('pin', early)).rejects.toMatchObject(refusal)
      }))

    test('gives back no frame after the oldest snapshot that it names, and none from a pin on', () =>
      withLog(async (life) => {
        const { epoch } = await life.state()
        const { pin } = await life.run('pin', { from: 12 })
        for (const lsn of [25, 30])
          await life.run('name', { epoch, snapshot: snapshotAt(lsn), keep: 2 })

        const pinned = await life.run('release', { epoch, lsn: all })
        await life.run('unpin', { pin })
        const named = await life.run('release', { epoch, lsn: all })

        expect(pinned.firstLsn).toBeGreaterThan(1)
        expect(pinned.firstLsn).toBeLessThanOrEqual(12)
        expect(named.firstLsn).toBeGreaterThan(pinned.firstLsn)
        expect(named.firstLsn).toBeLessThanOrEqual(26)
      }))

    test('names a snapshot, which moves the checkpoint, unless it is after its last durable frame', () =>
      withLog(async (life) => {
        const { epoch, durableLsn } = await life.state()
        const named = { epoch, keep: 1 }
        const late = life.run('name', { ...named, snapshot: snapshotAt(durableLsn + 1) })
        await expect(late).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
        expect(await life.state()).toMatchObject({ checkpointLsn: 0, snapshots: [] })

        await life.run('name', { ...named, snapshot: snapshotAt(20) })

        const { checkpointLsn, snapshots } = await life.state()
        expect([checkpointLsn, snapshots]).toEqual([20, [snapshotAt(20)]])
      }))

    test('names and gives back nothing for an earlier life', () =>
      withLog(async (first, under) => {
        const { epoch } = await first.state()
        await first.run('name', { epoch, snapshot: snapshotAt(20), keep: 1 })
        await first.run('close', { projectedLsn: 0 })
        await first.end()
        const second = await new Life(under).open()
        const before = await second.state()
        expect(before.epoch).toBeGreaterThan(epoch)

        const fenced = { code: 'FENCED', details: { epoch: before.epoch, found: epoch } }
        const late = second.run('name', { epoch, snapshot: snapshotAt(30), keep: 1 })
        await expect(late).rejects.toMatchObject(fenced)
        await expect(second.run('release', { epoch, lsn: all })).rejects.toMatchObject(fenced)

        expect(await second.state()).toEqual(before)
        const { removedBytes } = await second.run('release', { epoch: before.epoch, lsn: all })
        expect(removedBytes).toBeGreaterThan(0)
        await second.end()
      }))

    test('has what was committed, in order, in this life and in the next', () =>
      withNew(async (life, under) => {
        const groups = [[1], [2, 3, 4], [5], [6, 7]]
        const commits = await Promise.all(
          groups.map((numbers, at) =>
            life.run(
              'commit',
              groupOf(
                numbers.map((number) => payload(number)),
                10 - at,
              ),
            ),
          ),
        )
        const lsns = commits.flatMap((commit) => commit.lsns)
        expect(commits.map(({ count }) => count)).toEqual([1, 3, 1, 2])
        expect(lsns).toEqual([...new Set(lsns)].sort((one, other) => one - other))
        for (const { lsns, durableLsn } of commits)
          expect(durableLsn).toBeGreaterThanOrEqual(lsns.at(-1) ?? 0)
        // Time does not go back.
        const all = lsns.map((lsn, at) => ({ lsn, time: 10, content: content(at + 1) }))

        expect(await life.read()).toEqual(all)
        expect(await life.read(1, 1)).toEqual(all)
        expect(await life.read(lsns[2], 1)).toEqual(all.slice(2))
        expect(await life.read(1, 1_000_000, lsns[4])).toEqual(all.slice(0, 5))
        expect(await life.read((lsns.at(-1) ?? 0) + 1)).toEqual([])

        await life.end()
        const next = await new Life(under).open()
        expect(await next.read()).toEqual(all)
        const { lsns: last } = await next.run('commit', groupOf([payload(8)], 3))
        expect(await next.read(last[0])).toEqual([{ lsn: last[0], time: 10, content: content(8) }])
        expect(last[0]).toBeGreaterThan(lsns.at(-1) ?? 0)
        await next.end()
      }))

    test('reads no more than was asked for, and says where to go on', () =>
      withNew(async (life) => {
        const { lsns } = await life.run('commit', groupOf([1, 2, 3].map((each) => payload(each))))

        const one = await life.run('read', { from: 1, maxBytes: 1 })
        const two = await life.run('read', { from: 1, maxBytes: 90 })

        expect([one.frames.map(({ lsn }) => lsn), one.next]).toEqual([[lsns[0]], lsns[1]])
        expect([two.frames.map(({ lsn }) => lsn), two.next]).toEqual([lsns.slice(0, 2), lsns[2]])
        expect(two.frames.map(({ startsGroup }) => startsGroup)).toEqual([true, false])
      }))

    test('refuses a commit that it cannot hold, and goes on', () =>
      withNew(async (life, under) => {
        const refusals = [
          [groupOf([payload(1, under.options.maxFileSize)]), 'TOO_LARGE'],
          [{ ...groupOf([payload(1)]), lengths: [39] }, 'INVALID_ARGUMENT'],
          [{ ...groupOf([payload(1)]), lengths: [4, 36] }, 'INVALID_ARGUMENT'],
          [groupOf([payload(1)], -1), 'INVALID_ARGUMENT'],
        ] as const
        for (const [request, code] of refusals)
          await expect(life.run('commit', request)).rejects.toMatchObject({ code })

        await life.run('commit', groupOf([payload(2)]))

        expect((await life.read()).map((frame) => frame.content)).toEqual([content(2)])
        expect((await life.run('commit', groupOf([]))).lsns).toEqual([])
      }))

    test('is made once, and must be made before it is opened', async () => {
      const under = await make()
      const { dir, options, isMade } = under
      if (isMade) {
        const made = await new Life(under).create()
        const again = made.run('create', { dir, options })
        await expect(again).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
        return made.end()
      }
      const first = new Life(under)
      const missing = await first.run('inspect', { dir, options, evidence: [] })
      expect(missing).toMatchObject({ exists: false, hasFrames: false, lastLsn: 0, firstLsn: 1 })
      const proof = { lsn: 3, source: 'a replica' }
      const lost = first.run('inspect', { dir, options, evidence: [proof] })
      await expect(lost).rejects.toMatchObject({ code: 'CORRUPT' })
      const early = first.run('open', { dir, options, inspection: missing })
      await expect(early).rejects.toMatchObject({ code: 'NO_SEGMENTS' })
      await first.end()
      const life = await new Life(under).create()
      await life.commit(1, 40)

      const second = new Life(under)
      const again = second.run('create', { dir, options })

      await expect(again).rejects.toMatchObject({ code: 'CONFLICT' })
      for (const each of [life, second]) await each.end()
    })

    test('is no log that lost what is known to have been durable', () =>
      withNew(async (life, under) => {
        await life.commit(3, 40)
        const { lastLsn, walId, epoch } = await life.state()
        await life.run('close', { projectedLsn: 0 })
        await life.end()
        const inspected = async (evidence: readonly Evidence[], shown?: ProjectedPosition) => {
          const next = new Life(under)
          const needs = { readFrom: 1, base: { damaged: [] }, ...(shown && { shown }) }
          const { dir, options } = under
          return next.run('inspect', { dir, options, evidence, needs }).finally(() => next.end())
        }

        const later = { lsn: lastLsn + 100, source: 'a replica' }
        await expect(inspected([later])).rejects.toMatchObject({ code: 'CORRUPT' })
        const ahead = { walId, epoch, lsn: lastLsn + 100 }
        await expect(inspected([], ahead)).rejects.toMatchObject({ code: 'CORRUPT' })

        expect(await inspected([{ ...later, walId: '00' }])).toMatchObject({ walId })
        expect(await inspected([{ ...later, lsn: lastLsn }], { ...ahead, lsn: 2 })).toMatchObject({
          base: { kind: 'projection' },
        })
        expect(await inspected([], { ...ahead, walId: '00' })).toMatchObject({
          showsOther: true,
          base: { kind: 'log' },
        })
      }))

    test('that is ended answers what waits with CLOSED, and nothing afterwards', () =>
      withNew(async (life) => {
        const waiting = life.run('commit', groupOf([payload(1)]))
        const outcome = waiting.then(
          () => 'ok',
          (error: { code: string }) => error.code,
        )
        await life.end()
        expect(['ok', 'CLOSED']).toContain(await outcome)
        await expect(life.run('sync', null)).rejects.toMatchObject({ code: 'CLOSED' })
      }))

    test('that is closed answers nothing', () =>
      withLog(async (life) => {
        await life.run('close', { projectedLsn: 0 })
        await expect(life.state()).rejects.toMatchObject({ code: 'CLOSED' })
        await expect(life.bytesAfter(0)).rejects.toMatchObject({ code: 'CLOSED' })
      }))
  })
}
