/**
 * A store in a real folder whose worker threads are ended at random, as by a fault of Node, while callers write with short
 * deadlines and overwrite what they gave. What is acknowledged is there, also when LMDB is made again from the log, and nothing
 * appears that was refused.
 *
 * `KEELSON_SEEDS=60 npx vitest run test/differentials/threads-end.slow.test.ts`; one schedule: `KEELSON_SEED=123 …`.
 */
import { rmSync } from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import type { Worker, WorkerOptions } from 'node:worker_threads'
import { type App, isKeelsonError, start } from 'keelson'
import { afterAll, expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { seedsOf, thorough } from '../support/tier.ts'

/** The threads that live. */
const workers = new Set<Worker>()
const threads = createRequire(import.meta.url)('node:worker_threads')
const RealWorker: new (file: string | URL, options?: WorkerOptions) => Worker = threads.Worker
threads.Worker = class extends RealWorker {
  constructor(file: string | URL, options?: WorkerOptions) {
    super(file, options)
    workers.add(this)
    this.on('exit', () => workers.delete(this))
  }
}
syncBuiltinESMExports()
afterAll(() => {
  threads.Worker = RealWorker
  syncBuiltinESMExports()
})

const steps = thorough(200, 12_000)
const silent = { debug() {}, info() {}, warn() {}, error() {} }
/** Refusals that say that nothing was written, and nothing ever will be. */
const neverWritten = ['NOT_SUBMITTED', 'BUSY', 'CLOSED', 'SHARD_DOWN', 'TOO_LARGE']
/** What a read may meet while a thread starts again. */
const passing = ['SHARD_DOWN', 'EXITED', 'CLOSED']

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test.each(seedsOf(1, 60))(
  'a store whose threads are ended keeps what it has acknowledged, in schedule %d',
  async (seed) => {
    const random = seededRandom(seed)
    const below = (limit: number): number => Math.floor(random() * limit)
    const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T
    const [dir, maxFileSize, threshold] = [tempFolder(), pick([1, 8]) << 20, pick([0, 100_000])]
    const open = (): Promise<App> =>
      start({ dir, shards: 2, logger: silent, wal: { maxFileSize }, blobs: { threshold } })
    /** By key: the writes of which each may be the last that took effect, `0` for none. */
    const possible = new Map<string, { readonly number: number }[]>()
    const pending = new Set<Promise<void>>()
    let [app, written, acknowledged, ended] = [await open(), 0, 0, 0]

    const write = (): void => {
      const key = `${pick(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])}${below(12)}`
      const issued = { number: ++written }
      const large = below(40) === 0 ? 1_200_000 : 0
      const bytes = Buffer.alloc(12 + pick([0, 0, 10, 300, 5_000, large]), written & 255)
      bytes.write(`${written};`)
      const list = possible.get(key) ?? [{ number: 0 }]
      possible.set(key, list)
      list.push(issued)
      const work = app.store.put(key, bytes, { deadlineMs: pick([1, 2, 5, 20, 30_000]) }).then(
        () => {
          acknowledged++
          list.splice(0, list.indexOf(issued))
        },
        (error: unknown) => {
          if (!isKeelsonError(error)) throw error
          if (neverWritten.includes(error.code)) list.splice(list.indexOf(issued), 1)
          else if (error.code !== 'UNKNOWN_OUTCOME') throw error
        },
      )
      bytes.fill(0xee)
      pending.add(work)
      work.finally(() => pending.delete(work)).catch(() => undefined)
    }

    /** Nothing is refused for good: each shard opens again. */
    const openShards = async (): Promise<void> => {
      for (const { shard, phase } of app.health().shards)
        if (phase === 'down') await app.control.reopen(shard).catch(() => undefined)
      await nextTurn()
    }

    const loaded = async (key: string): Promise<unknown> => {
      for (;;)
        try {
          return await app.store.load(key)
        } catch (error) {
          if (!isKeelsonError(error) || !passing.includes(error.code)) throw error
          await openShards()
        }
    }

    const check = async (when: string): Promise<void> => {
      await Promise.all(pending)
      await openShards()
      for (const [key, list] of possible) {
        const found = await loaded(key)
        const number =
          found instanceof Uint8Array ? Number.parseInt(`${Buffer.from(found)}`, 10) : 0
        expect(
          list.map((each) => each.number),
          `${key} ${when}, seed ${seed}`,
        ).toContain(number)
      }
    }

    const again = async (lost: readonly number[]): Promise<void> => {
      await Promise.all(pending)
      await app.close()
      for (const shard of lost)
        rmSync(`${dir}/shard-${shard}/lmdb`, { recursive: true, force: true })
      app = await open()
    }

    try {
      for (let step = 0; step < steps; step++) {
        for (let left = below(pick([3, 30, 200])); left > 0; left--) write()
        if (below(40) === 0 && workers.size > 0) {
          ended++
          await pick([...workers]).terminate()
        }
        await openShards()
        if (below(60) === 0) await check('while it runs')
        if (below(150) === 0)
          await again([0, 1].filter(() => random() < 0.5)).then(() => check('after a start'))
      }
      await check('at the end')
      await again([0, 1])
      await check('from the log alone')
      expect({ acknowledged: acknowledged > 0, ended: ended > 0 }).toEqual({
        acknowledged: true,
        ended: true,
      })
    } finally {
      await app.close()
    }
  },
  600_000,
)
