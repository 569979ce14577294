/** One member reads the engine wrongly: it ends alone. Damage that the owner reads too ends all. */
import { describe, expect, test } from 'vitest'
import { factsIn } from '../../../src/members/leases/cluster-directory.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'
import { type Misreading, misread, misreadings } from '../../support/worlds/misreadings.ts'

/** From now on `member` reads so. */
const misreads = (members: Members, member: string, misreading: Misreading) =>
  members.connects.set(member, (cluster) =>
    misread(members.engine.connect(cluster), () => misreading),
  )

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
    misreads(members, 'b', misreading)

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
    misreads(members, 'b', misreading)
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

test.each([
  ['text as bytes', /its id is Buffer/],
  ['numbers as text', /its end is 6/],
  ['wrong numbers', /was trimmed up to lsn/],
  ['rows as text', /names the snapshot/],
])('a start that reads %s is refused with what it has read', async (how, found) => {
  const { members, owner } = await written()
  await members.during(owner.close())
  misreads(members, 'b', misreadings[how] ?? {})

  const refusal = await members.during(members.begin('b').catch((error: unknown) => error))

  expect(refusal).toMatchObject({ code: 'CORRUPT', message: expect.stringMatching(found) })
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
