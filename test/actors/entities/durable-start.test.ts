/** What the options of a kind and of a durable worker are without being said, and what a start leaves in order. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  name,
  noReply,
  reply,
  type StorageEvents,
  supervisor,
  telemetry,
  worker,
} from '../../../src/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type State = { readonly list: readonly number[] }
type Messages = {
  calls: { add: (n: number) => boolean; set: (inMs: number) => void; write: (key: string) => void }
  alarms: { ring: () => void }
}

/** `add` answers whether the state that it got was frozen, and everything in it. */
const server: DurableServer<Messages, State> = {
  init: () => ({ list: [] }),
  calls: {
    add: (state, n) =>
      reply(Object.isFrozen(state) && Object.isFrozen(state.list), { list: [...state.list, n] }),
    set: (state, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, { ...state })
    },
    write: (state, key, context) => {
      context.writes.put(key, 1)
      return reply(undefined, { ...state })
    },
  },
  alarms: { ring: ({ list }) => noReply({ list: [...list, 100] }) },
}

const kind = entity('order', server)
const tree = supervisor('app', {}, [kind, worker('lone', server, { durable: true })])

afterEach(() => void vi.unstubAllEnvs())

const world = async () => {
  const s = await simulated({ app: tree })
  const refs = [s.app.entity(kind).ref('1'), s.system.to(name<Messages>('lone'))]
  return { s, refs }
}

describe('a state', () => {
  test('is frozen for its handlers', async () => {
    const { s, refs } = await world()
    for (const ref of refs)
      for (const n of [1, 2]) expect(await s.during(call(ref, 'add', n))).toBe(true)
  })

  test('is not frozen in production, and is the same', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    const { s, refs } = await world()
    for (const ref of refs)
      for (const n of [1, 2]) expect(await s.during(call(ref, 'add', n))).toBe(false)
    expect(s.app.entity(kind).state('1')).toEqual({ list: [1, 2] })
  })
})

test('an entity rests after a minute without a message, and a worker never does', async () => {
  const { s, refs } = await world()
  for (const ref of refs) await s.during(call(ref, 'add', 1))
  const live = () => [
    s.app.entities.kind('order')?.live,
    s.system.whereis(name('lone')) !== undefined,
  ]
  await s.advance(59_000)
  expect(live()).toEqual([1, true])
  await s.advance(62_000)
  expect(live()).toEqual([0, true])
})

test('no kind notes the keys that its entities write, unless it says so', async () => {
  const { s } = await world()
  const handle = s.app.entity(kind)
  await s.during(call(handle.ref('1'), 'write', '{order/1}:a'))
  for (const keys of [true, 1, 'yes', null]) {
    const deleted = handle.delete('1', { keys: keys as boolean })
    expect([keys, await s.during(codeOf(deleted))]).toEqual([keys, 'INVALID_ARGUMENT'])
  }
  expect(handle.state('1')).toEqual({ list: [] })

  expect(await s.during(handle.delete('1', { keys: false }))).toBe(true)
  expect(s.app.store.get('{order/1}:a')).toBe(1)
})

test('the process of a kind has its name as a label', async () => {
  const { s } = await world()
  const labels = s.system
    .processes()
    .flatMap((each) => (each.kind === 'entity_kind' ? each.label : []))
  expect(labels).toEqual(['order'])
})

describe('a durable worker that was blocked', () => {
  test('is told and logged once, and is none when it has woken: its alarms fire at once', async () => {
    let isRefused = true
    const strict: DurableServer<Messages, State> = {
      ...server,
      version: 2,
      migrate: (state) => {
        if (isRefused) throw new Error('not this one')
        return state as State
      },
    }
    const { s } = await world()
    await s.during(call(s.system.to(name<Messages>('lone')), 'set', 5_000))
    await s.close()
    await s.start({ app: supervisor('app', {}, []) })
    const told: unknown[] = []
    await s.close()
    await s.start({ app: supervisor('app', {}, [worker('lone', strict, { durable: true })]) })
    telemetry<StorageEvents>(s.system).on('entity.blocked', ({ entity: of }) => told.push(of))
    await s.advance(10_000)
    const ref = () => s.system.to(name<Messages>('lone'))
    expect(await s.during(codeOf(call(ref(), 'add', 1)))).toBe('BLOCKED')
    expect(s.app.health().actors.blocked).toMatchObject({ count: 1 })
    expect(s.log.messages('error').filter((line) => line.includes('BLOCKED'))).toHaveLength(1)

    isRefused = false
    s.system.kill(name('lone'))
    await s.advance(1_000)
    expect(s.app.health().actors.blocked).toEqual({ count: 0, first: [] })
    expect(await s.during(call(ref(), 'add', 1))).toBe(true)
    const { turns } = await s.during(s.app.workerHistory('lone', { reveal: true }))
    expect(turns[0]?.state).toEqual({ list: [100, 1] })
  })
})

test('events tell that a durable worker has woken, and that it has ended, as of an entity', async () => {
  const { s, refs } = await world()
  const told: unknown[] = []
  const events = telemetry<StorageEvents>(s.system)
  events.on('entity.woke', ({ entity: of, blocked }) => told.push(['woke', of, blocked]))
  events.on('entity.ended', ({ entity: of, reason }) => told.push(['ended', of, reason]))
  for (const ref of refs) await s.during(call(ref, 'add', 1))
  s.system.kill(s.system.whereis(name('lone')) as never)
  s.system.kill(s.app.entities.holder('order/1')?.address as never)
  await s.advance(1_000)
  expect(told).toEqual([
    ['woke', 'order/1', undefined],
    ['ended', '$worker/lone', 'killed'],
    ['ended', 'order/1', 'killed'],
    ['woke', '$worker/lone', undefined],
  ])
})
