/**
 * What every host of a log promises of its extent, in one file since it is one contract: on a thread with the real disk, and in
 * line on the simulated one. It names no file, so a log that is kept elsewhere has to pass it too.
 */
import { describe, expect, test } from 'vitest'
import type { LogHost, LogOptions, LogState } from '../../src/storage/ports/log-host.ts'
import { payload } from '../support/worlds/logs.ts'

/** Hosts of one log, which does not exist yet. */
export type LogUnderTest = {
  readonly dir: string
  readonly options: LogOptions
  readonly makeHost: () => LogHost
  /** Lets time pass until `work` settles. */
  readonly during: <T>(work: Promise<T>) => Promise<T>
}

const all = Number.MAX_SAFE_INTEGER

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
    const { dir, options } = this.#under
    await this.run('create', { dir, options })
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
export const logHostContract = (name: string, make: () => LogUnderTest): void => {
  /** A log of 40 frames of a tenth of a unit, so that it can give frames back. */
  const withLog = async (
    work: (life: Life, under: LogUnderTest, frames: number) => Promise<void>,
  ): Promise<void> => {
    const under = make()
    const size = under.options.maxFileSize / 10
    const life = await new Life(under).create()
    try {
      await life.commit(40, size)
      await work(life, under, 40 * size)
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
        expect(released.removed).toBeGreaterThan(0)
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
        const { removed } = await second.run('release', { epoch: before.epoch, lsn: all })
        expect(removed).toBeGreaterThan(0)
        await second.end()
      }))

    test('that is closed answers nothing', () =>
      withLog(async (life) => {
        await life.run('close', { projectedLsn: 0 })
        await expect(life.state()).rejects.toMatchObject({ code: 'CLOSED' })
        await expect(life.bytesAfter(0)).rejects.toMatchObject({ code: 'CLOSED' })
      }))
  })
}
