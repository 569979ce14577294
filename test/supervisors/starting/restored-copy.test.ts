/** A restored copy waits until it is told to act: its origin may act, or have acted since. */
import { beforeEach, expect, test } from 'vitest'
import {
  type App,
  call,
  type DurableServer,
  entity,
  noReply,
  ok,
  reply,
  type StartOptions,
  supervisor,
} from '../../../src/index.ts'
import { type DataFolderFacts, readDataFolder } from '../../../src/storage/index.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { restore } from '../../support/worlds/restored.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { place: () => string; look: () => string }
  continues: { charge: () => void }
  alarms: { expire: () => void }
}

/** What the outside world saw. */
let effects: string[] = []
beforeEach(() => {
  effects = []
})

const act = (what: string): void => void effects.push(what)

const hold: DurableServer<Messages, string> = {
  init: () => ok('new'),
  calls: {
    place: (_, __, context) => {
      context.setAlarm('expire', { inMs: 3_000 })
      return reply('held', 'held', { continue: ['charge'] })
    },
    look: (state) => reply(state, state),
  },
  continues: {
    charge: (state) => {
      act('charge')
      // The step stays recorded.
      if (state !== 'expired') throw new Error('the bank is away')
      return noReply(state)
    },
  },
  alarms: {
    expire: () => {
      act('expire')
      return noReply('expired')
    },
  },
}

const kind = entity('hold', hold)
const app = supervisor('app', {}, [kind])

/** The facts of the copy. */
const factsOf = ({ disk }: Machine, dir: string) => {
  const reading = readDataFolder(disk, dir)
  return reading.state === 'sound' ? reading.facts : undefined
}

let copies = 0
const opened = (world: Machine, dir: string, options: Partial<StartOptions>): Promise<App> =>
  world.start({ dir, instance: `copy-${copies++}`, ...options })

/** A backup of an instance with an alarm that is set and a step that fails, and a copy of it. */
const copied = async (): Promise<Machine> => {
  const world = machine()
  const origin = await world.start({ app })
  await world.during(call(origin.entity(kind).ref('1'), 'place'))
  await world.during(origin.store.put('key', 'value'))
  await world.during(origin.backup('/backup'))
  await world.during(origin.close())
  restore(world, '/backup', '/copy')
  effects = []
  return world
}

test('start refuses a copy that was not told whether it acts, and changes nothing', async () => {
  const world = await copied()
  const { LOCK: _, ...before } = filesOf(world)
  for (const options of [{ app }, {}, { app, acts: false }])
    await expect(opened(world, '/copy', options)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('acts: true'),
      details: { path: 'acts', dir: '/copy' },
    })
  const { LOCK, ...after } = filesOf(world)
  expect(after).toEqual(before)
  expect(effects).toEqual([])
})

const filesOf = ({ disk }: Machine): Record<string, number | undefined> =>
  Object.fromEntries(disk.list('/copy').map((name) => [name, disk.entry(`/copy/${name}`)?.size]))

test('with app: false nothing of a copy acts, its rows can be looked at, and it still waits', async () => {
  const world = await copied()
  const replica = new MemoryReplica(world.clock)
  const alone = await opened(world, '/copy', { app: false, replication: [{ client: replica }] })
  await world.clock.advance(120_000)
  expect(effects).toEqual([])
  expect([...replica.logs]).toEqual([])
  expect(alone.health().replication).toEqual([])
  expect(alone.store.get('key')).toBe('value')
  await world.during(alone.store.put('mine', 1))
  const holds = alone.entity('hold')
  expect(holds.state('1')).toBe('held')
  expect(holds.list().entries).toEqual([{ id: '1', state: 'held' }])
  expect(await world.during(holds.alarms())).toMatchObject([{ id: '1', name: 'expire' }])
  expect(await codeOf(world.during(call(alone.entity(kind).ref('1'), 'look')))).toBe('NO_PROCESS')
  await world.during(alone.close())
  expect(await codeOf(opened(world, '/copy', { app }))).toBe('CONFIG')
})

test('with acts: true a copy acts, and every later start of it does', async () => {
  const world = await copied()
  const first = await opened(world, '/copy', { app, acts: true })
  expect(factsOf(world, '/copy')).not.toHaveProperty('waits')
  await world.clock.advance(10_000)
  expect(new Set(effects)).toEqual(new Set(['charge', 'expire']))
  await world.during(first.close())
  const later = await opened(world, '/copy', { app })
  expect(await world.during(call(later.entity(kind).ref('1'), 'look'))).toBe('expired')
  await world.during(later.close())
})

test('acts: true and app: false exclude each other; other folders take both', async () => {
  const world = machine()
  expect(await codeOf(world.start({ acts: true, app: false }))).toBe('CONFIG')
  await world.during((await world.start({ acts: true, app })).close())
  const alone = await world.start({ app: false, instance: 'alone' })
  expect(alone.store.get('key')).toBeUndefined()
  await world.during(alone.close())
})

test('wherever the power goes in a start that acts, nothing has acted while the copy waits', {
  tags: ['slow'],
}, async () => {
  const tally = { waits: 0, acted: 0 }
  const world = await copied()
  for (let at = 1; tally.acted < 3; at++) {
    const dir = `/copy-${at}`
    restore(world, '/backup', dir)
    world.disk.syncFolder('/')
    effects = []
    const fault = { kind: 'halt' } as const
    world.disk.inject({ at, operation: changingOperations, path: dir, fault })
    const starting = opened(world, dir, { app, acts: true })
    const started = await world.during(starting, 5_000).catch(() => undefined)
    await world.clock.advance(5_000)
    if (started) await world.during(started.close({ deadlineMs: 0 })).catch(() => undefined)
    world.disk.crash()
    world.disk.clearFaults()
    const { waits } = factsOf(world, dir) as DataFolderFacts
    if (waits) expect(effects, `at ${at}`).toEqual([])
    else if (effects.length > 0) tally.acted++
    if (waits) tally.waits++
  }
  // Locks, and the file that replaces keelson.json.
  expect(tally.waits).toBeGreaterThan(5)
})

test('a full disk leaves a copy waiting, with nothing done', async () => {
  const world = await copied()
  const fault = { kind: 'error', code: 'ENOSPC' } as const
  world.disk.inject({ at: 1, operation: 'create', path: '/copy/keelson.json', fault })
  expect(await codeOf(opened(world, '/copy', { app, acts: true }))).toBe('NO_SPACE')
  expect(factsOf(world, '/copy')).toMatchObject({ waits: true })
  expect(effects).toEqual([])
})
