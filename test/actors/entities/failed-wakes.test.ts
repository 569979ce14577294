/** Entities that fail while they wake: their tries, their pauses, and their block. */

import { expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  KeelsonError,
  name,
  reply,
  type StorageEvents,
  supervisor,
  telemetry,
} from '../../../src/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { add: () => number; crash: () => void } }

const started = async () => {
  const world = {
    ...{ isBroken: true, isHung: false, wakes: [] as number[], born: [] as unknown[] },
    refusal: undefined as KeelsonError | undefined,
  }
  const server: DurableServer<Messages, number, Record<never, never>, string> = {
    init: (id) => {
      world.born.push(id)
      return 0
    },
    wake: async (_, context) => {
      world.wakes.push(context.system.clock.monotonic())
      if (world.isHung) await new Promise(() => undefined)
      if (world.refusal) throw world.refusal
      if (world.isBroken) throw new Error('broken')
    },
    calls: {
      add: (count) => reply(count + 1, count + 1),
      crash: () => {
        throw new Error('crashed')
      },
    },
  }
  const kind = entity('thing', server)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const handle = s.app.entity(kind)
  const add = (id = 'a') => s.during(codeOf(call(handle.ref(id), 'add')), { withinMs: 60_000 })
  const blocks = () => s.log.lines.filter(({ message }) => message.includes('BLOCKED')).length
  return { s, handle, world, add, blocks }
}

test('an entity that fails to wake waits longer before each try, and is blocked by the fifth', async () => {
  const { handle, world, add, blocks } = await started()
  for (let tries = 1; tries <= 5; tries++) {
    expect([handle.blocked().size, blocks()]).toEqual([0, 0])
    expect(await add()).toBe('EXITED')
  }
  expect(handle.blocked().get('a')).toMatchObject({ code: 'BLOCKED' })
  expect(blocks()).toBe(1)
  const pauses = world.wakes.slice(1).map((at, nth) => at - (world.wakes[nth] ?? 0))
  expect(pauses.map((ms) => Math.round(ms / 50) * 50)).toEqual([100, 200, 400, 800])

  for (let calls = 0; calls < 3; calls++) expect(await add()).toBe('BLOCKED')
  expect([world.wakes.length, blocks()]).toEqual([5, 1])
})

test('one whose wake needs a shard that does not answer for a time is not blocked for that', async () => {
  const { handle, world, add } = await started()
  world.isBroken = false
  world.refusal = new KeelsonError('SHARD_DOWN', 'the lease is not renewed')
  for (let tries = 1; tries <= 10; tries++) expect(await add()).toBe('EXITED')
  expect([world.wakes.length, handle.blocked().size]).toEqual([10, 0])

  world.refusal = undefined
  expect(await add()).toBe('ok')
})

test('one that is blocked stays so in its next process, and is not tried there', async () => {
  const { s, handle, world, add, blocks } = await started()
  for (let tries = 1; tries <= 5; tries++) await add()
  world.isBroken = false
  for (let lives = 0; lives < 3; lives++) {
    expect(await add()).toBe('BLOCKED')
    expect(await s.during(handle.stop('a'))).toBe(true)
    expect(await s.during(handle.stop('a'))).toBe(false)
  }
  expect([world.wakes.length, blocks(), [...handle.blocked().keys()]]).toEqual([5, 1, ['a']])
})

test('one that is killed while it wakes is not blocked for that, and waits for nothing', async () => {
  const { s, handle, world, add } = await started()
  const ends: unknown[] = []
  telemetry<StorageEvents>(s.system).on('entity.ended', ({ reason }) => ends.push(reason))
  world.isHung = true
  for (let kills = 0; kills < 6; kills++) {
    const killed = codeOf(call(handle.ref('a'), 'add'))
    await s.advance(1)
    expect(world.wakes).toHaveLength(kills + 1)
    s.system.kill(name('thing/a'))
    expect(await s.during(killed)).toBe('EXITED')
    expect(s.app.entities.kind('thing')?.live).toBe(0)
  }
  expect([handle.blocked().size, ends]).toEqual([0, Array(6).fill('killed')])
  world.isHung = world.isBroken = false
  expect(await add()).toBe('ok')
})

test('after unblock it is tried again, with all its tries', async () => {
  const { handle, world, add, blocks } = await started()
  for (let tries = 1; tries <= 5; tries++) await add()
  expect(await handle.unblock('a')).toBe(true)
  for (let tries = 1; tries <= 5; tries++) {
    expect(handle.blocked().size).toBe(0)
    expect(await add()).toBe('EXITED')
  }
  expect([handle.blocked().size, blocks()]).toEqual([1, 2])

  world.isBroken = false
  expect(await handle.unblock('a')).toBe(true)
  expect([await add(), handle.blocked().size]).toEqual(['ok', 0])
})

test('its siblings do not notice, and each is born with its id', async () => {
  const { s, world, add } = await started()
  const kind = s.app.entities.kind('thing')
  expect(await add('a')).toBe('EXITED')
  world.isBroken = false
  expect(await add('b')).toBe('ok')

  expect(world.born).toEqual(['a', 'b'])
  expect(s.app.entities.kind('thing')).toBe(kind)
  expect(kind?.live).toBe(1)
})

test('one that crashes after it woke wakes again at once, however often', async () => {
  const { s, handle, world, add } = await started()
  world.isBroken = false
  for (let crashes = 0; crashes < 6; crashes++) {
    expect(await s.during(codeOf(call(handle.ref('a'), 'crash')))).toBe('EXITED')
    expect(await add()).toBe('ok')
  }

  const first = world.wakes[0] ?? 0
  expect(world.wakes.every((at) => at - first < 100)).toBe(true)
  expect(handle.blocked().size).toBe(0)
})

test('an exit of a stranger does not end its kind', async () => {
  const { s, world, add } = await started()
  world.isBroken = false
  expect(await add()).toBe('ok')
  const running = () => s.system.processes().find(({ kind }) => kind === 'entity_kind')
  const kind = running()

  s.system.exit(kind?.ref as never, 'boom')
  await s.settle()

  expect(running()?.pid).toBe(kind?.pid)
  expect(await add()).toBe('ok')
})

test('failures of very many ids are kept of the last 10,000 that are not blocked', {
  tags: ['slow'],
}, async () => {
  const { s, handle, world, add } = await started()
  for (let tries = 1; tries <= 4; tries++) await add('first')
  for (let tries = 1; tries <= 5; tries++) await add('blocked')
  for (let tries = 1; tries <= 4; tries++) await add('last')
  for (let at = 1; at < 10_000; at += 1_111)
    await s.during(
      Promise.all(
        Array.from({ length: 1_111 }, (_, nth) => codeOf(call(handle.ref(`${at + nth}`), 'add'))),
      ),
      { withinMs: 60_000 },
    )
  // The failures of `first` have made room: it has five tries again.
  for (const id of ['last', 'first']) await add(id)
  expect([...handle.blocked().keys()]).toEqual(['blocked', 'last'])
  world.isBroken = false
  for (const id of ['first', '9999']) expect(await add(id)).toBe('ok')
  expect(await add('blocked')).toBe('BLOCKED')
})

test('a stop of an entity whose init is BLOCKED answers', async () => {
  const server: DurableServer<Messages, number> = {
    init: () => {
      throw new KeelsonError('BLOCKED', 'not this one')
    },
    calls: {
      add: (count) => reply(count + 1, count + 1),
      crash: (count) => reply(undefined, count),
    },
  }
  const kind = entity('thing', server)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const handle = s.app.entity(kind)
  expect(await s.during(codeOf(call(handle.ref('a'), 'add')))).toBe('BLOCKED')

  expect(await s.during(handle.stop('a'))).toBe(true)
})
