/** What needs a person is one line of the log: what it is about, and the cause. */
import { describe, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  projection,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { outcome, startSimulated } from '../../../src/testing/index.ts'

test('a shard that goes down is an error with the code of the disk, and one line', async () => {
  const s = await startSimulated({ shards: 2 })
  const fault = { kind: 'error', code: 'EIO' } as const
  s.disk.inject({ at: 1, operation: 'sync', path: 'shard-0', times: 100, fault })

  for (const key of ['a', 'b', 'c', 'd']) await outcome(s.during(s.app.store.put(key, 1)))
  await s.advance(5_000)

  const lines = s.log.lines.filter(({ message }) => message.startsWith('shard 0 is down: '))
  expect(lines).toMatchObject([{ level: 'error', facts: { shard: 0, reason: expect.any(Error) } }])
  expect(lines[0]?.message).toContain('EIO: sync /data/shard-0/wal/')
  const { reason, notOpenSince = 0 } = s.app.health().shards[0] ?? {}
  expect(reason).toContain('EIO: sync /data/shard-0/wal/')
  expect(s.clock.now() - notOpenSince).toBeGreaterThanOrEqual(5_000)
  expect(s.app.health().shards[1]?.notOpenSince).toBe(undefined)
})

test('a shard that is down from the start is an error, too', async () => {
  const s = await startSimulated({ shards: 2 })
  await s.close()
  const fault = { kind: 'error', code: 'EIO' } as const
  s.disk.inject({ at: 1, operation: 'read', path: 'shard-1/wal', times: 100, fault })
  await s.start({ allowDown: true })

  expect(s.log.messages('error')).toEqual([expect.stringMatching(/^shard 1 is down: .*EIO/)])
})

test('a subscription whose handler threw is an error with its stack', async () => {
  const s = await startSimulated()
  const bug = new Error('bug in handler')
  s.app.journal.subscribe({
    name: 'mail',
    handler: () => {
      throw bug
    },
  })
  await s.during(s.app.journal.append({ id: 'a', type: 't' }))
  await s.during(s.app.journal.append({ id: 'b', type: 't' }))
  await s.advance(1_000)

  expect(s.log.lines).toMatchObject([
    {
      level: 'error',
      message: 'the subscription mail to the journal of shard 0 has stopped: Error: bug in handler',
      facts: { name: 'mail', shard: 0, reason: bug },
    },
  ])
})

test('a projection by users that is halted is an error with its stack', async () => {
  const bug = new Error('bug in project')
  const broken = projection('p', {
    version: 1,
    project: () => {
      throw bug
    },
  })
  const s = await startSimulated({ projections: [broken] })
  await s.during(s.app.store.put('a', 1))
  await s.advance(1_000)

  expect(s.log.lines).toMatchObject([
    {
      level: 'error',
      message: 'the projection p of shard 0 is halted: Error: bug in project',
      facts: { name: 'p', shard: 0, reason: bug },
    },
  ])
})

test('a projection that is degraded is a warning, however many commits fail', async () => {
  const s = await startSimulated()
  s.projections.failCommits('/data/shard-0/lmdb', 3)
  await s.during(s.app.store.put('a', 1))
  await s.advance(10_000)

  expect(s.app.health().shards[0]?.projection).toMatchObject({ mode: 'following', failures: 3 })
  expect(s.log.lines).toMatchObject([
    {
      level: 'warn',
      message: expect.stringMatching(/^the projection of shard 0 is degraded: .*NO_SPACE/),
      facts: { shard: 0, reason: expect.any(Error) },
    },
  ])
})

test('a projection that heals and fails again has one line, and one when it is well for a minute', async () => {
  const s = await startSimulated()
  for (const key of ['a', 'b', 'c']) {
    s.projections.failCommits('/data/shard-0/lmdb', 1)
    await s.during(s.app.store.put(key, 1))
    await s.advance(20_000)
  }
  expect(s.app.health().shards[0]?.projection).toMatchObject({ mode: 'following', failures: 3 })
  expect(s.log.lines).toHaveLength(1)
  await s.advance(60_000)
  expect(s.log.lines.slice(1)).toMatchObject([
    {
      level: 'info',
      message: expect.stringMatching(
        /^the projection of shard 0 is no longer degraded, after 4\d s$/,
      ),
      facts: { shard: 0 },
    },
  ])
  s.projections.failCommits('/data/shard-0/lmdb', 1)
  await s.during(s.app.store.put('d', 1))
  await s.advance(20_000)
  expect(s.log.messages('warn')).toHaveLength(2)
})

describe('a durable actor', () => {
  type Messages = { calls: { add: () => number }; continues: { pay: () => void } }
  const bug = new Error('the bank says: card expired')
  const counter = (version = 1) => {
    const server: DurableServer<Messages, number> = {
      init: () => 0,
      calls: { add: (sum) => reply(sum, sum + 1, { continue: ['pay'] }) },
      continues: {
        pay: () => {
          throw bug
        },
      },
    }
    return entity('k', { ...server, version })
  }
  const app = (version?: number) => supervisor('app', {}, [counter(version)])

  test('that is blocked is one error, however often it is called', async () => {
    const s = await startSimulated({ app: app() })
    await s.during(call(s.app.entity(counter()).ref('1'), 'add'))
    await s.close()
    const before = s.log.lines.length
    await s.start({ app: app(2) })
    for (const _ of [1, 2]) {
      const refused = await outcome(s.during(call(s.app.entity(counter(2)).ref('1'), 'add')))
      expect(refused).toMatchObject({ ok: false, error: { code: 'BLOCKED' } })
      await s.advance(100_000)
    }

    expect(s.log.lines.slice(before)).toMatchObject([
      {
        level: 'error',
        message: expect.stringMatching(/k\/1 is blocked: there is no migrate from version 1$/),
        facts: { reason: { code: 'BLOCKED', cause: expect.any(Error) } },
      },
    ])
  })

  test('whose step throws says the error, the try, and when the next one is', async () => {
    const s = await startSimulated({ app: app() })
    await s.during(call(s.app.entity(counter()).ref('1'), 'add'))
    await s.advance(1_500)

    const said = 'the bank says: card expired'
    expect(s.log.lines).toMatchObject([
      {
        level: 'warn',
        message: expect.stringMatching(
          `^k/1: continue pay failed at try 1, the next one is in [89]\\d\\d ms: Error: ${said}$`,
        ),
        facts: { reason: bug, tries: 1, at: expect.any(Number) },
      },
    ])
  })

  test('whose step throws another text each time is one kind of failure', async () => {
    let requests = 0
    const server: DurableServer<
      { calls: { add: () => void }; continues: { pay: () => void } },
      number
    > = {
      init: () => 0,
      calls: { add: (state) => reply(undefined, state + 1, { continue: ['pay'] }) },
      continues: {
        pay: () => {
          throw `no answer to request ${++requests}`
        },
      },
      retry: { max: 5, baseMs: 10 },
    }
    const kind = entity('k', server)
    const s = await startSimulated({ app: supervisor('app', {}, [kind]) })
    await s.during(call(s.app.entity(kind).ref('1'), 'add'))
    await s.advance(10_000)

    const tried = s.log.messages('warn').filter((message) => message.includes('the next one is in'))
    expect(tried).toEqual([
      expect.stringMatching(/^k\/1: continue pay failed at try 1 of 5, /),
      expect.stringMatching(/^k\/1: continue pay is stuck: it has failed 3 times within /),
    ])
    expect(s.log.messages('error')).toEqual([
      'k/1: continue pay is parked after 5 tries until unblock: Error: no answer to request 5',
    ])
  })
})
