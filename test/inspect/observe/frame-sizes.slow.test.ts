/** The frames of a page when much is broken and everything is long: each fits, and shows the most important part. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import {
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { Looks } from '../../../src/inspect/observe/looks.ts'
import { bytesOf, shownTree } from '../../../src/inspect/observe/value-trees.ts'
import { frameMax } from '../../../src/inspect/page-server/frame-streams.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { recordedSorts } from '../../../src/inspect/recorder/records.ts'
import type { StoragePage } from '../../../src/observe/index.ts'
import { call } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** Three bytes a character, and six in JSON. */
const long = '€'.repeat(2_000)
const odd = '\u0001'.repeat(300)

const large = Object.fromEntries(
  Array.from({ length: 120 }, (_, at) => [`field ${at} ${long.slice(0, 20)}`, { text: odd, at }]),
)

const server: GenServer<{ casts: { wait: () => void } }, typeof large> = {
  init: () => large,
  casts: { wait: (state) => noReply(state) },
}

type Work = { calls: { begin: () => void }; continues: { fail: () => void } }

const failing: DurableServer<Work, object> = {
  init: () => ok({ ...large }),
  calls: {
    begin: (state, _, context) => {
      for (let at = 0; at < 40; at++) context.addContinue('fail')
      return reply(undefined, { ...state })
    },
  },
  continues: {
    fail: () => {
      throw new Error(long)
    },
  },
  index: () =>
    Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`f${at}`, long.slice(0, 99)])),
}

const busy = entity('busy', failing)

test('each frame fits into 64 KiB, however much is broken', async () => {
  const children = Array.from({ length: 290 }, (_, at) =>
    worker(`w${at}-${'x'.repeat(50)}`, server),
  )
  const s = await simulated({ app: supervisor('app', {}, [...children, busy]) })
  const { system } = s.app
  const records = recordsOf(system)
  await s.during(call(s.app.entity(busy).ref('1'), 'begin'))
  await s.advance(1_000)
  const [one] = system.processes().filter(({ label }) => label?.startsWith('w7-'))
  const subject = one?.label ?? ''
  for (const sort of recordedSorts)
    for (let at = 0; at < 100; at++)
      records.add({
        ...{ sort, at: s.clock.now() + at * 1_000, kind: 'k', code: 'c', subject, pid: undefined },
        ...{ text: `${at} ${long}`, reason: long, lastMessage: 'cast wait' },
      })
  const looks = new Looks(s.app, false)

  for (const [view, query] of [
    ['overview', {}],
    ['tree', {}],
    ['processes', { limit: '200', order: 'pid' }],
    ['process', { pid: String(one?.pid) }],
    ['entities', {}],
    ['entity', { kind: 'busy', id: '1' }],
    ['storage', {}],
    ['log', {}],
  ] as const) {
    const frame = await s.during(looks.answer(view, query))
    expect([view, bytesOf(frame) <= frameMax]).toEqual([view, true])
    expect([view, bytesOf(frame.data) > 100]).toEqual([view, true])
  }
  const { data } = await s.during(looks.answer('log', {}))
  expect((data as { lines: { text: string }[] }).lines.at(-1)?.text).toMatch(/^99 /)
  looks.end()
})

test('the shards of an instance come in pages that fit, each with all that is needed to act on them', async () => {
  const s = await simulated({ app: supervisor('app', {}, []), shards: 256 })
  const looks = new Looks(s.app, false)
  const found: number[] = []
  let from: string | undefined = '0'
  do {
    const frame = await s.during(looks.answer('storage', { from }))
    expect(bytesOf(frame)).toBeLessThanOrEqual(frameMax)
    const { shards, next } = frame.data as StoragePage
    expect(shards.length).toBeGreaterThan(50)
    found.push(...shards.map(({ shard }) => shard))
    from = next === undefined ? undefined : String(next)
  } while (from !== undefined)

  expect(found).toEqual(Array.from({ length: 256 }, (_, at) => at))
  looks.end()
})

test('a machine that is too large for a frame is not drawn, and its process and its entity are shown', async () => {
  const names = Array.from({ length: 500 }, (_, at) => `state-${at}-${'x'.repeat(60)}`)
  const states = Object.fromEntries(
    names.map((name, at) => [name, { on: { NEXT: names[(at + 1) % names.length] ?? '' } }]),
  )
  const gate = setup({}).createMachine({ id: 'gate', initial: names[0] ?? '', states })
  const door = entity('door', StateMachine.durable(gate))
  const s = await simulated({
    app: supervisor('app', {}, [worker('gate', StateMachine.server(gate)), door]),
  })
  StateMachine.send(s.app.entity(door).ref('1'), { type: 'NEXT' } as never)
  await s.advance(100)
  const looks = new Looks(s.app, false)
  const pid = s.app.system.processes().find(({ label }) => label === 'gate')?.pid

  for (const [view, query] of [
    ['process', { pid: String(pid) }],
    ['entity', { kind: 'door', id: '1' }],
  ] as const) {
    const frame = await s.during(looks.answer(view, query))
    expect([view, bytesOf(frame) <= frameMax]).toEqual([view, true])
    expect(frame.data).not.toHaveProperty('machine')
    expect(JSON.stringify(frame.data)).toMatch(/"value","state-[01]-x/)
  }
  looks.end()
})

test('a tree of a value ends where its bytes do, and says how many members there are', () => {
  const shown = shownTree(large) as Extract<
    ReturnType<typeof shownTree>,
    { readonly members: unknown }
  >

  expect(shown.size).toBe(120)
  expect(shown.members.length).toBeGreaterThan(1)
  expect(bytesOf(shown)).toBeLessThan(32 * 1024)
})
