/**
 * The life of a store, from one seed: writers, killed actors, suspensions, power cuts, failing disks and lost projections,
 * against a model. Whatever happens, an acknowledged write is there, no value appears that was never written, and every call
 * settles.
 */
import { expect } from 'vitest'
import { Applier, Control, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import { seededRandom } from '../../../src/clock.ts'
import type { KeelsonError } from '../../../src/errors.ts'
import { reasonText } from '../../../src/errors.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { nastyMachine } from '../worlds/nasty-machine.ts'
import type { Machine } from '../worlds/simulated-instance.ts'

/**
 * Writes of one key, in the order of their issue, of which each may be the last that took effect: the last acknowledged one, and
 * those behind it whose outcome is open. A value of `undefined` is a delete.
 */
type Possible = { readonly value: unknown }[]

const keys = Array.from('abcdefghij')

/** Refusals that say that nothing was written, and nothing ever will be. */
const neverWritten = ['NOT_SUBMITTED', 'BUSY', 'NO_SPACE', 'CLOSED', 'SHARD_DOWN']

/** The machine of a world, and what else may happen to it. */
export type StoreMachine = Machine & {
  readonly troubles: readonly (() => void)[]
  /** What may be lost between two instances. */
  readonly losses: readonly (() => void)[]
  /** The reasons for which a shard may be down. */
  readonly downs: RegExp
  /** Without fsync an acknowledgement does not survive a power cut. */
  readonly mayLackFsync: boolean
}

/** Makes the machine of a world. */
export type MakeStoreMachine = (seed: number, pick: <T>(from: readonly T[]) => T) => StoreMachine

/** A machine with its logs on its disk, whose writes and syncs fail. */
export const diskMachine: MakeStoreMachine = (seed, pick) => {
  const world = nastyMachine({ seed, syncMs: pick([0, 1, 7]), endMs: pick([0, 5]) })
  const failing = (): void =>
    world.disk.inject({
      at: 1,
      operation: pick(['sync', 'write'] as const),
      path: '/data/shard-0/wal',
      fault: { kind: 'error', code: 'EIO' },
    })
  return {
    ...world,
    troubles: [failing],
    losses: [],
    downs: /poisoned|spent its restarts|EIO/,
    mayLackFsync: true,
  }
}

/** The same with threads that die at any of their calls to the disk. */
export const mortalMachine: MakeStoreMachine = (seed, pick) => {
  const world = diskMachine(seed, pick)
  const dying = (): void => {
    for (const thread of world.threads(pick(['log', 'log', 'blobs', 'snapshots'] as const)))
      thread.dieAt(pick([1, 2, 5, 20, 90]))
  }
  return { ...world, troubles: [...world.troubles, dying] }
}

/** One world; rejects with what went wrong, if anything did. */
export const liveStore = async (seed: number, make = diskMachine): Promise<void> => {
  const random = seededRandom(seed)
  /** Decides what was added later. */
  const dice = seededRandom(seed ^ 0xd1ce)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const world = make(seed, pick)
  const { clock, disk, projections, during, troubles, losses, downs } = world
  const model = new Map<string, Possible>(keys.map((key) => [key, [{ value: undefined }]]))
  // Without fsync there is no power cut.
  const enableFsync = random() < 0.7 || !world.mayLackFsync
  const options = {
    shards: pick([1, 2]),
    wal: { maxFileSize: 128 * 1024, enableFsync },
    // So small that rows are read from the projection as soon as it has them.
    ...(seed % 2 === 1 && { overlay: { keys: 4 } }),
  }
  let app = await world.start(options)
  let value = 0
  const pending = new Set<Promise<void>>()

  const write = (): void => {
    const key = pick(keys)
    const possible = model.get(key) as Possible
    const isDelete = random() < 0.2
    const next = isDelete
      ? undefined
      : `${key}:${value++}:${'x'.repeat(Math.floor(random() * 400))}`
    const deadlineMs = pick([5, 50, 30_000])
    const work = isDelete
      ? app.store.delete(key, { deadlineMs })
      : app.store.put(key, next, { deadlineMs })
    const issued = { value: next }
    possible.push(issued)
    const done = work.then(
      // Writes of a key take effect in the order of their issue: those before an acknowledged one are past.
      () => void possible.splice(0, possible.indexOf(issued)),
      (error: KeelsonError) => {
        if (neverWritten.includes(error.code)) possible.splice(possible.indexOf(issued), 1)
        else if (error.code !== 'UNKNOWN_OUTCOME') throw error
      },
    )
    pending.add(done)
    done.finally(() => pending.delete(done)).catch(() => undefined)
  }

  const check = (): void => {
    for (const key of keys) {
      const found = app.store.get(key)
      const possible = model.get(key)?.map(({ value }) => value)
      expect(possible, `seed ${seed}, key ${key}`).toContain(found)
    }
    const listed = app.store.range({ limit: 100 }).entries.map(([key]) => key)
    expect(listed, `seed ${seed}`).toEqual(keys.filter((key) => app.store.get(key) !== undefined))
  }

  const restart = async (end: (app: App) => Promise<void>): Promise<void> => {
    await end(app)
    await during(Promise.all([...pending]))
    disk.clearFaults()
    if (losses.length > 0) pick(losses)()
    app = await world.start(options)
    check()
  }

  /** Whatever happened so far: a shard that answers answers right. */
  const checkNow = (): void => {
    if (app.shards.every(({ phase }) => phase.kind === 'open')) check()
    for (const { phase } of app.shards)
      if (phase.kind === 'down') expect(reasonText(phase.reason), `seed ${seed}`).toMatch(downs)
  }

  const events: (() => Promise<void> | void)[] = [
    ...Array(12).fill(write),
    ...Array(4).fill(checkNow),
    () => void app.control.reopen(0, pick(['shard', 'followers'])).catch(() => undefined),
    () => clock.advance(pick([1, 5, 60])),
    () => clock.settle(),
    () =>
      app.system.kill(
        pick<never>([WalWriter, Applier, LmdbWriter].map((each) => each.name(0)) as never),
      ),
    () => app.system.kill(Control.name()),
    () =>
      void app.control
        .suspendAll({ flush: random() < 0.5, leaseMs: pick([10, 500]), timeoutMs: 100 })
        .catch(() => undefined),
    () => void app.control.discardAll({ timeoutMs: 100 }).catch(() => undefined),
    () => projections.failCommits('/data/shard-0/lmdb', pick([0, 2])),
    ...troubles,
    () =>
      restart(async (ending) => {
        await during(ending.close())
      }),
    () =>
      restart(async (ending) => {
        if (enableFsync) disk.crash()
        await during(ending.close({ deadlineMs: 0 })).catch(() => undefined)
        if (enableFsync) disk.crash()
        projections.loseCommits('/data/shard-0/lmdb', pick([0, 1, 3]))
      }),
  ]

  /** A commit of the projection takes some turns of the event loop: whoever reads in one of them reads right. */
  const lookTurnByTurn = async (): Promise<void> => {
    for (let turn = 0; turn < 12; turn++) {
      await new Promise<void>((resolve) => clock.soon(resolve))
      checkNow()
    }
  }

  for (let step = 0; step < 120; step++) {
    await pick(events)()
    if (dice() < 0.2) await lookTurnByTurn()
    // What is on its way to the log at a hasty end may be refused, and then written.
    if (dice() < 0.02)
      await restart(async (ending) => {
        for (let each = 0; each < 6; each++) write()
        await clock.advance(dice() * 3)
        await during(ending.close({ deadlineMs: 0 })).catch(() => undefined)
      })
  }
  await restart(async (ending) => {
    await during(ending.close())
  })
  await during(app.close())
  // What is late arrives: a projection is called well after a minute.
  await clock.advance(61_000)
  expect(clock.untilNext(), `seed ${seed}`).toBeUndefined()
}
