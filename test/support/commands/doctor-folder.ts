/**
 * A data folder `d` for `keelson doctor`, with everything that one can have: two shards, one with a
 * log that was given back behind a snapshot, one with its whole log; blobs, entities, a projection by
 * users, two states of the journal. And what is in it, and what the command finds in it.
 */

import { join } from 'node:path'
import {
  type App,
  call,
  countsByNamespace,
  type DurableServer,
  entity,
  ok,
  reply,
  start,
  supervisor,
} from 'keelson'
import { expect } from 'vitest'
import { shardOf } from '../../../src/storage/index.ts'
import { commandHere } from './command-here.ts'

/** Tags whose keys are in shard 0 and 1. */
const tags = [0, 1].map((shard) => {
  const tag = ['a', 'b', 'c', 'd', 'e'].find((each) => shardOf(`{${each}}`, 2) === shard)
  return `{${tag}}`
})

/** The key `name` in a shard. */
export const keyIn = (shard: number, name: string): string => `${tags[shard]}:${name}`

type Account = { calls: { add: (by: number) => number } }

const account: DurableServer<Account, number> = {
  init: () => ok(0),
  calls: { add: (balance, by) => reply(balance + by, balance + by) },
}

const accounts = entity('account', account)

const options = (dir: string) => ({
  dir: join(dir, 'd'),
  wal: { maxFileSize: 131_072 },
  blobs: { threshold: 20_000, sweepMs: 0 },
  projections: [countsByNamespace()],
  app: supervisor('app', {}, [accounts]),
})

/** The first is longer than the part that is read without `--deep`. */
const large = (at: number): Buffer => Buffer.alloc(at === 0 ? 200_000 : 30_000, at)

/** Makes the folder in `dir`, and closes it. */
export const makeFolder = async (dir: string): Promise<void> => {
  const app = await start({ ...options(dir), shards: 2 })
  const { store, journal } = app
  await journal.append({ id: 'first', type: 'order' })
  await fill(app, 0, 60)
  await fill(app, 1, 15)
  for (const id of ['x', 'y', 'z']) await call(app.entity(accounts).ref(id), 'add', 5)
  for (const id of ['second', 'third'])
    await journal.saveState((await journal.append({ id, type: 'order' })).lsn, id)
  await app.control.snapshotAll()
  await store.put(keyIn(0, 'late'), 'late')
  await store.put(keyIn(1, 'late'), 'late')
  await app.close()
}

const fill = async ({ store }: App, shard: number, count: number): Promise<void> => {
  const key = (name: string) => keyIn(shard, name)
  const values = Array.from({ length: count }, (_, at) => ({ at, text: 'x'.repeat(5_000) }))
  await Promise.all(values.map((value) => store.put(key(`k${value.at}`), value)))
  for (let at = 0; at < 2; at++) await store.put(key(`blob${at}`), large(at))
  await store.putField(key('fields'), 'one', 1)
  await store.append(key('text'), 'abc')
  await store.put(key('gone'), 1)
  await store.delete(key('gone'))
}

/** Opens the folder and checks that all that it had is there, and that it can be written. */
export const expectWhole = async (dir: string): Promise<void> => {
  const app = await start(options(dir))
  try {
    for (const [shard, count] of [60, 15].entries()) {
      const key = (name: string) => keyIn(shard, name)
      for (let at = 0; at < count; at++) expect(app.store.get(key(`k${at}`))).toMatchObject({ at })
      for (let at = 0; at < 2; at++)
        expect(Buffer.from(app.store.get(key(`blob${at}`)) as Uint8Array)).toEqual(large(at))
      expect(app.store.getField(key('fields'), 'one')).toBe(1)
      expect([app.store.get(key('text')), app.store.has(key('gone'))]).toEqual(['abc', false])
      expect(app.store.get(key('late'))).toBe('late')
      await app.store.put(key('new'), 'new')
    }
    expect(await call(app.entity(accounts).ref('x'), 'add', 1)).toBe(6)
  } finally {
    await app.close()
  }
}

/** A finding as the command gives it with `--json`. */
export type Told = {
  readonly code: string
  readonly severity: string
  readonly shard: number | null
  readonly file: string
  readonly evidence: string
  readonly remedy: string
  readonly repairable: boolean
}

/** Runs `keelson doctor d` in `dir`, in this process. A test on tmpfs is not told so. */
export const doctor = async (dir: string, ...words: readonly string[]) => {
  const { status, output, errors } = await commandHere(['doctor', 'd', '--json', ...words], dir)
  const told = output === '' ? {} : JSON.parse(output)
  const own = (found: readonly Told[] | null | undefined): readonly Told[] =>
    (found ?? []).filter(({ code }) => code !== 'disk.memory')
  return {
    status,
    errors,
    findings: own(told.findings),
    left: own(told.left),
    repaired: told.repaired as readonly string[] | null,
    heldBy: told.heldBy as string | null,
  }
}
