/** Versions of states: what looks show, and the migration of all rows of a kind. */

import { describe, expect, test, vi } from 'vitest'
import { shownRows, surveyEntity } from '../../../src/actors/index.ts'
import { writeJournalRow } from '../../../src/actors/journal/journal-row.ts'
import {
  call,
  type DurableServer,
  entity,
  KeelsonError,
  type MigrationProgress,
  name,
  noReply,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { encodeList } from '../../../src/storage/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

type Cents = { readonly cents: number; readonly turns: number }
type Old = {
  calls: { set: (cents: number) => void; wait: (ms: number) => void }
  alarms: { ring: () => void }
}

const first: DurableServer<Old, Cents, { cents: number }> = {
  init: () => ok({ cents: 0, turns: 0 }),
  calls: {
    set: ({ turns }, cents) => reply(undefined, { cents, turns: turns + 1 }),
    wait: (state, ms, context) => {
      context.setAlarm('ring', { inMs: ms })
      return reply(undefined, state)
    },
  },
  alarms: { ring: (state) => noReply(state) },
  index: ({ cents }) => ({ cents }),
}

type Euros = { readonly euros: number; readonly turns: number }
type New = {
  calls: { add: () => number; look: () => Euros; hold: (ms: number) => void }
  alarms: { ring: () => void }
}

/** What `migrate` refuses. */
const bad = 13

const second: DurableServer<New, Euros, { euros: number }> = {
  version: 2,
  migrate: (state) => {
    const { cents, turns } = state as Cents
    if (cents === bad) throw new Error('cannot')
    return { euros: cents / 100, turns }
  },
  init: () => ok({ euros: 0, turns: 0 }),
  calls: {
    add: ({ euros, turns }) => reply(turns + 1, { euros, turns: turns + 1 }),
    look: (state) => reply(state, state),
    hold: async (state, ms, context) => {
      await new Promise<void>((resolve) => context.system.clock.after(ms, resolve))
      return reply(undefined, state)
    },
  },
  alarms: { ring: (state) => noReply({ ...state, turns: state.turns + 100 }) },
  index: ({ euros }) => ({ euros }),
}

const oldKind = entity('account', first)
const kind = entity('account', second)
const next = { app: supervisor('app', {}, [kind]), shards: 2 }

/** Rows of version 1: `count` accounts with their numbers as ids and cents. */
const written = async (count: number, shards = 2): Promise<Simulation> => {
  const s = await simulated({ app: supervisor('app', {}, [oldKind]), shards })
  const handle = s.app.entity(oldKind)
  await s.during(
    Promise.all(Array.from({ length: count }, (_, at) => call(handle.ref(`${at}`), 'set', at))),
  )
  return s
}

const upgraded = async (s: Simulation, shards = 2) => {
  await s.close()
  await s.start({ ...next, shards })
  return s.app.entity(kind)
}

/** The versions of the rows, by id. */
const versionsIn = (s: Simulation): Map<string, number> =>
  new Map(
    s.app
      .entity('account')
      .list({ limit: 10_000, states: false })
      .entries.map(({ id }) => [id, surveyEntity(s.app.entities, `account/${id}`)?.version ?? 0]),
  )

describe('a look', () => {
  test('shows a state of an older version as migrate makes it, and writes nothing', async () => {
    const s = await written(3)
    const accounts = await upgraded(s)
    expect(accounts.state('2')).toEqual({ euros: 0.02, turns: 1 })
    expect(accounts.state('none')).toBeUndefined()
    expect(accounts.list().entries.map(({ state }) => state?.euros)).toEqual([0, 0.01, 0.02])
    expect([...versionsIn(s).values()]).toEqual([1, 1, 1])
  })

  test('at the rows has the state as it was written; formatStatus gets it as migrate makes it', async () => {
    const s = await written(8)
    const plain = await upgraded(s)
    const shown = (of: string) => {
      const read = surveyEntity(s.app.entities, `${of}/7`)
      return read && shownRows(s.app.entities, { kind: of, id: '7' }, read).state
    }
    expect(plain.state('7')).toEqual({ euros: 0.07, turns: 1 })
    expect(shown('account')).toEqual({ cents: 7, turns: 1 })
    await s.close()
    const formatStatus = ({ state }: { state?: Euros }) => ({ state: `${state?.euros} euros` })
    const formatted = entity('account', { ...second, formatStatus } as typeof second)
    await s.start({ app: supervisor('app', {}, [formatted]), shards: 2 })
    expect(shown('account')).toBe('0.07 euros')
    await s.close()
    await s.start({ app: supervisor('app', {}, []), shards: 2 })
    expect(shown('account')).not.toEqual({ cents: 7, turns: 1 })
    expect(shown('account')).toEqual(expect.any(String))
  })

  test('at a row that migrate refuses is BLOCKED, and a page has the others', async () => {
    const s = await written(bad + 1)
    const accounts = await upgraded(s)
    expect(() => accounts.state(`${bad}`)).toThrow(expect.objectContaining({ code: 'BLOCKED' }))
    const { entries } = accounts.list({ prefix: '1' })
    expect(entries.map(({ id, blocked }) => `${id} ${blocked?.code}`)).toEqual([
      ...['1 undefined', '10 undefined', '11 undefined', '12 undefined', `${bad} BLOCKED`],
    ])
    expect(await codeOf(s.during(call(accounts.ref(`${bad}`), 'look')))).toBe('BLOCKED')
  })

  test('at a row is BLOCKED also when migrate throws a value that has no text', async () => {
    const s = await written(1)
    await s.close()
    const migrate = () => {
      throw Object.create(null)
    }
    const throwing = entity('account', { ...second, migrate } as typeof second)
    await s.start({ app: supervisor('app', {}, [throwing]), shards: 2 })
    const accounts = s.app.entity(throwing)
    expect(() => accounts.state('0')).toThrow('account/0 is blocked: {}')
    expect(await codeOf(s.during(call(accounts.ref('0'), 'look')))).toBe('BLOCKED')
  })

  test('at the rows of one that migrate refuses has its type and length alone', async () => {
    const s = await written(bad + 1)
    await s.close()
    const formatStatus = ({ state }: { state?: Euros }) => ({ state: `${state?.euros} euros` })
    const formatted = entity('account', { ...second, formatStatus } as typeof second)
    await s.start({ app: supervisor('app', {}, [formatted]), shards: 2 })
    const rows = surveyEntity(s.app.entities, `account/${bad}`)
    const of = { kind: 'account', id: `${bad}` }
    expect(rows && shownRows(s.app.entities, of, rows)).toEqual({
      ...{ ...rows, state: expect.stringMatching(/^\[hidden object of \d+\]$/) },
    })
    const down = new KeelsonError('SHARD_DOWN', 'no rows')
    vi.spyOn(s.app.entities, 'tableOf').mockImplementation(() => {
      throw down
    })
    expect(() => s.app.entity(formatted).list()).toThrow(down)
  })

  test('at a row of a newer version is BLOCKED', async () => {
    const s = await written(0)
    const newer = await upgraded(s)
    await s.during(call(newer.ref('1'), 'add'))
    await s.close()
    await s.start()
    const code = expect.objectContaining({ code: 'BLOCKED' })
    expect(() => s.app.entity(oldKind).state('1')).toThrow(code)
  })
})

describe('migrateAll', () => {
  test('writes every older row with its index, counts, and has nothing left to do', async () => {
    const s = await written(300)
    await s.during(call(s.app.entity(oldKind).ref('7'), 'wait', 60_000))
    const accounts = await upgraded(s)
    const seen: MigrationProgress[] = []
    const onProgress = async (progress: MigrationProgress) => {
      seen.push(progress)
      throw new Error('it changes nothing')
    }
    const odd = accounts.migrateAll({ onProgress: 'loud' as never })
    expect(await codeOf(odd)).toBe('INVALID_ARGUMENT')
    const report = await s.during(accounts.migrateAll({ onProgress }))
    expect(report).toEqual({ migrated: 299, blocked: 1 })
    expect(seen.at(-1)).toEqual({ shard: 1, examined: 300, ...report })
    expect([...versionsIn(s)].filter(([, version]) => version !== 2)).toEqual([[`${bad}`, 1]])
    expect([...accounts.blocked().keys()]).toEqual([`${bad}`])
    expect(accounts.list({ where: { euros: 2.5 } }).entries).toMatchObject([{ id: '250' }])
    expect(s.app.entity('account').list({ where: { cents: 250 } as never }).entries).toEqual([])
    // Nobody was woken, and alarms are as they were.
    expect(s.app.entities.kind('account')?.live).toBe(0)
    expect(await s.during(accounts.alarms())).toMatchObject([{ id: '7', name: 'ring' }])
    await s.advance(61_000)
    expect(accounts.state('7')).toEqual({ euros: 0.07, turns: 101 })

    expect(await s.during(accounts.migrateAll())).toEqual({ migrated: 0, blocked: 1 })
    expect(await codeOf(s.during(accounts.migrateAll({ nonsense: 1 } as never)))).toBe(
      'INVALID_ARGUMENT',
    )
  })

  test('migrates entities that live, while they answer, and loses no turn of theirs', async () => {
    const s = await written(40)
    const accounts = await upgraded(s)
    const ids = Array.from({ length: 40 }, (_, at) => `${at}`).filter((id) => id !== `${bad}`)
    // Half of them live; one of these is busy, and one changes nothing by itself.
    const quiet = '25'
    const busy = ids.filter((id) => id !== quiet)
    const adds = (): Promise<unknown>[] => busy.map((id) => call(accounts.ref(id), 'add'))
    await s.during(Promise.all(ids.slice(20).map((id) => call(accounts.ref(id), 'look'))))
    const held = call(accounts.ref('39'), 'hold', 2_000)
    const pidOf = () => s.app.entities.holder(`account/${quiet}`)?.pid
    const pid = pidOf()
    const migration = accounts.migrateAll()
    const calls = [...adds(), ...adds()]
    s.system.kill(name('account/30'))
    const settled = await s.during(Promise.allSettled(calls))
    const failed = settled.filter(({ status }) => status === 'rejected')
    expect(failed.length).toBeLessThanOrEqual(2)
    await s.during(held)
    expect(await s.during(migration)).toMatchObject({ blocked: 1 })
    expect([typeof pid, pidOf()]).toEqual(['number', pid])
    expect(
      new Set([...versionsIn(s)].map(([id, version]) => id === `${bad}` || version === 2)),
    ).toEqual(new Set([true]))
    for (const id of ids)
      if (id !== '30') {
        const turns = id === quiet ? 1 : 3
        expect(accounts.state(id), id).toEqual({ euros: Number(id) / 100, turns })
      }
  })

  test('writes 64 rows at a time: the next one waits for one of them', async () => {
    // One of them is refused, and leaves its place to the 65th.
    const s = await written(66, 1)
    const accounts = await upgraded(s, 1)
    s.syncMs = 5_000
    let examined = 0
    const run = accounts.migrateAll({
      onProgress: (progress) => {
        examined = progress.examined
      },
    })
    await s.advance(2_000)
    expect(examined).toBe(64)

    expect(await s.during(run, { withinMs: 20_000 })).toEqual({ migrated: 65, blocked: 1 })
    expect(examined).toBe(66)
  })

  test('does not count an entity that was deleted before its turn came', async () => {
    const s = await written(66, 1)
    const accounts = await upgraded(s, 1)
    s.syncMs = 5_000
    const run = accounts.migrateAll()
    await s.advance(2_000)
    const deleted = accounts.delete('9', { timeoutMs: 60_000 })

    expect(await s.during(run, { withinMs: 40_000 })).toEqual({ migrated: 64, blocked: 1 })
    expect(await s.during(deleted, { withinMs: 40_000 })).toBe(true)
    expect(accounts.state('9')).toBeUndefined()
  })

  test('counts every blocked row, and lists the first 1,000', async () => {
    const s = await written(1_001, 1)
    await s.close()
    const refused = entity('account', { ...second, migrate: () => expect.unreachable() })
    await s.start({ app: supervisor('app', {}, [refused]), shards: 1 })
    const accounts = s.app.entity(refused)

    expect(await s.during(accounts.migrateAll())).toEqual({ migrated: 0, blocked: 1_001 })
    expect(accounts.blocked().size).toBe(1_000)
  })

  test('counts rows of a machine of another shape as blocked', async () => {
    const s = await written(5)
    await s.close()
    const reshaped = entity('account', { ...first, shape: 'other' } as typeof first)
    await s.start({ app: supervisor('app', {}, [reshaped]), shards: 2 })
    const report = await s.during(s.app.entity(reshaped).migrateAll())
    expect(report).toEqual({ migrated: 0, blocked: 5 })
  })

  test('migrates an entity that is killed while it is asked', async () => {
    const s = await written(3)
    const accounts = await upgraded(s)
    const held = codeOf(call(accounts.ref('1'), 'hold', 2_000))
    const migration = accounts.migrateAll()
    await s.advance(100)
    expect(versionsIn(s)).toEqual(
      new Map([
        ['0', 2],
        ['1', 1],
        ['2', 2],
      ]),
    )

    s.system.kill(name('account/1'))

    expect(await s.during(held)).toBe('EXITED')
    expect(await s.during(migration)).toEqual({ migrated: 3, blocked: 0 })
    expect(accounts.state('1')).toEqual({ euros: 0.01, turns: 1 })
  })

  test('counts an entity that lives and is blocked as blocked', async () => {
    const s = await written(bad + 1)
    const accounts = await upgraded(s)
    expect(await s.during(codeOf(call(accounts.ref(`${bad}`), 'look')))).toBe('BLOCKED')
    expect(s.app.entities.holder(`account/${bad}`)).toBeDefined()

    expect(await s.during(accounts.migrateAll())).toEqual({ migrated: bad, blocked: 1 })
  })

  test('on a full disk ends with NO_SPACE, and nothing waits: the next run does it all', async () => {
    const s = await written(10, 1)
    const accounts = await upgraded(s, 1)
    await fillDisk(s)
    expect(await s.during(codeOf(accounts.migrateAll()))).toBe('NO_SPACE')
    expect(accounts.blocked().size).toBe(0)
    expect(s.app.health().actors.waiting.count).toBe(0)
    freeDisk(s)
    await s.advance(1_000)
    expect(new Set(versionsIn(s).values())).toEqual(new Set([1]))

    expect(await s.during(accounts.migrateAll())).toEqual({ migrated: 10, blocked: 0 })
  })

  test('is SHARD_DOWN if the shard goes down under it, and counts no row as blocked', async () => {
    const s = await written(20, 1)
    const accounts = await upgraded(s, 1)
    failNextSync(s.disk)
    expect(await s.during(codeOf(accounts.migrateAll()))).toBe('SHARD_DOWN')
    expect([...accounts.blocked().keys()].filter((id) => id !== `${bad}`)).toEqual([])
    await s.during(s.app.control.reopen(0))
    const { blocked } = await s.during(accounts.migrateAll())
    expect([blocked, new Set([...versionsIn(s).values()])]).toEqual([1, new Set([1, 2])])
  })

  test('lists a row that is too large in the present version in the log, and goes on', async () => {
    const s = await written(3)
    await s.close()
    const migrate = (state: unknown): Euros => {
      const { cents, turns } = state as Cents
      return { euros: cents, turns, ...(cents === 1 && { more: 'x'.repeat(2_000_000) }) }
    }
    const growing = entity('account', { ...second, migrate })
    await s.start({ app: supervisor('app', {}, [growing]), shards: 2 })

    expect(await s.during(s.app.entity(growing).migrateAll())).toEqual({ migrated: 2, blocked: 1 })
    expect(s.app.entity(growing).blocked().size).toBe(0)
    const message = expect.stringMatching(/^account\/1 cannot be migrated: /)
    const reason = expect.objectContaining({ code: 'TOO_LARGE' })
    expect(s.log.lines).toMatchObject([{ level: 'warn', message, facts: { reason } }])
  })

  test('counts a row that it cannot read as blocked', async () => {
    const s = await written(3)
    const accounts = await upgraded(s)
    const shard = s.app.entities.shardOf('account/odd') as never
    const newer = encodeList([99, 2, '', [], {}, {}])
    await s.during(writeJournalRow(s.system, shard, 'account/odd', newer))

    expect(await s.during(accounts.migrateAll())).toEqual({ migrated: 3, blocked: 1 })
    expect([...accounts.blocked().keys()]).toEqual(['odd'])
    // It has no process that could be ended.
    expect(await accounts.unblock('odd')).toBe(true)
    expect(accounts.blocked().size).toBe(0)
  })

  test('ends by its signal while an entity is busy, which the next run migrates', async () => {
    const s = await written(10)
    const accounts = await upgraded(s)
    const held = call(accounts.ref('5'), 'hold', 60_000, { timeoutMs: 90_000 })
    const ending = new AbortController()
    const run = accounts.migrateAll({ signal: ending.signal })
    await s.advance(1_000)
    ending.abort()
    expect(await s.during(run, { withinMs: 100 })).toEqual({ migrated: 9, blocked: 0 })
    await s.during(held, { withinMs: 90_000 })
    expect(await s.during(accounts.migrateAll())).toEqual({ migrated: 1, blocked: 0 })
  })

  test('ends early by its signal, and the next run does the rest', async () => {
    const s = await written(200)
    const accounts = await upgraded(s)
    const ending = new AbortController()
    const run = accounts.migrateAll({ signal: ending.signal })
    await s.advance(1)
    ending.abort()
    const { migrated } = await s.during(run)
    expect(migrated).toBeGreaterThan(0)
    expect(migrated).toBeLessThan(199)
    expect(await s.during(accounts.migrateAll())).toEqual({ migrated: 199 - migrated, blocked: 1 })
  })

  test('ends with CLOSED when the instance closes, with what is done durable', async () => {
    const s = await written(200)
    const accounts = await upgraded(s)
    const run = codeOf(accounts.migrateAll())
    await s.advance(1)
    await s.close()
    expect(await run).toBe('CLOSED')
    await s.start(next)
    const { migrated } = await s.during(s.app.entity(kind).migrateAll())
    expect(migrated).toBeLessThan(199)
    expect(migrated).toBeGreaterThan(0)
  })

  test('wherever the power goes, each row is the old or the new one, and a next run ends it', async () => {
    const tally = { cut: 0, partly: 0 }
    for (let at = 1; tally.cut === at - 1; at++) {
      const s = await written(30)
      const accounts = await upgraded(s)
      await s.during(call(accounts.ref('5'), 'add'))
      s.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
      const outcome = await s
        .during(codeOf(accounts.migrateAll()), { withinMs: 2_000 })
        .catch(() => 'hangs')
      await s.powerCut()
      s.disk.clearFaults()
      await s.start(next)
      const versions = [...versionsIn(s).values()]
      expect(versions).toHaveLength(30)
      if (outcome !== 'ok') tally.cut++
      const left = versions.filter((version) => version === 1).length
      if (left > 1 && left < 29) tally.partly++
      const again = s.app.entity(kind)
      for (const { id, state, blocked } of again.list().entries)
        if (id === `${bad}`) expect(blocked?.code).toBe('BLOCKED')
        else expect(state).toEqual({ euros: Number(id) / 100, turns: id === '5' ? 2 : 1 })
      expect(await s.during(again.migrateAll())).toEqual({ migrated: left - 1, blocked: 1 })
      await s.close()
    }
    expect(tally.cut).toBeGreaterThan(1)
    expect(tally.partly).toBeGreaterThan(0)
  })
})
