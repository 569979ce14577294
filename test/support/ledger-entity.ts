/**
 * The entity of the random lives: its state is the ledger of everything that its turns did, and it
 * notes each effect outside, as the world would see it.
 */
import {
  cast,
  type DurableContext,
  type DurableServer,
  type EntityOptions,
  entity,
  type GenServer,
  name,
  noReply,
  type ReadRows,
  reply,
} from '../../src/index.ts'

/** What an operation does beside noting its number. */
export type Deed =
  | 'note'
  | 'look'
  | 'write'
  | 'locked'
  | 'step'
  | 'alarm'
  | 'cancel'
  | 'tell'
  | 'slow'
  | 'throw'
  | 'large'
  | 'hang'
  | 'keep'
  | 'row'
  | 'large row'
  | 'remove row'

/** An operation: its number, unique in a life, and what it does. */
export type Operation = { readonly number: number; readonly deed: Deed; readonly ms: number }

/** The ledger of one entity. */
export type Ledger = {
  /** The numbers of the operations, in the order of their turns. */
  readonly operations: readonly number[]
  /** The last operation that wrote the user's key, and how many operations there were then. */
  readonly written: number
  /** Operations whose step was recorded, and those whose step was consumed. */
  readonly recorded: readonly number[]
  readonly consumed: readonly number[]
  /** The alarm that is set: the operation that set it, and its time. */
  readonly alarm: { readonly number: number; readonly at: number } | undefined
  readonly rung: readonly number[]
  readonly filling: string
  /** The rows that it keeps: each key, and the operation that put it. */
  readonly rows: Readonly<Record<string, number>>
}

const empty: Ledger = {
  ...{ operations: [], written: 0, recorded: [], consumed: [], rung: [], filling: '', rows: {} },
  alarm: undefined,
}

export type LedgerMessages = {
  calls: { run: (operation: Operation) => Ledger }
  casts: { run: (operation: Operation) => void }
  continues: { work: (number: number) => void }
  alarms: { ring: (number: number) => void }
}

/** The witness of what leaves turns. */
export type WitnessMessages = {
  casts: { told: (what: { readonly id: string; readonly number: number }) => void }
}
export const witnessName = name<WitnessMessages>('witness')
export const witness: GenServer<WitnessMessages, null> = {
  init: () => null,
  casts: { told: (state) => noReply(state) },
}

/** What the world sees of entities. */
export type World = {
  /** A step's handler begins. True: this try fails. */
  readonly works: (id: string, number: number, step: string) => boolean
  /** An alarm's handler begins, with the ledger that it was given. True: this try fails. */
  readonly rings: (id: string, number: number, ledger: Ledger, now: number) => boolean
  /** How long the handler of a step or an alarm takes, in ms. */
  readonly lastsMs?: () => number
  /** An entity wakes, or its row is migrated. May throw. */
  readonly wakes?: () => void
  readonly migrates?: () => void
}

/** The user's key that an entity writes, and one that another owner has locked. */
export const keyOf = (id: string): string => `{ledger/${id}}:written`
export const lockedKey = (id: string): string => `{ledger/${id}}:locked`

const rowOf = (number: number): string => `r${number % 4}`

/** The value of a row. A large one is a blob. */
const rowValue = (number: number, isLarge: boolean): unknown =>
  isLarge ? { number, filling: 'x'.repeat(3_000) } : { number }

/** The rows of an actor as its ledger has them. */
export const rowsIn = (rows: Pick<ReadRows, 'range' | 'get'>): Ledger['rows'] => {
  const { entries } = rows.range()
  for (const [key, value] of entries)
    if (
      `${rows.get<{ number: number }>(key)?.number}` !== `${(value as { number: number }).number}`
    )
      throw new Error(`get denies what range says of ${key}`)
  return Object.fromEntries(
    entries.map(([key, value]) => [key, (value as { number: number }).number]),
  )
}

/** Whether two records of rows are the same. */
export const areSame = (left: Ledger['rows'], right: Ledger['rows']): boolean =>
  JSON.stringify(Object.entries(left).sort()) === JSON.stringify(Object.entries(right).sort())

const checkRows = (ledger: Ledger, { rows }: DurableContext<LedgerMessages>): void => {
  const found = rowsIn(rows)
  if (areSame(found, ledger.rows)) return
  throw new Error(`rows ${JSON.stringify(found)} deny ${JSON.stringify(ledger.rows)}`)
}

const rowsAfter = ({ rows }: Ledger, { number, deed }: Operation): Ledger['rows'] => {
  const key = rowOf(number)
  if (deed === 'row' || deed === 'large row') return { ...rows, [key]: number }
  if (deed !== 'remove row') return rows
  const { [key]: _, ...left } = rows
  return left
}

const deeds = async (
  { number, deed, ms }: Operation,
  context: DurableContext<LedgerMessages>,
): Promise<void> => {
  const { id } = context
  if (deed === 'write') context.writes.put(keyOf(id), number)
  else if (deed === 'locked') context.writes.put(lockedKey(id), number)
  else if (deed === 'step') context.addContinue('work', number)
  else if (deed === 'alarm') context.setAlarm('ring', { inMs: ms }, number)
  else if (deed === 'cancel') context.cancelAlarm('ring')
  else if (deed === 'tell') cast(context.to(witnessName), 'told', { id, number })
  else if (deed === 'slow')
    await new Promise<void>((resolve) => context.system.clock.after(ms % 40, resolve))
  else if (deed === 'throw') throw new Error('thrown')
  else if (deed === 'row' || deed === 'large row')
    context.rows.put(rowOf(number), rowValue(number, deed === 'large row'))
  else if (deed === 'remove row') context.rows.delete(rowOf(number))
  else if (deed === 'hang') await new Promise(() => undefined)
}

/** The deeds whose handler awaits. */
const isAwaited: ReadonlySet<Deed> = new Set(['slow', 'throw', 'hang'])

const after = (
  ledger: Ledger,
  { number, deed, ms }: Operation,
  context: DurableContext<LedgerMessages>,
): Ledger => ({
  ...ledger,
  rows: rowsAfter(ledger, { number, deed, ms }),
  operations: [...ledger.operations, number],
  written: deed === 'write' ? number : ledger.written,
  recorded: deed === 'step' ? [...ledger.recorded, number] : ledger.recorded,
  filling: deed === 'large' ? 'x'.repeat(100_000) : ledger.filling,
  alarm:
    deed === 'alarm'
      ? { number, at: context.now() + ms }
      : deed === 'cancel'
        ? undefined
        : ledger.alarm,
})

/** The index fields of a ledger. */
export const fieldsOf = ({ operations, written }: Ledger) => ({
  count: operations.length,
  written,
})

const ledgerServer = (world: World): DurableServer<LedgerMessages, Ledger> => {
  const run = (
    ledger: Ledger,
    operation: Operation,
    context: DurableContext<LedgerMessages>,
  ): Ledger | Promise<Ledger> => {
    checkRows(ledger, context)
    if (operation.deed === 'look') return ledger
    const done = deeds(operation, context)
    const next = after(ledger, operation, context)
    if (!isAwaited.has(operation.deed)) checkRows(next, context)
    return isAwaited.has(operation.deed) ? done.then(() => next) : next
  }
  const lasts = (next: Ledger, { system }: DurableContext<LedgerMessages>) => {
    const ms = world.lastsMs?.() ?? 0
    if (ms === 0) return noReply(next)
    return new Promise<void>((resolve) => system.clock.after(ms, resolve)).then(() => noReply(next))
  }
  return {
    init: () => empty,
    wake: () => world.wakes?.(),
    calls: {
      run: (ledger, operation, context) => {
        const next = run(ledger, operation, context)
        if (next instanceof Promise) return next.then((value) => reply(value, value))
        return operation.deed === 'keep' ? noReply(next) : reply(next, next)
      },
    },
    casts: {
      run: (ledger, operation, context) => {
        const next = run(ledger, operation, context)
        return next instanceof Promise ? next.then(noReply) : noReply(next)
      },
    },
    continues: {
      work: (ledger, number, context) => {
        if (world.works(context.id, number, context.step)) throw new Error('the world is away')
        return lasts({ ...ledger, consumed: [...ledger.consumed, number] }, context)
      },
    },
    alarms: {
      ring: (ledger, number, context) => {
        if (world.rings(context.id, number, ledger, context.now()))
          throw new Error('the world is away')
        return lasts({ ...ledger, rung: [...ledger.rung, number], alarm: undefined }, context)
      },
    },
    index: fieldsOf,
  }
}

/** The kind, for one life. With a `version`, rows of older ones are migrated. */
export const ledgers = (
  world: World,
  { version = 1, ...options }: EntityOptions & { readonly version?: number },
) => {
  const migrate = (ledger: unknown): Ledger => {
    world.migrates?.()
    return ledger as Ledger
  }
  return entity('ledger', { ...ledgerServer(world), version, migrate }, options)
}
