/** Six wrong commands through every public door of the built package: refused, the shard lives, the folder opens again. */
import {
  type App,
  call,
  type From,
  type GenServer,
  isKeelsonError,
  name,
  noReply,
  start,
} from 'keelson'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'

const none = { kind: 'none' }
const value = { tag: 2, bytes: Uint8Array.of(1) }

/** What S1 put into a log, and no applier could read. */
const wrong: readonly (readonly [what: string, command: unknown])[] = [
  ['no command', {}],
  ['an unknown kind', { kind: 'nope' }],
  ['a list where a command belongs', []],
  [
    'a forged reference to a blob',
    { kind: 'put', key: 'k', value: { ...value, tag: 3 }, expiry: none },
  ],
  ['a lock of no key', { kind: 'lock', keys: [], owner: 'me', leaseMs: 1 }],
  ['an expiry that is none', { kind: 'put', key: 'k', value, expiry: { kind: 'at', ms: -1 } }],
]

type Door = (app: App, command: never) => Promise<unknown>

/** The entries and keys that a wrong command stands for, where a door takes these. */
const partsOf = (command: unknown): never =>
  (Array.isArray(command) ? command : [command]) as unknown as never

/** Keeps the caller, and lets the batcher answer it. */
type Keeper = { calls: { keep: () => unknown } }
const keeping = (act: (from: From<never>) => unknown): GenServer<Keeper, null> => ({
  init: () => null,
  calls: {
    keep: (state, _, context) => {
      act(context.from as From<never>)
      return noReply(state)
    },
  },
})
const kept = async (app: App, act: (from: From<never>) => unknown): Promise<unknown> =>
  call(await app.system.start(keeping(act), undefined), 'keep')

/** A message for the batcher, as anybody may send it. */
type Anything = { calls: { [name: string]: (payload?: unknown) => unknown } }
const told =
  (message: string): Door =>
  (app, command) =>
    call(app.system.to(name<Anything>('batcher(0)')), message, command)

const doors: Readonly<Record<string, Door>> = {
  'app.batcher.write': (app, command) => app.batcher.write(0, command),
  'app.batcher.writeBatch': (app, command) => app.batcher.writeBatch(0, [command]),
  'app.batcher.writePutBatch': (app, command) => app.batcher.writePutBatch(0, partsOf(command)),
  'app.batcher.writeDeleteBatch': (app, command) =>
    app.batcher.writeDeleteBatch(0, partsOf(command)),
  'app.batcher.writePutBatchAsync': (app, command) =>
    kept(app, (from) => app.batcher.writePutBatchAsync(0, partsOf(command), from)),
  'app.batcher.writeDeleteBatchAsync': (app, command) =>
    kept(app, (from) => app.batcher.writeDeleteBatchAsync(0, partsOf(command), from)),
  "call(batcher, 'write')": told('write'),
  "call(batcher, 'append')": told('append'),
  'app.store.put, as a key': (app, command) => app.store.put(command, 1),
  'app.store.putMany': (app, command) => app.store.putMany(partsOf([command])),
  'app.store.deleteMany': (app, command) => app.store.deleteMany([command]),
  'app.store.lock': (app, command) => app.store.lock([command], { owner: 'me', leaseMs: 1 }),
  'app.store.batch().put': async (app, command) => app.store.batch().put(command, 1).commit(),
}

/** The code of a refusal. */
const codeOf = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work()
    return 'ok'
  } catch (error) {
    return isKeelsonError(error) ? error.code : String(error)
  }
}

describe('six wrong commands', () => {
  test('are refused with a code at every public door, the shard lives, and the folder opens again', async () => {
    const dir = tempFolder()
    const app = await start({ dir })
    await app.store.put('before', 1)
    const { lsn } = app.wal(0).position

    const codes: string[] = []
    for (const [door, enter] of Object.entries(doors))
      for (const [what, command] of wrong)
        codes.push(`${door}: ${what}: ${await codeOf(() => enter(app, command as never))}`)

    expect(codes.filter((code) => !code.endsWith(': INVALID_ARGUMENT'))).toEqual([])
    expect(codes).toHaveLength(6 * Object.keys(doors).length)
    expect(app.wal(0).position.lsn).toBe(lsn)
    expect(app.health().shards).toMatchObject([{ phase: 'open', reason: undefined }])
    await app.store.put('after', 2)
    await app.close()

    const again = await start({ dir })
    expect(again.store.getMany(['before', 'after', 'k'])).toEqual([1, 2, undefined])
    await again.close()
  })

  test('of another shard are refused too, and right ones are written', async () => {
    const app = await start({ dir: tempFolder(), shards: 2 })
    const codes: string[] = []
    for (const shard of [0, 1])
      codes.push(
        await codeOf(() =>
          app.batcher.write(shard, {
            kind: 'put',
            key: 'k',
            value: { tag: 1, bytes: Buffer.from('text') },
            expiry: { kind: 'none' },
          }),
        ),
      )
    expect(codes.sort()).toEqual(['CROSS_SHARD', 'ok'])
    expect(app.store.get('k')).toBe('text')
    for (const shard of [2, -1, 'x', undefined])
      expect(
        await codeOf(() => app.batcher.write(shard as number, { kind: 'delete', key: 'k' })),
      ).toBe('INVALID_ARGUMENT')
    expect(() => app.wal(2)).toThrowError(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(await app.wal(0).describe()).toMatchObject({ mode: 'open', level: 'durable' })
    expect(await app.wal(0).sync()).toBeGreaterThanOrEqual(0)
    await app.close()
  })
})
