/** A standby of `start({ cluster })` follows the log, and owns nothing before it has read it. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { factsIn } from '../../../src/members/leases/cluster-directory.ts'
import type { EngineLog } from '../../../src/storage/index.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'
import type { SimulatedSession } from '../../support/worlds/simulated-engine.ts'

/** The last LSN that the cache of a member shows. */
const shownLsn = async (members: Members, member: string): Promise<number> => {
  const found = await members.machine(member).projections.examine('/data/shard-0/lmdb')
  return found.state === 'sound' ? (found.position?.lsn ?? 0) : -1
}

test('a standby follows the log into its own cache, and no further than it is proven', async () => {
  const members = new Members()
  const owner = await members.start('a')
  const standby = members.begin('b')
  standby.catch(() => undefined)
  for (let number = 0; number < 20; number++) await members.during(owner.store.put('k', number))
  await members.clock.advance(2 * leaseMs)
  const { lastLsn } = (await members.during(owner.wal(0).describe())).log ?? { lastLsn: 0 }

  // The last mark is proven by nothing.
  expect(await shownLsn(members, 'b')).toBe(lastLsn - 1)

  await members.during(owner.store.put('k', 'last'))
  await members.clock.advance(2 * leaseMs)
  expect(await shownLsn(members, 'b')).toBeGreaterThan(lastLsn)

  await members.during(owner.close())
  expect((await members.during(standby)).store.get('k')).toBe('last')
})

test('a standby whose frames are trimmed while it reads them follows again', async () => {
  const members = new Members()
  const owner = await members.start('a')
  await members.during(owner.store.put('k', 'v'))
  const standby = members.begin('b')
  await members.clock.settle()
  const session = members.sessions.get('b') as SimulatedSession
  const makeLog = session.log.bind(session)
  let reads = 0
  session.log = (name) => {
    const log = makeLog(name)
    const read: EngineLog['read'] = async (...from) => {
      reads++
      // The first read opens the log, and this one rebuilds.
      if (reads === 2) throw new KeelsonError('BAD_CURSOR', 'frames were trimmed')
      return log.read(...from)
    }
    return { ...log, read }
  }
  await members.clock.advance(5 * leaseMs)
  await members.during(owner.close())

  expect((await members.during(standby)).store.get('k')).toBe('v')
  expect(reads).toBeGreaterThan(2)
})

test('a standby owns nothing before it has read the logs, its lease says so, and one that has read them owns', async () => {
  const members = new Members()
  const owner = await members.start('a')
  await members.during(owner.store.put('k', 'v'))
  const reading = members.begin('b')
  await members.clock.settle()
  const session = members.sessions.get('b') as SimulatedSession
  const makeLog = session.log.bind(session)
  let goOn = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  session.log = (name) => {
    const log = makeLog(name)
    return { ...log, read: (...from) => gate.then(() => log.read(...from)) }
  }
  const { directory } = members.engine.connect('c')
  const facts = async () => factsIn(await members.during(directory.view()))
  await members.clock.advance(100)
  members.sessions.get('a')?.pause(60 * leaseMs)
  await members.clock.advance(4 * leaseMs)
  const { owner: last, members: entries } = await facts()
  expect([last, entries.find(({ member }) => member === 'b')]).toMatchObject([
    { member: 'a', epoch: 1 },
    { ready: false },
  ])

  // It reads 3 s at most before it asks again.
  const second = await members.during(members.begin('c'))
  expect(second.health().cluster).toMatchObject({ member: 'c', epoch: 2 })
  goOn()
  await members.clock.advance(10 * leaseMs)
  expect((await facts()).members.find(({ member }) => member === 'b')).not.toHaveProperty('ready')
  await members.during(second.close())

  expect((await members.during(reading)).store.get('k')).toBe('v')
  await members.during(owner.closed)
})

test('a standby that is aborted in a round of following ends well before its lease, wherever the round is', async () => {
  let asked = 0
  for (let after = 1; after < 20; after++) {
    const members = new Members()
    const owner = await members.start('a')
    await members.during(owner.store.put('k', 'v'))
    const waiting = new AbortController()
    const begun = members.begin('b', { cluster: { signal: waiting.signal } as never })
    const failed = begun.catch((error: unknown) => error)
    // The engine answers nothing from its `after`th request for the log on.
    await members.clock.settle()
    const session = members.sessions.get('b') as SimulatedSession
    const makeLog = session.log.bind(session)
    let count = 0
    const paused = <T>(call: () => Promise<T>): Promise<T> => {
      if (++count === after) session.pause(600 * leaseMs)
      return call()
    }
    session.log = (name) => {
      const log = makeLog(name)
      return {
        ...log,
        head: () => paused(() => log.head()),
        read: (...from) => paused(() => log.read(...from)),
      }
    }
    await members.clock.advance(leaseMs / 2)
    asked = Math.max(asked, count)

    waiting.abort()
    const aborted = members.clock.monotonic()

    await expect(members.during(failed)).resolves.toMatchObject({ code: 'CLOSED' })
    expect(members.clock.monotonic() - aborted, `${after}`).toBeLessThan(leaseMs / 2)
    await members.during(owner.close())
  }
  expect(asked).toBeGreaterThan(3)
})

test('a standby that has seen more than the engine has begins nothing: CORRUPT', async () => {
  const members = new Members()
  const owner = await members.start('a')
  const standby = members.begin('b').catch((error: unknown) => error)
  for (let number = 0; number < 20; number++) await members.during(owner.store.put('k', number))
  await members.clock.advance(2 * leaseMs)
  members.sessions.get('a')?.pause(20 * leaseMs)

  members.engine.loseTail('c', '0', 10)

  await expect(members.during(standby)).resolves.toMatchObject({ code: 'CORRUPT' })
  await members.during(owner.closed)
})
