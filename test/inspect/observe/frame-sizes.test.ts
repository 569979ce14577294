/** The frames of a page when much is broken and everything is long: each fits, and shows the most important part. */
import { expect, test } from 'vitest'
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
import { call } from '../../../src/runtime/index.ts'
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

test('a tree of a value ends where its bytes do, and says how many members there are', () => {
  const shown = shownTree(large) as Extract<
    ReturnType<typeof shownTree>,
    { readonly members: unknown }
  >

  expect(shown.size).toBe(120)
  expect(shown.members.length).toBeGreaterThan(1)
  expect(bytesOf(shown)).toBeLessThan(32 * 1024)
})
