/** Errors that cannot be read, in threads of the built package: each fails its own call, and nothing else. */
import { call, threadServer } from 'keelson'
import { silentLogger, testSystem } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'
import { oddErrors } from '../../support/odd-errors.mjs'

type Odd = {
  calls: {
    later: () => string
    answer: () => string
    fail: (name: string) => void
    posts: (message: unknown) => string
    ends: (name: string) => void
    throws: (name: string) => void
  }
}

const server = threadServer<Odd>(new URL('../../support/programs/odd-thread.mjs', import.meta.url))
const names = Object.keys(oddErrors)
const ways = ['throws', 'ends', 'init throws', 'init stops'] as const
/** A thread takes long to start, so each error ends one, in one way. */
const namesOf = (way: (typeof ways)[number]) =>
  names.filter((_, at) => at % ways.length === ways.indexOf(way))

const stage = () => {
  const made = testSystem({ logger: silentLogger })
  onTestFinished(() => made.close())
  return made
}

const failed = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => false,
    () => true,
  )

test('a call that fails with an odd error leaves the other calls of its thread alone', async () => {
  const { system } = stage()
  const ref = await system.start(server)
  const later = call(ref, 'later')
  const fails = await Promise.all(names.map((name) => failed(call(ref, 'fail', name))))

  expect(names.filter((_, at) => !fails[at])).toEqual([])
  expect(await call(ref, 'answer')).toBe('answered')
  expect(await later).toBe('later')
})

test('messages that other code in the thread posts are dropped, and the first is in the log', async () => {
  const lines: string[] = []
  const log = { warn: (line: string) => void lines.push(line), error: () => {}, info: () => {} }
  const made = testSystem({ logger: log })
  onTestFinished(() => made.close())
  const ref = await made.system.start(server)
  const foreign = [null, undefined, 5, 'x', {}, { kind: 'ended' }, { keelson: null }]
  for (const message of foreign) expect(await call(ref, 'posts', message)).toBe('posted')
  expect(await call(ref, 'answer')).toBe('answered')
  expect(lines).toEqual([
    expect.stringContaining('a message that code in its thread has posted was dropped'),
  ])
})

test.each(['throws', 'ends'] as const)(
  'a handler that %s with an odd error ends its thread alone',
  async (way) => {
    const { system } = stage()
    for (const name of namesOf(way)) {
      const ref = await system.start(server)
      const end = new Promise((resolve) => void system.monitor(ref, resolve))
      expect(await failed(call(ref, way, name)), name).toBe(true)
      await end
    }
  },
)

test.each(['throws', 'stops'] as const)(
  'an `init` that %s with an odd error refuses the start',
  async (way) => {
    const { system } = stage()
    for (const name of namesOf(`init ${way}`))
      expect(await failed(system.start(server, { [way]: name } as never)), name).toBe(true)
  },
)
