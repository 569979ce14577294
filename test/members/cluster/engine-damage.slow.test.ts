/**
 * Damage in the rows of an engine, one at a time: a member that needs a damaged part ends with
 * CORRUPT, the next one that reads it too marks the shard, and one that owns has every value that was acknowledged.
 */
import { expect, test } from 'vitest'
import { entryText, factsIn } from '../../../src/members/leases/cluster-directory.ts'
import {
  DirectoryEntry,
  type EngineGroup,
  type EngineHead,
  engineStart,
} from '../../../src/storage/index.ts'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { triesLong } from '../../support/tier.ts'
import { Members } from '../../support/worlds/members.ts'

/** How many groups and bytes lie between two that are changed. */
const stride = triesLong ? 1 : 3

const keys = Array.from({ length: 8 }, (_, at) => `k${at}`)

/** Member `a` has acknowledged k0 to k7, and has closed. */
const closedCluster = async (): Promise<Members> => {
  const members = new Members()
  const app = await members.start('a')
  for (const [at, key] of keys.entries()) await members.during(app.store.put(key, at))
  await members.during(app.close())
  return members
}

/**
 * How a start of a member ends: `whole`, `wrong`, or the code with the shards that are marked after a
 * second member has started, which has no cache. `b` has none either.
 */
const outcome = async (members: Members, member = 'b'): Promise<string> => {
  try {
    const app = await members.start(member)
    const values = keys.map((key) => app.store.get(key))
    await members.during(app.close())
    return values.every((value, at) => value === at) ? 'whole' : 'wrong'
  } catch (error) {
    const { directory } = members.engine.connect('c')
    const marked = async () => factsIn(await members.during(directory.view())).losses
    expect(await marked()).toEqual([])
    await members.start('second').catch(() => undefined)
    const losses = await marked()
    return `${(error as { code?: string }).code} ${losses.map(({ shard }) => shard).join()}`
  }
}

const kept = (members: Members) => members.engine.kept('c', '0')

test.each([
  ['with a cache', 'a'],
  ['without a cache', 'b'],
])('a deleted group of the log is CORRUPT and marked by a member %s', async (_, member) => {
  const { length } = kept(await closedCluster()).groups
  for (let at = 0; at < length; at++) {
    const members = await closedCluster()
    kept(members).groups.splice(at, 1)
    expect(`${at}: ${await outcome(members, member)}`).toBe(`${at}: CORRUPT 0`)
  }
})

test.each(['a', 'b'])('a deleted head is CORRUPT and marked: member %s', async (member) => {
  const members = await closedCluster()
  kept(members)
  ;(members.engine.inside('c').logs as Map<string, unknown>).delete('0')

  expect(await outcome(members, member)).toBe('CORRUPT 0')
})

test('a shard whose head was deleted goes on empty after its loss was accepted', async () => {
  const members = await closedCluster()
  ;(members.engine.inside('c').logs as Map<string, unknown>).delete('0')
  expect(await outcome(members)).toBe('CORRUPT 0')

  await members.during(clusterHere(members, 'accept-loss 0 --yes'))

  const app = await members.start('a')
  expect(app.store.get('k0')).toBeUndefined()
  await members.during(app.store.put('k0', 'again'))
  await members.during(app.close())
  expect((await members.start('b')).store.get('k0')).toBe('again')
})

test('a loss that is accepted for one shard leaves another shard lost', async () => {
  const members = new Members()
  await members.during((await members.start('a', { shards: 2 })).close())
  const logs = members.engine.inside('c').logs as Map<string, unknown>
  for (const shard of ['0', '1']) logs.delete(shard)
  const { directory } = members.engine.connect('c')
  const loss = { shard: 1, member: 'a', message: 'it is gone', at: 0 }
  await members.during(directory.set('lost/1', 0, entryText('lost/1', loss)))

  await members.during(clusterHere(members, 'accept-loss 1 --yes'))

  expect([...logs.keys()]).toEqual(['1'])
  expect(await outcome(members, 'a')).toBe('CORRUPT 0')
})

/** The values of an entry with each of its bytes changed. */
const changed = (value: string): string[] =>
  Array.from(value, (char, at) => {
    const code = char.charCodeAt(0) ^ 1
    return value.slice(0, at) + String.fromCharCode(code) + value.slice(at + 1)
  })

const entriesOf = (members: Members) =>
  members.engine.inside('c').entries as Map<string, DirectoryEntry>

test.each(['instance', 'owner', 'member/a'])(
  'any changed byte of the entry %s of the directory is CORRUPT',
  async (name) => {
    const members = await closedCluster()
    const entry = entriesOf(members).get(name)
    if (!entry) throw new Error(`there is no entry ${name}`)
    for (const value of changed(entry.value)) {
      entriesOf(members).set(name, new DirectoryEntry(value, entry.revision))
      const { directory } = members.engine.connect('c')
      const view = await members.during(directory.view())
      expect(() => factsIn(view), value).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
    const started = members.start('b')
    await expect(started).rejects.toMatchObject({ code: 'CORRUPT', details: { entry: name } })

    entriesOf(members).set(name, entry)
    expect(await outcome(members)).toBe('whole')
  },
)

test('a running owner ends with CORRUPT when an entry of the directory is damaged', async () => {
  const members = new Members()
  const app = await members.start('a')
  const { directory } = members.engine.connect('c')
  await members.during(directory.set('member/b', 0, 'no entry'))

  expect(await members.during(app.closed)).toEqual([
    'shutdown',
    expect.objectContaining({
      code: 'CORRUPT',
      details: expect.objectContaining({ entry: 'member/b' }),
    }),
  ])
})

test('deleted terms beside a log with frames are CORRUPT, and are made again with the same number of shards', async () => {
  const members = new Members()
  const app = await members.start('a', { shards: 2 })
  for (const [at, key] of keys.entries()) await members.during(app.store.put(key, at))
  await members.during(app.close())
  entriesOf(members).delete('instance')
  for (const shards of [1, 2])
    await expect(members.start('b', { shards })).rejects.toMatchObject({ code: 'CORRUPT' })

  const other = members.during(clusterHere(members, 'create --shards 1'))
  await expect(other).rejects.toMatchObject({ code: 'CONFIG' })
  await members.during(clusterHere(members, 'create --shards 2'))
  expect(await outcome(members)).toBe('whole')
})

test.each(['owner', 'member/a'])(
  'a deleted entry %s of the directory loses nothing',
  async (name) => {
    const members = await closedCluster()
    entriesOf(members).delete(name)

    expect(await outcome(members)).toBe('whole')
  },
)

const other = 'ab'.repeat(16)
const changes: readonly [string, (group: EngineGroup) => EngineGroup][] = [
  ['end.lsn', (group) => ({ ...group, end: { ...group.end, lsn: group.end.lsn + 100 } })],
  ['end.epoch', (group) => ({ ...group, end: { ...group.end, epoch: 9 } })],
  ['end.id', (group) => ({ ...group, end: { ...group.end, id: other } })],
  ['after.lsn', (group) => ({ ...group, after: { ...group.after, lsn: group.after.lsn + 100 } })],
  ['after.epoch', (group) => ({ ...group, after: { ...group.after, epoch: 9 } })],
  ['after.id', (group) => ({ ...group, after: { ...group.after, id: other } })],
  ['provenLsn', (group) => ({ ...group, provenLsn: group.provenLsn + 1 })],
]

test.each(changes)('a changed %s of any group is CORRUPT and marked', async (_, change) => {
  const { length } = kept(await closedCluster()).groups
  for (let at = 0; at < length; at += stride) {
    const members = await closedCluster()
    const { groups } = kept(members)
    groups[at] = change(groups[at] as EngineGroup)
    expect(`${at}: ${await outcome(members)}`).toBe(`${at}: CORRUPT 0`)
  }
})

test('any changed byte of a group is CORRUPT and marked', async () => {
  const { length } = kept(await closedCluster()).groups[3]?.bytes ?? { length: 0 }
  for (let at = 0; at < length; at += stride) {
    const members = await closedCluster()
    const { bytes } = kept(members).groups[3] as EngineGroup
    bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(`${at}: ${await outcome(members)}`).toBe(`${at}: CORRUPT 0`)
  }
})

const heads: readonly [string, (head: EngineHead) => EngineHead][] = [
  ['log_id', (head) => ({ ...head, logId: other })],
  ['log_id that is no id', (head) => ({ ...head, logId: 'another' })],
  ['epoch', (head) => ({ ...head, end: { ...head.end, epoch: 9 } })],
  ['a greater lsn', (head) => ({ ...head, end: { ...head.end, lsn: head.end.lsn + 1 } })],
  ['a smaller lsn', (head) => ({ ...head, end: { ...head.end, lsn: head.end.lsn - 1 } })],
  ['id', (head) => ({ ...head, end: { ...head.end, id: other } })],
  ['trimmed_lsn', (head) => ({ ...head, trimmed: { ...head.trimmed, lsn: 3 } })],
  ['trimmed_lsn at the end', (head) => ({ ...head, trimmed: { lsn: head.end.lsn, mark: '' } })],
  ['snapshots', (head) => ({ ...head, snapshots: [{ lsn: 4, file: 'snapshot-1-5-100-7' }] })],
  ['snapshots that is no list', (head) => ({ ...head, snapshots: {} as never })],
  ['snapshots without names', (head) => ({ ...head, snapshots: [1] as never })],
  ['everything', (head) => ({ ...head, end: engineStart })],
]

test.each(heads)('a head with another value of %s is CORRUPT and marked', async (_, change) => {
  const members = await closedCluster()
  kept(members).head = change(kept(members).head)

  expect(await outcome(members)).toBe('CORRUPT 0')
})

test.each([
  ['a group in the middle is missing', (groups: EngineGroup[]) => void groups.splice(4, 1)],
  [
    'a byte in the middle is changed',
    (groups: EngineGroup[]) => {
      const { bytes } = groups[4] as EngineGroup
      bytes[40] = (bytes[40] ?? 0) ^ 1
    },
  ],
])('after a loss is accepted members go on with what was before: %s', async (_, harm) => {
  const members = await closedCluster()
  harm(kept(members).groups)
  expect(await outcome(members)).toBe('CORRUPT 0')

  const shown = await members.during(clusterHere(members, 'accept-loss 0'))
  const { end } = kept(members).groups[3] as EngineGroup
  expect(shown.output).toMatch(new RegExp(`the engine has +the log up to lsn ${end.lsn}$`, 'm'))
  await members.during(clusterHere(members, 'accept-loss 0 --yes'))

  const app = await members.start('b')
  const values = keys.map((key) => app.store.get(key))
  const firstLost = values.indexOf(undefined)
  expect(firstLost).toBeGreaterThan(0)
  expect(values).toEqual(keys.map((_, at) => (at < firstLost ? at : undefined)))
  await members.during(app.store.put('k7', 'again'))
  await members.during(app.close())
  expect((await members.start('c')).store.get('k7')).toBe('again')
})

test('damage before the newest snapshot costs no row when the loss is accepted', async () => {
  const members = new Members()
  const app = await members.start('a')
  for (const [at, key] of keys.entries()) await members.during(app.store.put(key, at))
  await members.during(app.control.snapshotAll())
  for (const key of keys) await members.during(app.store.put(`${key}/more`, key))
  await members.during(app.control.snapshotAll())
  await members.during(app.store.put('k8', 8))
  await members.during(app.close())
  kept(members).groups.splice(3, 1)
  expect(await outcome(members)).toBe('CORRUPT 0')

  await members.during(clusterHere(members, 'accept-loss 0 --yes'))

  const again = await members.start('c')
  expect([...keys, 'k8'].map((key) => again.store.get(key))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
})
