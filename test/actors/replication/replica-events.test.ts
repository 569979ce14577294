/** What the bus and the log tell of a replica: what it was sent, that it is away, and that it is back. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { caughtUp, fill, following, ofReplica } from '../../support/worlds/followed-instance.ts'
import { heard } from '../../support/worlds/snapshot-instance.ts'

test('each chunk is told with its frames, its bytes and its last LSN', async () => {
  const { world, replica, app } = await following()
  await caughtUp(world, app)
  const events = heard(app, 'replication.sent')
  const before = ofReplica(app)
  await fill(world, app, 5)
  await caughtUp(world, app)

  const chunks = replica.chunks.slice(-events.length)
  expect(events).toMatchObject(
    chunks.map(({ frames, lsn }) => ({ shard: 0, follower: 0, frames: frames.length, lsn })),
  )
  expect(events.at(-1)?.lsn).toBe(ofReplica(app).lsn)
  expect(before.lag.bytes).toBe(0)
  const payloads = chunks.flatMap(({ frames }) => frames.map(({ payload }) => payload.length))
  const sum = events.reduce((all, { bytes }) => all + (bytes as number), 0)
  // Each frame has a header of its own.
  expect(sum).toBeGreaterThan(payloads.reduce((all, length) => all + length, 0))
  expect(sum).toBe(app.shards[0]?.replication.loggedBytes)
})

test('a replica that is away is told once for each shard, and so is its return', async () => {
  const { world, replica, app, log } = await following({}, { shards: 2 })
  await fill(world, app, 20)
  await caughtUp(world, app)
  const events = heard(app, 'replication.away', 'replication.back')
  replica.isAway = true
  await fill(world, app, 20, 20)
  await world.clock.advance(60_000)
  const reason = 'Error: the connection is lost'
  const away = { name: 'replication.away', follower: 0, reason }
  expect(events).toMatchObject([
    { ...away, shard: 0 },
    { ...away, shard: 1 },
  ])
  expect(log.messages('warn')).toEqual([`memory does not take what is replicated: ${reason}`])

  replica.isAway = false
  await caughtUp(world, app)
  await fill(world, app, 20, 40)
  await caughtUp(world, app)
  const back = { name: 'replication.back', follower: 0 }
  expect(events.slice(2)).toMatchObject([
    { ...back, shard: 0 },
    { ...back, shard: 1 },
  ])
})

test('a refusal that becomes another one is told again', async () => {
  const { world, replica, app, log } = await following()
  await caughtUp(world, app)
  const events = heard(app, 'replication.refused')
  replica.refusal = new KeelsonError('FENCED', 'not this one')
  await fill(world, app, 1)
  await world.clock.advance(1_000)
  replica.refusal = new KeelsonError('UNSUPPORTED_VERSION', 'too new')
  await world.clock.advance(700_000)

  expect(events).toMatchObject([
    { shard: 0, follower: 0, state: 'fenced', reason: 'FENCED: not this one' },
    { shard: 0, follower: 0, state: 'halted', reason: 'UNSUPPORTED_VERSION: too new' },
  ])
  expect(log.messages('warn')).toHaveLength(2)
  expect(ofReplica(app).state).toBe('halted')
})

test('a replica that takes claims and refuses commits is tried after delays that double, and waits all the time', async () => {
  const { world, replica, app, log } = await following()
  await caughtUp(world, app)
  const events = heard(app, 'replication.away', 'replication.back')
  replica.refusal = new KeelsonError('NO_SPACE', 'the disk of the server is full')
  await fill(world, app, 5)
  const opened = replica.opened
  const states = new Set<string>()
  for (let second = 0; second < 300; second++) {
    await world.clock.advance(1_000)
    states.add(ofReplica(app).state)
  }

  // About 9 attempts until the delay is 30 s at most, and then 10 to 20.
  expect(replica.opened - opened).toBeLessThan(40)
  expect(states).toEqual(new Set(['waiting']))
  expect(log.messages('warn')).toHaveLength(1)
  expect(events.map(({ name }) => name)).toEqual(['replication.away'])

  replica.refusal = undefined
  await caughtUp(world, app)
  expect(events.map(({ name }) => name)).toEqual(['replication.away', 'replication.back'])
})

const misreadings: readonly (readonly [string, object])[] = [
  ['a mark as text', { mark: '{"time":1,"crc":2}' }],
  ['numbers as text', { lsn: '40' }],
  ['no number', { lsn: Number.NaN }],
  ['a load as text', { load: '{"offset":1}' }],
  ['an epoch that is none', { lease: { epoch: Number.NaN, holder: 'a' } }],
]

test.each(misreadings)(
  'a client that reads %s is halted, and calls no log fenced',
  { tags: ['slow'] },
  async (_, misread) => {
    const { world, replica, app, options } = await following()
    await fill(world, app, 5)
    await caughtUp(world, app)
    await world.during(app.close())
    const { looks } = replica
    replica.looks = (progress) => progress && ({ ...progress, ...misread } as never)
    const again = await world.start(options)
    await world.clock.advance(1_000)

    expect(ofReplica(again).state).toBe('halted')
    // It is asked again some minutes later, as after every refusal.
    replica.looks = looks
    await caughtUp(world, again, 400_000)
  },
)
