/** An own row of a durable actor that cannot be read blocks that actor alone, and names its place. */
import { expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { fill: () => void; read: () => number; careful: () => string; ping: () => string }
  casts: { look: () => void }
  alarms: { due: () => void }
}

const long = 'B'.repeat(300_000)

/** An actor with a long row, which is damaged while it is asleep. `wakes`: it reads that row then. */
const damaged = async ({ wakes = false, sets = false } = {}) => {
  const lengthOf = (context: { rows: { get<T>(key: string): T | undefined } }): number =>
    context.rows.get<string>('page/1')?.length ?? 0
  const server: DurableServer<Messages, number, Record<never, never>, string> = {
    init: () => 0,
    wake: (_, context) => {
      if (wakes) lengthOf(context)
    },
    calls: {
      fill: (count, _, context) => {
        context.rows.put('page/1', long)
        if (sets) context.setAlarm('due', { inMs: 60_000 })
        return reply(undefined, count + 1)
      },
      read: (count, _, context) => reply(lengthOf(context), count),
      careful: (count, _, context) => {
        try {
          return reply(String(lengthOf(context)), count)
        } catch (error) {
          return reply((error as { code: string }).code, count)
        }
      },
      ping: (count) => reply('pong', count),
    },
    casts: { look: (count, _, context) => noReply(count + lengthOf(context)) },
    alarms: { due: (count, _, context) => noReply(count + lengthOf(context)) },
  }
  const kind = entity('book', server)
  const options = { app: supervisor('app', {}, [kind]) }
  const s = await simulated(options)
  for (const id of ['a', 'b']) await s.during(call(s.app.entity(kind).ref(id), 'fill'))
  await s.kill()
  const dir = '/data/shard-0/blobs'
  const path = `${dir}/${s.disk.list(dir).find((name) => name.endsWith('.bloblog'))}`
  const at = Buffer.from(s.disk.contents(path)).indexOf(long.slice(0, 5_000))
  s.disk.poke(path, at, new Uint8Array(10))
  await s.start(options)
  const exits: unknown[] = []
  s.system.events.on('process.exited', ({ reason }) => {
    if (reason !== 'normal' && reason !== 'shutdown') exits.push(reason)
  })
  const handle = s.app.entity(kind)
  const ask = (what: 'read' | 'careful' | 'ping' | 'fill', id = 'a') =>
    s.during(codeOf(call(handle.ref(id), what)), { withinMs: 60_000 })
  const mend = () => s.disk.poke(path, at, new Uint8Array(10).fill('B'.charCodeAt(0)))
  return { s, handle, exits, ask, mend }
}

const named = /^book\/a is blocked: .*damaged.*\.bloblog at \d+\), of the row page\/1$/

test('a call that needs a damaged row is CORRUPT, and blocks its actor until a repair', async () => {
  const { s, handle, exits, ask, mend } = await damaged()
  expect([await ask('ping'), await ask('read'), await ask('ping')]).toEqual([
    ...['ok', 'CORRUPT', 'BLOCKED'],
  ])
  expect(await ask('read', 'b')).toBe('ok')
  const { blocked } = s.app.health().actors
  expect(blocked).toMatchObject({ count: 1, first: [{ entity: 'book/a' }] })
  expect(handle.blocked().get('a')?.message).toMatch(named)
  await s.advance(600_000)
  expect(await ask('read')).toBe('BLOCKED')

  await handle.unblock('a')
  expect(await ask('read')).toBe('CORRUPT')
  mend()
  await handle.unblock('a')
  expect(await s.during(call(handle.ref('a'), 'read'))).toBe(long.length)
  expect(exits).toEqual([])
})

test('a call that writes the row again after unblock takes the place of a damaged value', async () => {
  const { s, handle, exits, ask } = await damaged()
  expect([await ask('read'), await ask('fill')]).toEqual(['CORRUPT', 'BLOCKED'])
  await handle.unblock('a')
  expect([await ask('fill'), await ask('read')]).toEqual(['ok', 'ok'])
  await s.advance(600_000)
  expect(s.app.health().actors.blocked.count).toBe(0)
  expect(exits).toEqual([])
})

test('a message that nobody waits for blocks it too', async () => {
  const { s, handle, exits, ask } = await damaged()
  cast(handle.ref('a'), 'look')
  await s.advance(1_000)
  expect(await ask('ping')).toBe('BLOCKED')
  expect(handle.blocked().get('a')?.message).toMatch(named)
  expect(exits).toEqual([])
})

test('an actor that reads the row as it wakes is blocked at once', async () => {
  const { handle, exits, ask, mend } = await damaged({ wakes: true })
  expect(await ask('ping')).toBe('BLOCKED')
  expect(handle.blocked().get('a')?.message).toMatch(named)
  mend()
  await handle.unblock('a')
  expect(await ask('ping')).toBe('ok')
  expect(exits).toEqual([])
})

test('an alarm that needs it is tried again, named in health, and goes on after a repair', async () => {
  const { s, exits, ask, mend } = await damaged({ sets: true })
  await s.advance(600_000)
  expect(await ask('ping')).toBe('ok')
  const { failing } = s.app.health().actors
  expect(failing).toMatchObject({ count: 1, first: [{ entity: 'book/a', what: 'alarm due' }] })
  expect(failing.first[0]?.error).toMatch(/\.bloblog at \d+\), of the row page\/1$/)
  mend()
  await s.advance(120_000)
  expect(s.app.health().actors.failing.count).toBe(0)
  expect(exits).toEqual([])
})

test('a handler that catches the error decides by itself', async () => {
  const { s, handle, ask } = await damaged()
  expect(await s.during(call(handle.ref('a'), 'careful'))).toBe('CORRUPT')
  expect(await ask('ping')).toBe('ok')
})
