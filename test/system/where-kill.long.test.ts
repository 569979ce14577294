/** Attributes and what `where` finds by them, in real processes under SIGKILL, beside a model of them. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { noFlock } from '../support/harm/folder-locks.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { countOf } from '../support/tier.ts'
import { StruckMembers } from '../support/worlds/struck-members.ts'

const rounds = countOf('KEELSON_KILL_ROUNDS', 2, 60)
const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const ordersOfRound = 8

type Fields = Readonly<Record<string, string | boolean>>
type Row = { readonly id: string; readonly fields: Fields }
const sorts = ['runs', 'jobs', 'accounts'] as const

const customers = ['c-7', 'c-70', 'c']
const conditions: readonly Fields[] = [
  ...customers.map((customer) => ({ customer })),
  ...['begun', 'paid', 'done'].map((stage) => ({ stage })),
  ...customers.map((customer) => ({ customer, stage: 'done' })),
]
/** Of runs alone. */
const statuses: readonly Fields[] = [
  { status: 'completed' },
  { customer: 'c-7', status: 'completed' },
  { isLate: true },
]

const holds = ({ fields }: Row, where: Fields): boolean =>
  Object.entries(where).every(([name, value]) => fields[name] === value)

/** The model: the fields that were acknowledged, of what nobody changes meanwhile. */
class Model {
  readonly #fields = { runs: new Map(), jobs: new Map(), accounts: new Map() } as Readonly<
    Record<(typeof sorts)[number], Map<string, Fields>>
  >

  set(what: (typeof sorts)[number], id: string, fields: Fields): void {
    this.#fields[what].set(id, { ...this.#fields[what].get(id), ...fields })
  }

  of(what: (typeof sorts)[number]): Row[] {
    const rows = [...this.#fields[what]].map(([id, fields]) => ({ id, fields }))
    return rows.sort((one, other) => (one.id < other.id ? -1 : 1))
  }
}

const rounded = async (members: readonly string[]): Promise<void> => {
  const dir = join(tempFolder(), 'd')
  const world = new StruckMembers(dir, members, 'found-by-where.mjs', seed)
  const model = new Model()
  let next = 0

  const begun = async (id: string): Promise<void> => {
    const customer = customers[Math.floor(world.random() * customers.length)] as string
    await world.ask('start', [id, { customer }])
    model.set('runs', id, { customer, stage: 'begun', status: 'waiting' })
    const attributes = { customer, stage: 'paid' }
    const job = (await world.ask('add', [id, attributes])) as string
    await world.ask('jobResult', [job])
    model.set('jobs', job, attributes)
    await world.ask('set', [id, { customer, stage: 'begun' }])
    model.set('accounts', id, { customer, stage: 'begun' })
  }
  const ended = async (id: string): Promise<void> => {
    await world.ask('stage', [id, 'paid'])
    await world.ask('set', [id, { stage: 'paid' }])
    await world.ask('stage', [id, 'done'])
    await world.ask('result', [id])
    model.set('runs', id, { stage: 'done', isLate: true, status: 'completed' })
    await world.ask('set', [id, { stage: 'done' }])
    model.set('accounts', id, { stage: 'done' })
  }
  /** A run that has just begun sets its stage, and then waits. Each answer of the pages is a turn of its own. */
  const settled = async (what: (typeof sorts)[number]): Promise<Row[]> => {
    const wanted = JSON.stringify(model.of(what).map(({ id, fields }) => [id, fields.stage]))
    for (let look = 1; ; look++) {
      const rows = (await world.ask('rows', [what])) as Row[]
      const isSettled = JSON.stringify(rows.map(({ id, fields }) => [id, fields.stage])) === wanted
      if (isSettled || look === 100) return rows
    }
  }
  /** At each process: what a condition finds is what the rows say, which is what was acknowledged. */
  const judge = async (round: number): Promise<void> => {
    for (const what of sorts) {
      const rows = await settled(what)
      const plain = (of: readonly Row[]) =>
        of.map(({ id, fields: { status: _, ...fields } }) => ({ id, fields }))
      expect(plain(rows), `round ${round}: rows of ${what}`).toEqual(plain(model.of(what)))
      for (const name of world.names)
        for (const where of [...conditions, ...(what === 'runs' ? statuses : [])]) {
          const { value, text } = await world.askAt(name, 'where', [what, where])
          const found = value ?? text
          const wanted = rows.filter((row) => holds(row, where)).map(({ id }) => id)
          const place = `seed ${seed}, round ${round}, at ${name}: ${what} ${JSON.stringify(where)}`
          expect(found, place).toEqual(wanted)
        }
    }
  }

  let open: string[] = []
  for (let round = 0; round <= rounds; round++) {
    const ids = Array.from({ length: round < rounds ? ordersOfRound : 0 }, () => `o${++next}`)
    const before = open
    await world.struckDuring(ordersOfRound * 5, () =>
      Promise.all([...ids.map(begun), ...before.map(ended)]),
    )
    await judge(round)
    open = ids
  }
  await world.close()
}

test(
  `where finds what the rows say, and what was acknowledged, after each of ${rounds} kills`,
  {
    timeout: (rounds + 1) * 60_000,
  },
  () => rounded([]),
)

test.skipIf(lacks(noFlock))(
  `so it does at each of three members, of which one is killed, ${rounds} times`,
  { timeout: (rounds + 1) * 60_000 },
  () => rounded(['a', 'b', 'c']),
)
