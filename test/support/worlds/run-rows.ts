/** The rows of one run in memory, for the tests of its turns: pure changes of its state and its rows. */
import { ownStreams, ownTime } from '../../../src/actors/turns/durable-server.ts'
import { KeelsonError } from '../../../src/errors.ts'
import type { RunContext } from '../../../src/flow/runs/messages.ts'
import type { RunState } from '../../../src/flow/runs/record.ts'
import type { TurnContext } from '../../../src/flow/runs/turns.ts'

type Range = {
  readonly prefix?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly limit: number
  readonly cursor?: string
  readonly values?: boolean
}

/** The value of a row that cannot be read. */
export const unreadable = 'unreadable'
export const corrupt = (): never => {
  throw new KeelsonError('CORRUPT', 'it is damaged', { details: { file: 'f' } })
}

/** The rows of a run in memory, and what a turn does beside them. */
export const contextWith = (given: Readonly<Record<string, unknown>> = {}, now = 1) => {
  const rows = new Map(Object.entries(given))
  const done: unknown[] = []
  const isIn = (key: string, { prefix = '', gte = '', lt, lte, cursor }: Range): boolean =>
    key.startsWith(prefix) &&
    key >= gte &&
    (lt === undefined || key < lt) &&
    (lte === undefined || key <= lte) &&
    (cursor === undefined || key > cursor)
  const context = {
    [ownTime]: { now: () => now, wall: () => now },
    [ownStreams]: { streamNames: [] },
    addContinue: (name: string) => done.push(name),
    setAlarm: (name: string, at: unknown) => done.push([name, at]),
    rows: {
      put: (key: string, value: unknown) => rows.set(key, value),
      get: (key: string) => (rows.get(key) === unreadable ? corrupt() : rows.get(key)),
      delete: (key: string) => rows.delete(key),
      range: (range: Range) => {
        const found = [...rows].filter(([key]) => isIn(key, range)).sort()
        const entries = found.slice(0, range.limit)
        const isRead = range.values !== false
        if (isRead && entries.some(([, value]) => value === unreadable)) corrupt()
        const exhausted = entries.length === found.length
        return { entries, exhausted, ...(!exhausted && { cursor: entries.at(-1)?.[0] }) }
      },
    },
  } as unknown as TurnContext & RunContext
  return { context, done, rows: () => Object.fromEntries(rows) }
}

/** The state of a run, with these changes. */
export const run = (changes: Partial<RunState> = {}): RunState => ({
  ...{ status: 'running', version: 1, birth: 'b', inputHash: 'h', startedAt: 0, since: 0 },
  ...{ round: 0, lap: 0, outcomes: 0, operations: 0, signals: 0, unread: 0, attempt: 1 },
  ...changes,
})

/** The row of an operation. */
export const op = (number: number, lap = 0): string =>
  `op/${String(lap).padStart(14, '0')}/${String(number).padStart(14, '0')}`
/** The row of its long value. */
export const apart = (number: number): string => op(number).replace(/\/(\d+)$/, 'v$1')
/** The row of a signal. */
export const signal = (name: string, number: number): string =>
  `signal/${name}/${String(number).padStart(14, '0')}`

/** An outcome. */
export const ok = (value: unknown) => ({ outcome: { kind: 'ok', value } }) as const
export const error = { name: 'Error', message: 'broken' }
export const thrown = { outcome: { kind: 'error', error } } as const
