/** An instance whose windows are watched: what became of each frame, in order. */
import type { StorageEvents } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { encodeValue, noExpiry } from '../../../src/storage/index.ts'
import type { StartOptions } from '../../../src/supervisors/index.ts'
import { started } from './simulated-instance.ts'

/** The events of `batcher.flushed`. */
export type Flushed = Parameters<StorageEvents['batcher.flushed']>[0]

/** A machine with one instance. `flushed` and `commits` collect its events of frames and groups. */
export const batched = async ({
  syncMs = 1,
  seed = 1,
  ...options
}: Partial<StartOptions> & { syncMs?: number; seed?: number } = {}) => {
  const begun = await started(options, { syncMs, seed })
  const flushed: Flushed[] = []
  const commits: number[] = []
  const events = telemetry<StorageEvents>(begun.app.system)
  events.on('batcher.flushed', (event) => flushed.push(event))
  events.on('wal.commit', ({ frames }) => commits.push(frames))
  return { ...begun, flushed, commits }
}

/** The first shard of an instance: there always is one. */
export const firstShardOf = <S>({ shards: [shard] }: { readonly shards: readonly S[] }): S => {
  if (shard === undefined) throw new Error('no shard')
  return shard
}

/** An entry that never expires. */
export const entryOf = (key: string, value: unknown) => ({
  key,
  value: encodeValue(value),
  expiry: noExpiry,
})

/** A command that puts 1 under each of these keys. */
export const puttingOne = (...keys: string[]) =>
  ({ kind: 'putMany', entries: keys.map((key) => entryOf(key, 1)) }) as const

/** What became of each of several promises so far: `pending`, `ok`, or a code. */
export const outcomesOf = (works: readonly Promise<unknown>[]): readonly unknown[] => {
  const outcomes: unknown[] = works.map(() => 'pending')
  works.forEach((work, at) => {
    work.then(
      () => {
        outcomes[at] = 'ok'
      },
      (error) => {
        outcomes[at] = error.code ?? error
      },
    )
  })
  return outcomes
}

/** Whole milliseconds of virtual time until `work` settles. */
export const msOf = async (
  {
    clock,
  }: {
    clock: {
      monotonic: () => number
      advance: (ms: number) => Promise<void>
      settle: () => Promise<void>
    }
  },
  work: Promise<unknown>,
): Promise<number> => {
  let settled = false
  const end = () => {
    settled = true
  }
  work.then(end, end)
  const from = clock.monotonic()
  await clock.settle()
  while (!settled && clock.monotonic() - from < 120_000) await clock.advance(1)
  return clock.monotonic() - from
}
