/** One member reads the engine wrongly: it ends alone. Damage that the owner reads too ends all. */
import { describe, expect, test } from 'vitest'
import type { EngineHead, EngineLog } from '../../../src/storage/index.ts'
import { factsIn } from '../../../src/storage/leases/cluster-directory.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

type EngineReading = Awaited<ReturnType<EngineLog['read']>>

/** What a member makes of the engine's answers. */
type Misreading = {
  readonly head?: (head: EngineHead) => EngineHead
  readonly read?: (reading: EngineReading) => EngineReading
}

const misreadings: Readonly<Record<string, Misreading>> = {
  'rows as text': {
    head: (head) => ({ ...head, snapshots: JSON.stringify(head.snapshots) as never }),
  },
  'text as bytes': {
    head: (head) => ({ ...head, logId: Buffer.from(head.logId) as never }),
  },
  'other bytes': {
    read: (reading) => ({
      ...reading,
      groups: reading.groups.map((group) => ({ ...group, bytes: group.bytes.map((at) => at ^ 1) })),
    }),
  },
  'missing rows': {
    read: (reading) => ({ ...reading, groups: reading.groups.slice(0, -1) }),
  },
  'stale rows': {
    head: (head) => ({ ...head, end: { ...head.end, lsn: 2, epoch: 1 } }),
  },
  'wrong numbers': {
    head: (head) => ({ ...head, trimmed: { ...head.trimmed, lsn: head.end.lsn + 7 } }),
  },
}

const same = <T>(value: T): T => value

/** From now on `member` reads so. */
const misread = (members: Members, member: string, { head = same, read = same }: Misreading) => {
  const connect = members.engine.connect.bind(members.engine)
  members.connects.set(member, (cluster) => {
    const session = connect(cluster)
    const logs = session.log.bind(session)
    session.log = (name) => {
      const log = logs(name)
      const wrong: Partial<EngineLog> = {
        head: () => log.head().then(head),
        read: (after, maxBytes) => log.read(after, maxBytes).then(read),
      }
      return new Proxy(log, {
        get: (target, name: keyof EngineLog) => wrong[name] ?? target[name],
      })
    }
    return session
  })
}

const ending = (): { readonly signal: AbortSignal; readonly end: () => void } => {
  const controller = new AbortController()
  return { signal: controller.signal, end: () => controller.abort() }
}

const facts = async (members: Members) =>
  factsIn(await members.during(members.engine.connect('c').directory.view()))

const written = async (): Promise<{ readonly members: Members; readonly owner: App }> => {
  const members = new Members()
  const owner = await members.start('a')
  for (let number = 0; number < 5; number++) await members.during(owner.store.put('k', number))
  return { members, owner }
}

type App = Awaited<ReturnType<Members['start']>>

describe.each(Object.entries(misreadings))('a member that reads %s', (_, misreading) => {
  test('ends alone as a standby: the owner serves, and the engine has no mark', async () => {
    const { members, owner } = await written()
    misread(members, 'b', misreading)

    const standby = members.begin('b').catch(() => undefined)
    await members.clock.advance(4 * leaseMs)
    await members.during(owner.store.put('k', 'on'))
    await members.clock.advance(leaseMs)

    expect(owner.store.get('k')).toBe('on')
    expect(await facts(members)).toMatchObject({ losses: [], doubts: [] })
    await members.during(owner.close())
    void standby
  })

  test('as the next owner leaves nothing that keeps the others from starting', async () => {
    const { members, owner } = await written()
    await members.during(owner.close())
    misread(members, 'b', misreading)
    const { signal, end } = ending()
    const wrong = members.begin('b', { cluster: { signal } as never }).catch(() => undefined)
    await members.clock.advance(4 * leaseMs)
    // It waits for rows that are missing, and a refused claim shows it the true end of a stale log.
    end()
    const app = await members.during(wrong)
    if (app) await members.during(app.close())

    const again = await members.start('a')

    expect(again.store.get('k')).toBe(4)
    expect(await facts(members)).toMatchObject({ losses: [], doubts: [] })
  })
})

test('damage that a standby reads and the owner reads too is marked for all', async () => {
  const { members, owner } = await written()
  const standby = members.begin('b').catch((error: unknown) => error)
  await members.clock.advance(2 * leaseMs)

  members.engine.loseTail('c', '0', 2)

  expect(await members.during(standby)).toMatchObject({ code: 'CORRUPT' })
  expect(await members.during(owner.closed)).toEqual([
    'shutdown',
    expect.objectContaining({ code: 'CORRUPT' }),
  ])
  expect((await facts(members)).losses).toMatchObject([{ shard: 0 }])
})
