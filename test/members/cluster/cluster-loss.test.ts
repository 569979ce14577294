/** A loss that one member has found: no member goes on, until `keelson cluster accept-loss`. */
import { expect, test } from 'vitest'
import type { App } from '../../../src/index.ts'
import { entryText } from '../../../src/members/leases/cluster-directory.ts'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    ({ code }) => code,
  )

/** Member `a` has acknowledged k0 to k9, and the engine keeps the frames up to the LSN 5. */
const lossy = async () => {
  const members = new Members()
  const app = await members.start('a')
  for (let at = 0; at < 10; at++) await members.during(app.store.put(`k${at}`, at))
  await members.during(app.close())
  members.engine.loseTail('c', '0', 5)
  return members
}

const accept = (members: Members, words = '0 --yes') =>
  members.during(clusterHere(members, `accept-loss ${words}`))

test('a loss is shown first, then accepted, and each cache is emptied and filled again', async () => {
  const members = await lossy()
  expect(await codeOf(members.start('a'))).toBe('CORRUPT')

  const shown = await accept(members, '0')
  expect(shown.status).toBe(1)
  expect(shown.output).toMatch(/^the engine has +the log up to lsn 5$/m)
  expect(await codeOf(members.start('a'))).toBe('CORRUPT')

  expect((await accept(members)).status).toBe(0)
  const kept = await members.start('b')
  expect([kept.store.get('k0'), kept.store.get('k9')]).toEqual([0, undefined])
  for (let at = 0; at < 10; at++) await members.during(kept.store.put('other', at))
  await members.during(kept.close())

  const app = await members.start('a')
  expect(['k0', 'k9', 'other'].map((key) => app.store.get(key))).toEqual([0, undefined, 9])
  expect(await codeOf(accept(members))).toBe('INVALID_ARGUMENT')
})

test('a loss without any log in the engine is accepted too: the cluster begins empty', async () => {
  const members = await lossy()
  members.engine.inside('c')
  ;(members.engine.inside('c').logs as Map<string, unknown>).clear()
  expect(await codeOf(members.start('a'))).toBe('CORRUPT')

  const { output } = await accept(members)

  expect(output).toMatch(/^the engine has +no log$/m)
  expect((await members.start('a')).store.get('k0')).toBeUndefined()
})

const load = (members: Members, { journal }: App) => members.during(journal.loadState<string>())

test('a state that is saved after an accepted loss replaces those that were saved before it', async () => {
  const members = new Members()
  const first = await members.start('a')
  const { lsn } = await members.during(first.journal.append({ id: 'x', type: 'order' }))
  await members.during(first.close())
  await members.during((await members.start('a')).close())
  const third = await members.start('a')
  await members.during(third.journal.saveState(lsn, 'before'))
  await members.during(third.close())
  // The state is of the third epoch, and the log goes back to the first one.
  members.engine.loseTail('c', '0', lsn)
  expect(await codeOf(members.start('a'))).toBe('CORRUPT')
  expect((await accept(members)).status).toBe(0)

  const app = await members.start('b')
  const kept = await load(members, app)
  const later = await members.during(app.journal.append({ id: 'y', type: 'order' }))
  await members.during(app.journal.saveState(later.lsn, 'after'))
  await members.during(app.close())

  expect(kept).toMatchObject({ lsn, value: 'before' })
  expect((await load(members, await members.start('c')))?.value).toBe('after')
})

test('no saved state is left of a log that is gone: another entry will have its LSN', async () => {
  const members = new Members()
  const app = await members.start('a')
  const { lsn } = await members.during(app.journal.append({ id: 'x', type: 'order' }))
  await members.during(app.journal.saveState(lsn, 'lost'))
  await members.during(app.close())
  ;(members.engine.inside('c').logs as Map<string, unknown>).clear()
  expect(await codeOf(members.start('a'))).toBe('CORRUPT')

  await accept(members)

  expect(await load(members, await members.start('a'))).toBeUndefined()
})

test('no loss is accepted while a member runs', async () => {
  const members = new Members()
  const { directory } = members.engine.connect('c')
  const loss = { shard: 0, member: 'b', message: 'it is gone', at: 0 }
  await members.during(directory.set('lost/0', 0, entryText('lost/0', loss)))
  const lease = entryText('member/a', { incarnation: 'i', leaseMs })
  const revision = await members.during(directory.set('member/a', 0, lease))

  const accepted = codeOf(clusterHere(members, 'accept-loss 0 --yes'))
  await members.clock.advance(leaseMs / 2)
  await members.during(directory.set('member/a', revision, lease))

  expect(await members.during(accepted)).toBe('CONFLICT')
  expect([...members.engine.inside('c').entries.keys()]).toContain('lost/0')
})
