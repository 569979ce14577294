/**
 * The entity of the random lives: its state is the ledger of everything that its turns did, and it
 * notes each effect outside, as the world would see it.
 */
import { shardTime } from '../../../src/actors/index.ts'
import {
  type AppContext,
  type BackgroundContext,
  cast,
  type DurableContext,
  type DurableServer,
  type EntityOptions,
  entity,
  type Failed,
  type GenServer,
  name,
  noReply,
  type ReadRows,
  type RetryPolicies,
  reply,
  type StandardSchema,
} from '../../../src/index.ts'

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
  | 'background'
  | 'end'

/** An operation: its number, unique in a life, and what it does. */
export type Operation = { readonly number: number; readonly deed: Deed; readonly ms: number }

/** An operation that the schema of the messages has made. */
type ParsedOperation = Operation & { readonly isParsed?: true }

/** The schema of an operation, which takes none that it has made: each is parsed once. */
const operations: StandardSchema<Operation> = {
  '~standard': {
    version: 1,
    vendor: 'lives',
    validate: (found) => {
      const { isParsed, ...operation } = Object(found) as ParsedOperation
      if (isParsed || operation.number === undefined)
        return { issues: [{ message: isParsed ? 'it was parsed' : 'it is none' }] }
      return { value: Object.assign(operation, { isParsed: true }) }
    },
  },
}

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
  /** Operations whose step or alarm was consumed by `onFailed`. */
  readonly failed: readonly number[]
  /** When its rows are removed, if it has ended, and whether with the key that it wrote. */
  readonly end: { readonly at: number; readonly keys: boolean } | undefined
  /** The version of the program that made or migrated it. */
  readonly version: number
}

/** The ledger of an unborn entity. */
export const emptyLedger: Ledger = {
  ...{ operations: [], written: 0, recorded: [], consumed: [], rung: [], filling: '', rows: {} },
  ...{ alarm: undefined, failed: [], end: undefined, version: 1 },
}

type LedgerContext = DurableContext<LedgerMessages, AppContext, Ledger>
export type LedgerLife = BackgroundContext<LedgerMessages, AppContext, Ledger>

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

/** A try of a step or an alarm. */
export type Try = {
  readonly kind: 'continue' | 'alarm'
  readonly id: string
  readonly number: number
  readonly step: string
  /** The ledger that its handler was given. */
  readonly ledger: Ledger
  readonly now: number
}

/** Whether a try fails, and whether a later one may not. */
export type Failing = false | 'away' | 'for good'

/** What the world sees of entities. */
export type World = {
  /** The handler of a step or an alarm begins. */
  readonly tries: (of: Try) => Failing
  /** How long it takes, in ms. */
  readonly lastsMs?: () => number
  /** The tries have ended. True: `onFailed` throws. Without it there is no `onFailed`. */
  readonly givesUp?: (of: Try, failed: Failed<LedgerMessages>) => boolean
  /** Background work of an operation begins. */
  readonly works?: (id: string, number: number, life: LedgerLife) => Promise<void>
  /** An entity wakes, or its row is migrated. May throw. */
  readonly wakes?: (id: string) => void
  readonly migrates?: () => void
}

/** The user's key that an entity writes whose first operation is `first`. */
export const keyOf = (id: string, first: number | undefined): string =>
  `{ledger/${id}}:written by ${first}`
/** A key that another owner has locked. */
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

const checkRows = (ledger: Ledger, { rows }: LedgerContext): void => {
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
  { operations: [first] }: Ledger,
  { number, deed, ms }: Operation,
  context: LedgerContext,
  { works }: World,
): Promise<void> => {
  const { id } = context
  if (deed === 'write') context.writes.put(keyOf(id, first), number)
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
  else if (deed === 'background') {
    // The work of a refused turn never begins.
    if (number % 5 === 0) context.writes.put(lockedKey(id), number)
    context.background((life) => works?.(id, number, life))
  } else if (deed === 'end') context.end({ keepMs: ms, keys: hasKeys(number) })
  else if (deed === 'hang') await new Promise(() => undefined)
}

/** Whether the end of this number removes the key. */
const hasKeys = (number: number): boolean => number % 2 === 0

/** The deeds whose handler awaits. */
const isAwaited: ReadonlySet<Deed> = new Set(['slow', 'throw', 'hang'])

const after = (ledger: Ledger, operation: Operation, context: LedgerContext): Ledger => {
  const { number, deed, ms } = operation
  const next = {
    ...noted(ledger, number),
    rows: rowsAfter(ledger, operation),
  }
  // The time of day goes back with the clock at a start.
  const at = shardTime(context).now() + ms
  if (deed === 'write') return { ...next, written: number }
  if (deed === 'step') return { ...next, recorded: [...ledger.recorded, number] }
  if (deed === 'large') return { ...next, filling: 'x'.repeat(100_000) }
  if (deed === 'alarm') return { ...next, alarm: { number, at } }
  if (deed === 'cancel') return { ...next, alarm: undefined }
  if (deed === 'end') return { ...next, alarm: undefined, end: { at, keys: hasKeys(number) } }
  return next
}

/** The ledger with another operation. */
export const noted = (ledger: Ledger, number: number): Ledger => ({
  ...ledger,
  operations: [...ledger.operations, number],
})

/** The index fields of a ledger. */
export const fieldsOf = ({ operations, written }: Ledger) => ({
  count: operations.length,
  written,
})

/** The policy of the program, and its version. */
type Program = { readonly version?: number; readonly retry?: RetryPolicies<'work', 'ring'> }

const ledgerServer = (world: World, program: Program): DurableServer<LedgerMessages, Ledger> => {
  const { version = 1 } = program
  const run = (
    ledger: Ledger,
    operation: Operation,
    context: LedgerContext,
  ): Ledger | Promise<Ledger> => {
    // Nobody has asked for an operation with this number.
    if (!(operation as ParsedOperation).isParsed) return noted(ledger, -1)
    checkRows(ledger, context)
    if (operation.deed === 'look') return ledger
    const next = after(ledger, operation, context)
    const done = deeds(next, operation, context, world)
    if (!isAwaited.has(operation.deed)) checkRows(next, context)
    return isAwaited.has(operation.deed) ? done.then(() => next) : next
  }
  const tries = (of: Try, next: Ledger, { system }: LedgerContext) => {
    const failing = world.tries(of)
    const ms = world.lastsMs?.() ?? 0
    const result = () => {
      if (failing) throw new Error(failing)
      return noReply(next)
    }
    if (ms === 0) return result()
    return new Promise<void>((resolve) => system.clock.after(ms, resolve)).then(result)
  }
  const tryOf = (
    ...[kind, ledger, number, context]: [Try['kind'], Ledger, number, LedgerContext]
  ): Try => ({
    ...{ kind, id: context.id, number, step: context.step, ledger },
    now: shardTime(context).now(),
  })
  const { givesUp } = world
  return {
    ...program,
    ...(givesUp && {
      onFailed: (ledger, failed, context) => {
        const number = failed.payload as number
        if (givesUp(tryOf(failed.kind, ledger, number, context), failed))
          throw new Error('onFailed')
        const next = { ...ledger, failed: [...ledger.failed, number] }
        return noReply(failed.kind === 'alarm' ? { ...next, alarm: undefined } : next)
      },
    }),
    migrate: (ledger) => {
      world.migrates?.()
      return { ...(ledger as Ledger), version }
    },
    messages: { calls: { run: operations }, casts: { run: operations } },
    init: () => ({ ...emptyLedger, version }),
    wake: (_, { id }) => world.wakes?.(id),
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
        const next = { ...ledger, consumed: [...ledger.consumed, number] }
        return tries(tryOf('continue', ledger, number, context), next, context)
      },
    },
    alarms: {
      ring: (ledger, number, context) => {
        const next = { ...ledger, rung: [...ledger.rung, number], alarm: undefined }
        return tries(tryOf('alarm', ledger, number, context), next, context)
      },
    },
    index: fieldsOf,
  }
}

/** The kind, for one life. With a `version`, rows of older ones are migrated. */
export const ledgers = (world: World, { version, retry, ...options }: EntityOptions & Program) =>
  entity(
    'ledger',
    ledgerServer(world, { ...(version && { version }), ...(retry && { retry }) }),
    options,
  )
