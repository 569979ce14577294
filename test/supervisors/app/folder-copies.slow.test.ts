/** Copies that are made as docs/store-reference.md says: a watch is ready, then the range, then the changes. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { countOf } from '../../support/tier.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { set: (to: number) => number } }

const cell: DurableServer<Messages, number> = {
  init: () => 0,
  calls: { set: (_, to) => reply(to, to) },
}

const given = () => ({ shards: 12, app: supervisor('app', {}, [entity('cell', cell)]) })

const names = ['a', 'b', 'c', 'd']
const keys = Array.from({ length: 24 }, (_, at) => `k${at}`)
/** 10,000 copies take about a quarter of an hour on a quiet machine. */
const timeoutMs = 3_600_000
const count = countOf('KEELSON_COPIES', 80, 10_000)

type Copy = {
  readonly rows: Map<string, unknown>
  readonly end: () => Promise<unknown>
  /** Resolves at its end. */
  readonly ended: Promise<string>
}

/** A copy of the keys. Without `isPatient` it awaits its reads alone. */
const copyOfKeys = ({ store }: App, isPatient: boolean): Copy => {
  const rows = new Map<string, unknown>()
  const watch = store.watch({ prefix: 'k' })
  const follow = async () => {
    if (isPatient) await watch.ready
    for await (const [key, value] of store.entries({ prefix: 'k' })) rows.set(key, value)
    for await (const change of watch) {
      if (change.kind === 'put') rows.set(change.key, change.value)
      if (change.kind === 'delete') rows.delete(change.key)
    }
    return 'done'
  }
  return { rows, end: () => watch.return(), ended: follow().catch(({ code }) => code) }
}

/** The same of entities. */
const copyOfCells = (app: App, isPatient: boolean): Copy => {
  const rows = new Map<string, unknown>()
  const cells = app.entity<Messages, number>('cell')
  const watch = cells.watch()
  const follow = async () => {
    if (isPatient) await watch.ready
    for (const { id, state } of (await cells.page({ limit: 1_000 })).entries) rows.set(id, state)
    for await (const { id, state } of watch) rows.set(id, state)
    return 'done'
  }
  return { rows, end: () => watch.return(), ended: follow().catch(({ code }) => code) }
}

const world = async () => {
  const members = new FolderMembers(names, { seed: 7, delayMs: 20 }, { arrivalMs: 300 })
  const apps = new Map<string, App>()
  const start = async (...some: readonly string[]): Promise<void> => {
    const started = await members.start(some, given)
    for (const [at, member] of some.entries()) apps.set(member, started[at] as App)
  }
  const { clock } = members
  await start('a', 'b', 'c')
  await clock.advance(3_000)
  const at = (member: string): App => apps.get(member) as App
  const during = members.during.bind(members)
  const random = seededRandom(11)
  let written = 0

  /** Writes at these members while `work` lasts. */
  const writing = async (at: readonly App[], work: Promise<unknown>): Promise<void> => {
    let isOver = false
    const loop = async (app: App): Promise<void> => {
      while (!isOver) {
        const key = keys[Math.floor(random() * keys.length)] as string
        const value = ++written
        const work = value % 3 === 0 ? call(cellAt(app, key), 'set', value) : put(app, key, value)
        await work.catch(() => undefined)
        await new Promise<void>((resolve) => clock.after(random() * 30, resolve))
      }
    }
    const loops = Promise.all(at.map(loop))
    await work.finally(() => {
      isOver = true
    })
    await during(loops)
  }

  /** Makes so many copies, one after another, at these members while `event` happens. */
  const copies = async (
    at: readonly App[],
    amount: number,
    event: () => Promise<unknown> = async () => undefined,
  ): Promise<readonly Copy[]> => {
    const made: Copy[] = []
    const making = (async () => {
      for (let each = 0; each < amount; each++) {
        const app = at[each % at.length] as App
        const isPatient = each % 4 < 2
        made.push(each % 8 < 6 ? copyOfKeys(app, isPatient) : copyOfCells(app, isPatient))
        await new Promise<void>((resolve) => clock.after(random() * 10, resolve))
      }
    })()
    await writing(at, Promise.all([during(making), event()]))
    await clock.advance(3_000)
    return made
  }

  /** The copies that are not as the rows are now, or that have ended. */
  const wrong = async (app: App, made: readonly Copy[]): Promise<readonly unknown[]> => {
    const { entries } = await during(app.store.page({ prefix: 'k', limit: 1_000 }))
    const cells = await during(app.entity<Messages, number>('cell').page({ limit: 1_000 }))
    const truths = [new Map(entries), new Map(cells.entries.map(({ id, state }) => [id, state]))]
    const found = made.flatMap(({ rows }, at) => {
      const truth = truths[at % 8 < 6 ? 0 : 1] as Map<string, unknown>
      const differing = [...truth].filter(([key, value]) => rows.get(key) !== value)
      return differing.map(([key, value]) => [at, key, value, rows.get(key)])
    })
    for (const copy of made) await copy.end()
    const ended = await during(Promise.all(made.map(({ ended }) => ended)))
    return [...found, ...ended.filter((how) => how !== 'done')]
  }
  return { ...{ members, clock, during, at, start, copies, wrong } }
}

const put = (app: App, key: string, value: number) => app.store.put(key, value)

const cellAt = (app: App, id: string) => app.entity<Messages>('cell').ref(id)

/** The copies of one wave. */
const waveMax = 40

const waves = (amount: number): readonly number[] =>
  Array.from({ length: Math.ceil(amount / waveMax) }, (_, at) =>
    Math.min(waveMax, amount - at * waveMax),
  )

test(
  'each copy is right that a member makes which owns nothing',
  async () => {
    const { at, start, copies, wrong } = await world()
    // Beside a backup a shard stays where it is.
    for (const member of ['a', 'b', 'c'])
      void at(member).shards[0]?.parts.snapshotTurns.takeForBackup()
    await start('d')
    const idle = at('d')

    for (const amount of waves(count)) {
      expect(await wrong(idle, await copies([idle], amount))).toEqual([])
      expect(idle.shards.filter(({ phase }) => phase.kind !== 'elsewhere')).toEqual([])
    }
  },
  timeoutMs,
)

test(
  'each copy is right that is made while shards move, links are cut and owners end',
  async () => {
    const { members, clock, at, start, copies, wrong } = await world()
    await start('d')
    await clock.advance(3_000)
    const stay = [at('a'), at('c')]
    const again = async (member: string, end: (member: string) => Promise<void>): Promise<void> => {
      await end.call(members, member)
      await clock.advance(100)
      await start(member)
    }
    const cut = async (): Promise<void> => {
      for (const other of ['b', 'c', 'd']) {
        members.links.cut('a', other)
        await clock.advance(50)
      }
    }
    const events = [
      () => again('b', members.stop),
      cut,
      () => again('d', members.kill),
      () => again('d', members.stop),
      () => again('b', members.kill),
    ]

    for (const [at, amount] of waves(count).entries()) {
      const made = await copies(stay, amount, events[at % events.length])
      expect(await wrong(stay[0] as App, made)).toEqual([])
    }
  },
  timeoutMs,
)
