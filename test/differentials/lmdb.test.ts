/**
 * LMDB beside the projection in memory: random commits in lock step, with reads while a commit is on its way, walks over a
 * commit, and closes. What is read is always the state before or after.
 *
 * `KEELSON_SEEDS=300 npx vitest run test/differentials/lmdb.test.ts`; one schedule: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { seededRandom, systemClock } from '../../src/clock.ts'
import { nodeDisk } from '../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../src/storage/lmdb/lmdb-examination.ts'
import { lmdbProjections } from '../../src/storage/lmdb/lmdb-projection-store.ts'
import type {
  ProjectionStore,
  Row,
  RowRange,
  RowValue,
} from '../../src/storage/ports/projection-store.ts'
import { threadProjectionWriters } from '../../src/storage/threads/thread-projection-writer.ts'
import { memoryProjections } from '../../src/testing/simulated/memory-projection-store.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { seedsOf, thorough } from '../support/tier.ts'
import { plain, positionAt } from '../support/worlds/projection-rows.ts'

const rounds = thorough(12, 1_800)
const letters = ['a', 'b', 'é', '\uffff', '\u{10000}', '\u{1F600}', 'z', '\x01', '~']
const longKeys = ['k'.repeat(1_537), 'é'.repeat(768), 'a'.repeat(1_024)]

/** Dice, and what is thrown with them. */
class Dice {
  readonly random: () => number
  /** The keys so far. */
  readonly keys: string[] = []

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  key(): string {
    if (this.keys.length > 0 && this.random() < 0.5) return this.pick(this.keys)
    const tail = Array.from({ length: this.below(6) }, () => this.pick(letters)).join('')
    const key = this.below(30) === 0 ? this.pick(longKeys) : `${this.pick(['a', 'b', 'n:'])}${tail}`
    this.keys.push(key)
    return key
  }

  row(): Row {
    const size = this.pick([0, 1, 20, 100, 3_000, 5_000, this.below(50) === 0 ? 900_000 : 10])
    const tag = this.pick<RowValue['tag']>([0, 1, 2, 3])
    const expiresAt = this.pick([0, 1, 2 ** 40, Number.MAX_SAFE_INTEGER])
    return { value: { tag, bytes: Buffer.alloc(size, this.below(256)) }, expiresAt }
  }

  range(): RowRange {
    const [low, high] = [this.pick(['gt', 'gte', '']), this.pick(['lt', 'lte', ''])]
    return {
      ...(low && { [low]: this.key() }),
      ...(high && { [high]: this.key() }),
      reverse: this.random() < 0.4,
    }
  }
}

const walked = (store: ProjectionStore, range: RowRange, max = Number.POSITIVE_INFINITY) => {
  const found: unknown[] = []
  for (const [key, row] of store.range(range)) {
    found.push([key, plain(row)])
    if (found.length >= max) break
  }
  return found
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test.each(seedsOf(1, 120))(
  'LMDB and memory show the same, also while a commit is on its way, in schedule %d',
  async (seed) => {
    const dice = new Dice(seed)
    const [dir, disk, openDatabase] = [tempFolder(), nodeDisk(), await loadLmdb()]
    const writers = threadProjectionWriters(0)
    const projections = () =>
      lmdbProjections(openDatabase, disk, async (at, depth) => examineProjection(disk, at, depth), {
        wholeBytesMax: dice.pick([0, 1 << 24]),
        ...dice.pick([{}, { firstMapBytes: 1 << 20 }]),
        ...(writers && dice.pick([{}, { makeWriter: writers }])),
        ...dice.pick([{}, { clock: systemClock() }]),
      })
    let real = projections().open(`${dir}/p`)
    const memory = memoryProjections({ turnsMax: 0 }).open('p')
    let lsn = 0
    const changed = (): [Map<string, Row | undefined>, ReturnType<typeof positionAt>] => {
      const changes = new Map<string, Row | undefined>()
      for (let left = dice.below(dice.pick([3, 40, 400])); left > 0; left--)
        changes.set(dice.key(), dice.random() < 0.25 ? undefined : dice.row())
      const frame = { time: lsn, crc: dice.below(2 ** 32) }
      const position = { ...positionAt(++lsn), ...(dice.random() < 0.5 && { frame }) }
      return [changes, position]
    }

    /** Reads while a commit is on its way show the state before it or after it, as the position says. */
    const commit = async (): Promise<void> => {
      const [changes, position] = changed()
      const keys = Array.from({ length: 6 }, () =>
        changes.size > 0 && dice.random() < 0.7 ? dice.pick([...changes.keys()]) : dice.key(),
      )
      const inMemory = () => keys.map((key) => plain(memory.get(key)))
      const before = inMemory()
      const work = real.commit(changes, position)
      await memory.commit(changes, position)
      const after = inMemory()
      let isDone = false
      const done = work.finally(() => {
        isDone = true
      })
      for (let look = 0; look < 8 && !isDone; look++) {
        const shown = real.position()?.lsn
        const found = keys.map((key) => plain(dice.random() < 0.5 ? real.peek(key) : real.get(key)))
        if (shown === real.position()?.lsn)
          expect(found, `on its way, at ${shown}`).toEqual(shown === lsn ? after : before)
        await nextTurn()
      }
      await done
      expect(real.position()).toEqual(memory.position())
      expect(keys.map((key) => plain(real.get(key)))).toEqual(after)
    }

    /** A walk that began before a commit shows nothing of it. */
    const walkOver = async (): Promise<void> => {
      const pin = real.pin()
      const walk = real.range({})
      let step = walk.next()
      const expected = walked(memory, {})
      const [changes, position] = changed()
      await real.commit(changes, position)
      const found: unknown[] = []
      for (; !step.done; step = walk.next()) found.push([step.value[0], plain(step.value[1])])
      expect(found).toEqual(expected)
      pin.release()
      await memory.commit(changes, position)
    }

    try {
      for (let round = 0; round < rounds; round++) {
        await commit()
        for (let at = 0; at < 4; at++) {
          const [range, max] = [dice.range(), dice.pick([Number.POSITIVE_INFINITY, 3])]
          expect(walked(real, range, max), JSON.stringify(range).slice(0, 200)).toEqual(
            walked(memory, range, max),
          )
        }
        if (dice.below(6) === 0) await walkOver()
        if (dice.below(12) > 0) continue
        await real.close()
        const next = projections()
        expect(await next.examine(`${dir}/p`)).toMatchObject({ state: 'sound' })
        real = next.open(`${dir}/p`)
      }
    } finally {
      await Promise.all([real.close(), memory.close()])
    }
  },
  600_000,
)
