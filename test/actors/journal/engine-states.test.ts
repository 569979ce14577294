/** Saved states of an application whose log is in an engine: the data folder is a cache of them. */
import { describe, expect, test, vi } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { seededRandom } from '../../../src/clock.ts'
import { EngineCalls } from '../../../src/members/engine-log/engine-calls.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { encodedAppState, statesIn } from '../../../src/storage/snapshots/app-state.ts'
import { eventPayload } from '../../../src/storage/values/event-payload.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { seedsOf } from '../../support/tier.ts'
import {
  type EngineMachine,
  engineMachine,
  lossy,
  noUploads,
  patienceMs,
} from '../../support/worlds/engine-machine.ts'
import { small } from '../../support/worlds/logs.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const calm = { lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0 }

const started = async () => {
  const world = engineMachine({ faults: calm })
  return { world, app: await world.start() }
}

/** Appends an entry and saves a state that has it. */
const save = async (world: EngineMachine, { journal }: App, id: string): Promise<number> => {
  const { lsn } = await world.during(journal.append({ id, type: 'order' }))
  await world.during(journal.saveState(lsn, id))
  return lsn
}

const load = (world: EngineMachine, { journal }: App) => world.during(journal.loadState<string>())

/** The names of the states in the engine, the oldest first. */
const named = async ({ engine, clock, during }: EngineMachine): Promise<readonly string[]> => {
  const { files } = engine.connect('c')
  const names = new EngineCalls(clock).ask(() => files.list('shard-0/state-'))
  return (await during(names)).toSorted(byPlace)
}

const byPlace = (one: string, other: string): number =>
  one.localeCompare(other, 'en', { numeric: true })

/** Replaces a file of the engine by other bytes. */
const damage = async ({ engine, during }: EngineMachine, name: string): Promise<void> => {
  const { files } = engine.connect('c')
  await during(files.remove(name))
  await during(files.put(name, [Uint8Array.of(1, 2, 3)]))
}

test('a saved state, and the entries behind it, survive an emptied folder and a trimmed log', async () => {
  const { world, app } = await started()
  for (const id of ['a', 'b', 'c']) await save(world, app, id)
  await world.during(app.journal.append({ id: 'd', type: 'order' }))
  for (let round = 0; round < 3; round++) {
    await world.during(app.store.put('k', round))
    await world.during(app.control.snapshot(0))
  }
  expect(world.engine.kept('c', '0').head.trimmed.lsn).toBeGreaterThan(1)
  await world.during(app.close())
  world.emptyCache()

  const next = await world.start()

  const state = await load(world, next)
  const behind: string[] = []
  const from = (state?.lsn ?? -1) + 1
  await world.during(next.journal.replay({ from, handler: ({ id }) => void behind.push(id) }))
  expect([state?.value, behind]).toEqual(['c', ['d']])
  expect(next.health().shards[0]?.journal.states).toHaveLength(2)
  expect(await named(world)).toHaveLength(2)
  await world.during(next.close())
})

test('the states that a backup copies stay in the folder, however many are saved and loaded since', async () => {
  const { world, app } = await started()
  const copied = [await save(world, app, 'a'), await save(world, app, 'b')]
  const { journal } = app.shards[0] as (typeof app.shards)[number]
  journal.copiedLsn = copied.at(-1) ?? 0
  const since = [await save(world, app, 'c'), await save(world, app, 'd')]

  const state = await load(world, app)

  expect(state?.value).toBe('d')
  expect(statesIn(world.disk, '/data/shard-0/snapshot')).toEqual([...copied, ...since])
  journal.copiedLsn = 0
  await load(world, app)
  expect(statesIn(world.disk, '/data/shard-0/snapshot')).toEqual(since)
  await world.during(app.close())
})

test('the log is kept for the older of two states that only the engine has', async () => {
  const { world, app } = await started()
  const older = await save(world, app, 'a')
  await save(world, app, 'b')
  await world.during(app.close())
  world.emptyCache()
  const next = await world.start()
  for (let round = 0; round < 3; round++) {
    await world.during(next.store.put('k', round))
    await world.during(next.control.snapshot(0))
  }

  expect(next.health().shards[0]?.journal.floorLsn).toBe(older)
  expect(world.engine.kept('c', '0').head.trimmed.lsn).toBeLessThanOrEqual(older)
  expect(await codeOf(next.journal.saveState(older - 1, 'too old'))).toBe('INVALID_ARGUMENT')
  await world.during(next.close())
})

test('an emptied folder and a trim leave every entry that a saved subscription needs', async () => {
  const readers = { journal: { retention: 'readers' } } as const
  const world = engineMachine({ faults: calm })
  const app = await world.start(readers)
  const handled: string[] = []
  const handler = ({ id }: { readonly id: string }) => void handled.push(id)
  const append = async (on: App, id: string): Promise<void> => {
    await world.during(on.journal.append({ id, type: 'order' }))
  }
  const audit = app.journal.subscribe({ name: 'audit', handler })
  await append(app, 'a')
  await world.clock.advance(100)
  await world.during(audit.end())
  for (const id of ['b', 'c']) await append(app, id)
  await world.during(app.close())
  world.emptyCache()

  // Nobody subscribes in this life.
  const next = await world.start(readers)
  for (let round = 0; round < 3; round++) {
    await world.during(next.store.put('k', round))
    await world.during(next.control.snapshot(0))
  }
  const { trimmed } = world.engine.kept('c', '0').head
  await world.during(next.close())
  world.emptyCache()
  const last = await world.start(readers)
  last.journal.subscribe({ name: 'audit', handler })
  await world.clock.advance(100)

  expect(handled).toEqual(['a', 'b', 'c'])
  expect(trimmed.lsn).toBeGreaterThan(1)
  expect(last.health().shards[0]?.journal.subscriptions[0]?.failure).toBe(undefined)
  await world.during(last.close())
})

describe('a paused owner', () => {
  test('acknowledges no state and removes none', async () => {
    const { world, app } = await started()
    for (const id of ['a', 'b']) await save(world, app, id)
    const before = await named(world)
    const { lsn } = await world.during(app.journal.append({ id: 'c', type: 'order' }))
    const log = world.engine.connect('c').log('0')
    const { clock } = world
    const host = ownedLogHost({ log, clock, patienceMs, uploads: noUploads })
    const at = { dir: '', options: small }
    const inspection = await world.during(host.run('inspect', { ...at, evidence: [] }))
    await world.during(host.run('open', { ...at, inspection }))

    expect(await world.during(codeOf(app.journal.saveState(lsn, 'c')))).toBe('FENCED')
    expect(await world.during(codeOf(app.journal.loadState()))).toBe('FENCED')

    expect((await named(world)).slice(0, 2)).toEqual(before)
    expect(app.health().shards[0]?.journal.states).toHaveLength(2)
    await host.end()
    await world.during(app.close({ deadlineMs: 0 }))
  })

  test('does not bring its state back over one that a later owner has saved', async () => {
    const { world, app } = await started()
    for (const id of ['a', 'b']) await save(world, app, id)
    const { lsn } = await world.during(app.journal.append({ id: 'c', type: 'order' }))
    await world.during(app.close())
    const next = await world.start()
    await world.during(next.journal.saveState(lsn, 'of the later owner'))
    // Its put arrives now, with what nobody was told.
    const bytes = encodedAppState({ lsn: lsn + 1, time: 1, content: eventPayload('late') })
    const late = `shard-0/state-1-9-${lsn + 1}-${crc32(bytes)}`
    await world.during(world.engine.connect('c').files.put(late, [bytes]))
    await world.during(next.close())
    world.emptyCache()

    const last = await world.start()

    expect(await load(world, last)).toMatchObject({ lsn, value: 'of the later owner' })
    await save(world, last, 'd')
    expect(await named(world)).not.toContain(late)
    await world.during(last.close())
  })
})

describe('a state that the engine does not have whole', () => {
  test('is not used: an older one is, and a line in the log says so', async () => {
    const { world, app } = await started()
    for (const id of ['a', 'b']) await save(world, app, id)
    await world.during(app.close())
    const [, newest = ''] = await named(world)
    await damage(world, newest)
    world.emptyCache()
    const next = await world.start()
    const said: string[] = []
    vi.spyOn(next.system.logger, 'error').mockImplementation((line) => void said.push(line))

    expect((await load(world, next))?.value).toBe('a')

    expect(said).toContain(`the saved state ${newest} of shard 0 is damaged: an older one is used`)
    await world.during(next.close())
  })

  test('is taken from the folder, if that has it whole', async () => {
    const { world, app } = await started()
    for (const id of ['a', 'b']) await save(world, app, id)
    for (const name of await named(world)) await damage(world, name)

    expect((await load(world, app))?.value).toBe('b')
    await world.during(app.close())
  })

  test('is CORRUPT if there is no other', async () => {
    const { world, app } = await started()
    for (const id of ['a', 'b']) await save(world, app, id)
    const names = await named(world)
    for (const name of names) await damage(world, name)
    await world.during(app.close())
    world.emptyCache()
    const log = capturedLog()
    const next = await world.start({ system: createSystem({ clock: world.clock, logger: log }) })
    const error = await load(world, next).catch((reason: unknown) => reason)

    expect(error).toMatchObject({ code: 'CORRUPT', details: { file: names[1] } })
    // The start has looked for it too, and went on.
    expect(log.messages('error')).toEqual([(error as Error).message])
    await world.during(next.close())
  })

  test('is not acknowledged, and the ones before it stay', async () => {
    const { world, app } = await started()
    for (const id of ['a', 'b']) await save(world, app, id)
    const before = await named(world)
    world.engine.damagesFiles = true

    expect(await codeOf(save(world, app, 'c'))).toBe('CORRUPT')

    world.engine.damagesFiles = false
    expect(await named(world)).toEqual(expect.arrayContaining([...before]))
    expect((await load(world, app))?.value).not.toBe(undefined)
    await world.during(app.close())
  })
})

test('a state that is damaged in the folder is fetched again', async () => {
  const { world, app } = await started()
  for (const id of ['a', 'b']) await save(world, app, id)
  const dir = '/data/shard-0/snapshot'
  for (const name of world.disk.list(dir))
    if (name.endsWith('.state')) world.disk.poke(`${dir}/${name}`, 50, Uint8Array.of(9, 9))

  expect((await load(world, app))?.value).toBe('b')
  await world.during(app.close())
})

const seeds = seedsOf(5, 500)

test(`an acknowledged state is loaded after lost, late and repeated answers, in ${seeds.length} lives`, {
  tags: ['slow'],
}, async () => {
  for (const seed of seeds) {
    const world = engineMachine({ seed, faults: lossy })
    const random = seededRandom(seed)
    let saved = 0
    for (let life = 0; life < 3; life++) {
      const app = await world.start()
      let number = (await load(world, app))?.value ?? '0'
      expect(Number(number), `seed ${seed}`).toBeGreaterThanOrEqual(saved)
      for (let round = 0; round < 3; round++) {
        const { lsn } = await world.during(
          app.journal.append({ id: `${life}-${round}`, type: 't' }),
        )
        number = `${Number(number) + 1}`
        if (random() < 0.3) world.cutOff(random() * 500)
        const isSaved = (await world.during(codeOf(app.journal.saveState(lsn, number)))) === 'ok'
        if (isSaved) saved = Number(number)
      }
      if (random() < 0.5) world.disk.crash()
      await world.during(app.close({ deadlineMs: 0 })).catch(() => undefined)
      if (random() < 0.7) world.emptyCache()
    }
    expect(saved).toBeGreaterThan(0)
    expect((await named(world)).length).toBeLessThanOrEqual(3)
  }
})
