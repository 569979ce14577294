/**
 * The past of a durable actor as the page of `keelson observe` shows it. Another thread reads the
 * log. It is apart from the other looks because its answers come from a thread.
 */
import {
  cutText,
  keptText,
  type PastOptions,
  type PastPage,
  type PastTurn,
} from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import type { History, HistoryTurn, Past } from '../../observe/index.ts'
import { workerKind } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import { causeTitle, otherOperations } from '../answers/turn-titles.ts'
import { shortText } from '../text/shown-text.ts'
import { entityIn } from './entity-looks.ts'
import { machineValue } from './machine-shown.ts'
import { given, numberIn, optionalNumber, type Query } from './questions.ts'
import { shownTree } from './value-trees.ts'

const turnsMax = 50
const changesMax = 20
/** A search ends after two seconds without a turn; it goes on as often. */
const roundsMax = 4

/** A page of turns, the newest first. @throws KeelsonError `INVALID_ARGUMENT` */
export const historyShown = async (app: App, query: Query): Promise<History> => {
  const before = optionalNumber(query, 'before', { min: 2 })
  const limit = optionalNumber(query, 'limit', { min: 1, max: turnsMax }) ?? turnsMax
  const { turns, cursor, isCut, firstLsn } = await pageOf(app, query, before, limit)
  const last = turns.at(-1)?.lsn ?? 0
  // Turns may share an LSN: the next page begins with all of the last one.
  const whole = turns.filter(({ lsn }) => lsn > last)
  const isWhole = cursor === undefined || whole.length === 0
  return {
    turns: (isWhole ? turns : whole).map(turnShown),
    ...given<History>({
      before: cursor === undefined ? undefined : isWhole ? last : last + 1,
      end: isCut ? cutText(firstLsn) : undefined,
    }),
  }
}

/** An entity after the last turn up to an LSN. @throws KeelsonError `NO_PROCESS` without one */
export const pastShown = async (app: App, query: Query): Promise<Past> => {
  const lsn = numberIn(query, 'lsn', { min: 1 })
  const { turns, isCut, firstLsn } = await pageOf(app, query, lsn + 1, 1)
  const [turn] = turns
  if (!turn) {
    const why = isCut ? `: ${cutText(firstLsn)}` : ''
    throw new KeelsonError('NO_PROCESS', `the log has no turn of it up to LSN ${lsn}${why}`)
  }
  return {
    ...{ lsn: turn.lsn, at: turn.time, state: shownTree(turn.state ?? null) },
    ...given<Past>({ machineValue: machineValue(turn.state) }),
  }
}

const pageOf = async (app: App, query: Query, before: number | undefined, limit: number) => {
  const { kind, id } = entityIn(app, query)
  const options = { limit, ...(before !== undefined && { atLsn: before - 1 }) }
  const read = (asked: PastOptions): Promise<PastPage> =>
    kind === workerKind ? app.workerHistory(id, asked) : app.entity(kind).history(id, asked)
  let page = await read(options)
  for (let round = 0; round < roundsMax && page.turns.length === 0 && page.cursor; round++)
    page = await read({ ...options, before: page.cursor })
  return page
}

const turnShown = (turn: PastTurn): HistoryTurn => {
  const { lsn, time, seq, changed = [], steps, alarms, writes, entries } = turn
  const { kind, error } = turn.cause
  const notes = [
    ...steps.map((step) => `step ${step.name}${step.tries > 0 ? ` (${step.tries} failed)` : ''}`),
    ...alarms.map(({ name: alarm, at }) =>
      at === undefined ? `alarm ${alarm} gone` : `alarm ${alarm} at ${new Date(at).toISOString()}`,
    ),
    ...otherOperations(turn),
    ...(writes.length > 0 ? [`${writes.length} writes`] : []),
    ...(entries.length > 0 ? [`${entries.length} journal entries`] : []),
  ]
  return {
    ...{ lsn, at: time, seq, cause: shortText(causeTitle(turn), 300) },
    changed: changed.slice(0, changesMax).map((path) => shortText(path, 200)),
    notes: notes.slice(0, changesMax).map((note) => shortText(note, 200)),
    ...given<HistoryTurn>({
      error: error && shortText(keptText(error), 400),
      isDeleted: kind === 'end' || undefined,
    }),
  }
}
