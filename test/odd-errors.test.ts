/**
 * Each odd error at each border: it is told, kept or sent on in a bounded size, and ends nothing but the work that it is of.
 */
import { Writable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { KeelsonError, keptError, reasonText } from '../src/errors.ts'
import { type Ctx, queue, workflow } from '../src/flow/index.ts'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  jsonLogger,
  type Logger,
  noReply,
  reply,
  supervisor,
} from '../src/index.ts'
import { Observer } from '../src/inspect/observe/observer.ts'
import { errorText } from '../src/inspect/text/error-view.ts'
import { linkKinds, readMessage, reasonFrame } from '../src/members/links/link-message.ts'
import { toWire } from '../src/runtime/threads/thread-messages.ts'
import { guardedLogger, textLogger } from '../src/runtime/words/logger.ts'
import { reasonFromWire } from '../src/runtime/words/wire-reason.ts'
import { errorOfPlain, plainError } from '../src/storage/threads/plain-error.ts'
import { capturedLog, testSystem } from '../src/testing/index.ts'
import { isError } from '../src/thrown.ts'
import { oddErrors } from './support/odd-errors.mjs'
import { flowWorld } from './support/worlds/flow-world.ts'
import { caughtUp, fill, following } from './support/worlds/followed-instance.ts'
import { simulated } from './support/worlds/simulated-instance.ts'

const large = 'a message of 100 MB'
const names = Object.keys(oddErrors).filter((name) => name !== large)
const odd = (name: string): unknown => oddErrors[name]?.()

/** The most characters of what is told of one error. */
const toldMax = 200_000

const borders = (name: string): void => {
  const make = () => odd(name)

  test('crosses to another thread, and back', () => {
    const thrown = make()
    const back = reasonFromWire(structuredClone(toWire(thrown)))

    expect(isError(back)).toBe(isError(thrown))
    expect(reasonText(back).length).toBeLessThan(toldMax)
  })

  test('crosses from a thread of the storage', () => {
    const { code, message } = errorOfPlain(structuredClone(plainError(make())))

    expect(code).toBe('SHARD_DOWN')
    expect(message.length).toBeLessThan(toldMax)
  })

  test('crosses to another member', () => {
    const thrown = make()
    const frame = reasonFrame(linkKinds.failed, 1, thrown)
    const { error } = readMessage(frame.subarray(4)) as { readonly error: unknown }

    expect(isError(error)).toBe(isError(thrown))
    expect(frame.length).toBeLessThan(toldMax)
  })

  test('is a line of a log, as text and as JSON, with its facts', () => {
    const lines: string[] = []
    const stream = new Writable({
      write: (chunk, _, done) => {
        lines.push(String(chunk))
        done()
      },
    })
    const text = textLogger({ now: () => 0 }, (line) => lines.push(line))
    const lost: string[] = []
    const lastResort = { error: (line: string) => lost.push(line) } as unknown as Logger
    const logger = guardedLogger(text, lastResort, undefined, [jsonLogger({ stream })])
    const reason = make()
    logger.error('it failed', { reason, count: 1 })

    expect(lost).toEqual([])
    expect(lines.map((line) => line.length < toldMax)).toEqual([true, true])
    const written = JSON.parse(lines[1] ?? '')
    expect(written).toMatchObject({ msg: 'it failed', count: 1 })
    if (isError(reason)) expect(written.err).toMatchObject({ stack: expect.any(String) })
  })

  test('is text at the prompt, and data as a cause', () => {
    const cause = make()
    const error = new KeelsonError('EXITED', 'it ended', { cause, details: { reason: cause } })

    expect(errorText(cause).length).toBeLessThan(toldMax)
    expect(errorText(error, true)).toContain('EXITED: it ended')
    expect(error.toJSON()).toMatchObject({ code: 'EXITED', message: 'it ended' })
  })

  test('is kept as texts that a row takes', () => {
    const { name, message } = keptError(make())

    expect([name, message].every((each) => each.isWellFormed())).toBe(true)
    expect(message.length).toBeLessThanOrEqual(2_000)
  })
}

describe.each(names)('%s', borders)
describe.each([large])('%s', { tags: ['slow'] }, borders)

type Failing = { calls: { fail: (name: string) => void; throw: (name: string) => void } }

test('every odd error ends its own process, and is in its report', async () => {
  const log = capturedLog()
  const { system } = testSystem({ logger: log })
  const server: GenServer<Failing, number> = {
    init: () => 0,
    calls: {
      throw: (_, name) => {
        throw odd(name)
      },
      fail: (state, name, { from }) => {
        from.fail(odd(name))
        return noReply(state)
      },
    },
  }

  for (const name of names) {
    const ref = await system.start(server)
    const failed = await call(ref, 'fail', name).then(
      () => 'answered',
      () => 'failed',
    )
    expect(failed, name).toBe('failed')
    await expect(call(ref, 'throw', name), name).rejects.toMatchObject({ code: 'EXITED' })
  }
  expect(log.messages('error')).toHaveLength(names.length)
})

test('every odd error fails its step, its run and its job, and the page shows them', {
  tags: ['slow'],
}, async () => {
  const steps = workflow('steps', (ctx: Ctx, name: string) =>
    ctx.step('odd', () => Promise.reject(odd(name)), { retry: { max: 1 } }),
  )
  const bodies = workflow('bodies', async (_: Ctx, name: string) => {
    throw odd(name)
  })
  const mails = queue<string>(
    'mails',
    (name) => {
      throw odd(name)
    },
    { retry: { max: 1 }, concurrency: 4 },
  )
  const w = await flowWorld([steps, bodies], { queues: [mails] })
  for (const name of names) {
    await w.during(w.flow.start(steps, name, { id: name }))
    await w.during(w.flow.start(bodies, name, { id: name }))
    await w.during(w.flow.add(mails, name))
  }
  await w.s.advance(60_000)

  const failed = (of: typeof steps | typeof bodies) =>
    names.filter((id) => w.status(of, id) === 'failed')
  expect(failed(steps)).toEqual(names)
  expect(failed(bodies)).toEqual(names)
  expect((await w.during(w.flow.counts(mails))).dead).toBe(names.length)
  await w.crash()
  expect(failed(steps)).toEqual(names)
  const observer = new Observer(w.s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const looks = ['overview', 'flows', 'log', ['dead', { queue: 'mails' }]] as const
  for (const each of looks) {
    const [look, query = {}] = typeof each === 'string' ? [each] : each
    expect(await w.during(observer.answer({ id: 1, look, query }))).not.toHaveProperty('refusal')
  }
})

type Kept = {
  calls: Failing['calls'] & { step: (name: string) => null }
  continues: { odd: (name: string) => void }
}

test('every odd error is an outcome of an entity, with an id too, and of its steps', {
  tags: ['slow'],
}, async () => {
  const failing: DurableServer<Kept, number> = {
    init: () => 0,
    calls: {
      step: (state, name) => reply(null, state, { continue: ['odd', name] }),
      throw: (_, name) => {
        throw odd(name)
      },
      fail: (state, name, { from }) => {
        from.fail(odd(name))
        return noReply(state)
      },
    },
    continues: {
      odd: (_, name) => {
        throw odd(name)
      },
    },
  }
  const s = await simulated({
    app: supervisor('app', {}, [entity('odd', failing, { keepIds: { forMs: 10_000 } })]),
  })
  const entities = s.app.entity<Kept>('odd')
  const outcome = (work: Promise<unknown>) =>
    s.during(
      work.then(
        () => 'answered',
        () => 'failed',
      ),
    )
  for (const name of names) {
    const one = entities.ref(String(names.indexOf(name)))
    const ids = ['fail', 'fail', 'throw'] as const
    for (const way of ids)
      expect(await outcome(call(one, way, name, { id: way })), `${way}: ${name}`).toBe('failed')
    expect(await outcome(call(one, 'step', name)), name).toBe('answered')
  }
  await s.advance(10_000)
  const page = entities.list({ limit: 100 })
  expect(page.entries).toHaveLength(names.length)
  expect(s.app.health().shards.map(({ phase }) => phase)).toEqual(['open'])
})

test('a replica that fails with an odd error is tried again', { tags: ['slow'] }, async () => {
  const { world, replica, app, log } = await following()
  await caughtUp(world, app)
  for (const [at, name] of names.entries()) {
    replica.fails = () => {
      throw odd(name)
    }
    await fill(world, app, 1, at)
    await world.clock.advance(1_000)
    replica.fails = undefined
    await caughtUp(world, app)
  }
  expect(log.messages('error')).toEqual([])
})
