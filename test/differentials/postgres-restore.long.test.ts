/**
 * A folder that is made from its replica in PostgreSQL, beside the folder that it came from: random operations, keys and values
 * that a database may take for something else, snapshots, sweeps, restarts, and a server that is killed in between. Every key
 * reads the same, and the restored folder goes on.
 *
 * `KEELSON_SEEDS=300 KEELSON_TIER=ci npx vitest run test/differentials/postgres-restore.long.test.ts`; one schedule:
 * `KEELSON_SEED=123 …`.
 */
import { type App, type Store, start } from 'keelson'
import { postgres, restore } from 'keelson/postgres'
import { expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { seedsOf, thorough } from '../support/tier.ts'
import { noPostgres, PostgresServer } from '../support/worlds/postgres-server.ts'
import { blobBytes, everything, operation, outcome, shown } from './store-operations.ts'

const seeds = seedsOf(1, 180)
const rounds = thorough(5, 20)
const absent = noPostgres()
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Keys that SQL, JSON or `COPY` would read in another way. */
const oddKeys = [`q'"\\:x`, 'ns:y$1', '\\N', 'tab\t\n\r', '\x7f\u2028', '{"a":1}', '\\x00']

/** Values that text, JSON or numbers of a database would change. */
const oddValues: readonly (() => unknown)[] = [
  () => Number.NaN,
  () => -0,
  () => 5e-324,
  () => 2n ** 63n - 1n,
  () => -(2n ** 63n),
  () => new Date(8.64e15),
  () => new Map<unknown, unknown>([[{ a: 1 }, '\0']]),
  () => new Map<unknown, unknown>([['\0', new Set([1, Number.NaN])]]),
  () => ({ '\0k': { __x: '\u0000' }, e: '' }),
  () => ({ ['k'.repeat(5_000)]: Number.POSITIVE_INFINITY }),
  () => Array.from({ length: 200 }).reduce<unknown>((inner) => [inner], 1),
  () => null,
  () => '\ud7ff'.repeat(30_000),
  () => '\\u0000\0',
  () => Buffer.from([0, 92, 39, 255]),
]

/** Its time to live, but for the ms that pass between two looks. */
const ttlOf = (store: Store, key: string): unknown => {
  const ttl = store.ttl(key)
  return typeof ttl === 'number' && Number.isFinite(ttl) ? ttl > 1e12 : ttl
}

/** What every key has, and how long the odd ones do. */
const contentOf = async (store: Store): Promise<unknown> => {
  const odd = oddKeys.map(async (key) => [key, shown(await store.load(key)), ttlOf(store, key)])
  return [await everything(store), await Promise.all(odd)]
}

test.skipIf(lacks(absent)).each(seeds)(
  'a folder restored from PostgreSQL reads as the one that it came from, in schedule %d',
  { timeout: 600_000 },
  async (seed) => {
    const server = new PostgresServer(`${tempFolder()}/server`)
    onTestFinished(() => server.stop())
    await server.start()
    const connectionString = server.url
    const random = seededRandom(seed)
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
    const isNow = (of: number): boolean => random() * of < 1
    const chunkBytes = pick([1_024, 65_536, 1 << 20])
    const [dir, copy] = [tempFolder(), `${tempFolder()}/copy`]
    const open = (): Promise<App> =>
      start({
        ...{ dir, shards: 2, logger: silent, wal: { maxFileSize: 1 << 20 } },
        blobs: { threshold: blobBytes, graceMs: 200 },
        snapshot: { minLogBytes: 1 << 20 },
        replication: [{ client: postgres({ connectionString }), chunkBytes }],
      })
    let app = await open()
    try {
      for (let round = 0; round < rounds; round++) {
        const burst = Array.from({ length: 1 + Math.floor(random() * 20) }, () =>
          outcome(() => operation(random).ask(app.store, (value) => value)),
        )
        await Promise.all(burst)
        const [key, value] = [pick(oddKeys), pick(oddValues)()]
        await app.store.put(key, value, isNow(3) ? { expiresAt: Number.MAX_SAFE_INTEGER } : {})
        if (isNow(4)) await app.control.snapshotAll().catch(() => undefined)
        if (isNow(6)) await app.control.sweepAll().catch(() => undefined)
        if (isNow(6)) {
          await server.kill()
          await server.start()
        }
        if (isNow(5)) {
          await app.close()
          app = await open()
        }
      }
      const last = Array.from({ length: 16 }, (_, at) =>
        app.store.put(`last${at}`, seed, { ack: 'replicated' }),
      )
      await Promise.all(last)
      const content = await contentOf(app.store)
      await app.close()

      await restore({ client: postgres({ connectionString }), dir: copy })
      app = await start({ dir: copy, logger: silent, acts: true })

      expect(await contentOf(app.store)).toEqual(content)
      await app.store.put('on', seed)
      expect(app.store.get('on')).toBe(seed)
    } finally {
      await app.close()
    }
  },
)
