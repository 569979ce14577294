/** The messages, replies and steps of a process are shown one line each, up to a number. */
import { describe, expect, test } from 'vitest'
import { traceFeed, traceLine } from '../../../src/inspect/prompt/looking-words.ts'
import {
  call,
  cast,
  type GenServer,
  noReply,
  type ProcessInfo,
  reply,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Messages = { calls: { add: (by: number) => number }; casts: { reset: () => void } }
const counter: GenServer<Messages, number> = {
  init: () => 0,
  calls: { add: (count, by) => reply(count + by, count + by) },
  casts: { reset: () => noReply(0) },
}

const counting = async () => {
  const { system, settle } = testSystem()
  const ref = await system.start(counter)
  const feed = (count?: unknown) => traceFeed(system.info(ref) as ProcessInfo, count)
  return { ref, feed, settle }
}

describe('a trace', () => {
  test('has a line for each message and reply, in their order, those before it is shown included', async () => {
    const { ref, feed } = await counting()
    const traced = await feed(3)
    const lines: string[] = []

    await call(ref, 'add', 2)
    traced.show((line) => lines.push(line))
    cast(ref, 'reset')
    await call(ref, 'add', 40)

    expect(String(traced)).toBe('the next 3 events of <1>; trace(p, 0) ends it')
    expect(lines).toEqual([
      '<1>  in    call add 2',
      '<1>  out   reply 2',
      '<1>  in    cast reset',
      '<1>: 3 events, and no more are shown',
    ])
  })

  test('that is ended shows nothing more', async () => {
    const { ref, feed } = await counting()
    const lines: string[] = []
    ;(await feed()).show((line) => lines.push(line))

    expect(String(await feed(0))).toBe('<1> is not traced')
    await call(ref, 'add', 1)
    expect(lines).toEqual([])
  })

  test('that nobody reads, as its prompt has left, ends at the next event', async () => {
    const { ref, feed } = await counting()
    const lines: string[] = []
    ;(await feed()).show((line) => lines.push(line) === 0)

    await call(ref, 'add', 1)
    await call(ref, 'add', 1)
    expect(lines).toEqual(['<1>  in    call add 1'])
  })

  test.each([-1, 1.5, 'all'])('of %o events is refused', async (count) => {
    const { feed } = await counting()

    await expect(feed(count)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

test('a line is one line, printable, and cut where its payload gets long', () => {
  const line = traceLine('shop <7>', {
    direction: 'in',
    what: 'cast put',
    payload: 'x'.repeat(500),
  })
  const step = { event: { type: 'press' }, from: 'off', to: 'on' }

  expect(line.length).toBeLessThan(250)
  expect(line).toMatch(/x…$/)
  expect(traceLine('l', { direction: 'step', what: 'press', payload: step })).toBe(
    "l  step  press { event: { type: 'press' }, from: 'off', to: 'on' }",
  )
  expect(traceLine('a\u001b[2J', { direction: 'out', what: 'reply', payload: undefined })).toBe(
    'a\\u{1b}[2J  out   reply',
  )
})
