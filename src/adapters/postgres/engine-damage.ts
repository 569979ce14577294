/**
 * The rows of a log in PostgreSQL, and what is asked of one that may be damaged: whether its groups
 * follow each other, which are left, and the cut of an operator who accepts a loss. It is apart
 * from `engine-log.ts`, which has the reads and appends of sound logs.
 */
import { plainJson } from '../../bytes/json.ts'
import { realView } from '../../bytes/real-bytes.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type EngineGroup,
  type EngineHead,
  type EngineLog,
  type EnginePosition,
  refuseGap,
  refuseTrimmed,
} from '../../storage/index.ts'
import { type CopiedColumns, selected } from './copied-rows.ts'
import { bytesIn, type Columns, type Database, numberIn } from './database.ts'
import type { EngineLane } from './engine-lane.ts'

/** Groups that one statement surveys at most: it must be answered in time on a slow disk. */
const surveyedMax = 20_000

/** Groups that one statement reads at most. */
const salvagedMax = 1_000

/** The log, and the connections for what changes it and for what does not. */
export type DamagedLogParts = {
  readonly writes: EngineLane
  readonly reads: EngineLane
  readonly numberOf: (database: Pick<Database, 'query'>) => Promise<number>
}

/** The part of the port about damage. */
export const damagedLog = ({
  writes,
  reads,
  numberOf,
}: DamagedLogParts): Pick<EngineLog, 'survey' | 'salvage' | 'replace'> => ({
  survey: (after) =>
    reads.run(async (database) => surveyed(database, await numberOf(database), after)),

  salvage: (after, maxBytes) =>
    reads.run(async (database) => {
      const rows = await database.read(
        `select ${selected('summed', groupColumns)} from (
           select *, sum(length(bytes)) over (order by lsn) as total,
             row_number() over (order by lsn) as place
           from (select * from keelson_cluster.groups where log = $1 and lsn > $2
                 order by lsn limit ${salvagedMax}) nearest) summed
         where place = 1 or total <= $3 order by lsn`,
        [await numberOf(database), after, maxBytes],
        groupColumns,
      )
      const groups = rows.map(groupIn)
      return { groups, next: groups.at(-1)?.end.lsn ?? after }
    }),

  replace: ({ end: from }, { end, trimmed, snapshots }) =>
    writes.change(async (database) => {
      const rows = await database.query(
        `with moved as (
           update keelson_cluster.logs set epoch = $5, lsn = $6, id = $7, trimmed_lsn = $8,
             trimmed_mark = $9, snapshots = $10::jsonb
           where number = $1 and epoch = $2 and lsn = $3 and id = $4 returning number),
         gone as (
           delete from keelson_cluster.groups using moved
           where log = number and (groups.lsn > $6 or groups.lsn <= $8))
         select number from moved`,
        [
          await numberOf(database),
          from.epoch,
          from.lsn,
          from.id,
          end.epoch,
          end.lsn,
          end.id,
          trimmed.lsn,
          trimmed.mark,
          plainJson(snapshots),
        ],
      )
      if (rows.length === 0)
        throw new KeelsonError('CONFLICT', 'another request has changed the log')
    }),
})

/** Reads the ends of the first group, the last one, and each one that does not follow. */
const surveyed = async (database: Database, log: number, after: number): Promise<number> => {
  const rows = await database.query(
    `with part as (
       select lsn, epoch, id, after_lsn, after_epoch, after_id, lag(lsn) over every as past_lsn,
         lag(epoch) over every as past_epoch, lag(id) over every as past_id,
         lead(lsn) over every as next_lsn
       from (select * from keelson_cluster.groups where log = $1 and lsn > $2
             order by lsn limit ${surveyedMax}) nearest
       window every as (order by lsn))
     select head.lsn as head_lsn, head.epoch as head_epoch, head.id as head_id, head.trimmed_lsn,
       part.*
     from keelson_cluster.logs head left join part on past_lsn is null or next_lsn is null
       or (after_lsn, after_epoch, after_id) is distinct from (past_lsn, past_epoch, past_id)
     where head.number = $1 order by part.lsn`,
    [log, after],
  )
  const head = rowOfHead(rows)
  refuseTrimmed(after, numberIn(head, 'trimmed_lsn'))
  const found = rows.filter((row) => row.lsn !== null)
  refuseGap(runsIn(found), after, { end: positionIn(head, 'head_') })
  return found.length === 0 ? after : numberIn(found.at(-1) as Columns, 'lsn')
}

/** The runs of groups that follow each other: one, of a sound log. */
const runsIn = (rows: readonly Columns[]) =>
  rows.map((row, at) => {
    const next = rows[at + 1]
    const end = next ? positionIn(next, 'past_') : positionIn(row)
    return { after: positionIn(row, 'after_'), end }
  })

/** The row of a head that was there before. @throws KeelsonError `CORRUPT` */
export const rowOfHead = ([row]: readonly Columns[]): Columns => {
  if (row) return row
  throw new KeelsonError('CORRUPT', 'the head of the log is gone', {
    details: { lsn: 1, evidence: 'a row of logs is missing' },
  })
}

/** A head, as its row has it. */
export const headIn = (row: Columns): EngineHead => ({
  logId: String(row.log_id),
  end: positionIn(row),
  trimmed: { lsn: numberIn(row, 'trimmed_lsn'), mark: String(row.trimmed_mark) },
  snapshots: row.snapshots as EngineHead['snapshots'],
  features: numberIn(row, 'features'),
})

/** The position in the columns that begin with `prefix`. */
export const positionIn = (
  row: Columns,
  prefix: '' | 'after_' | 'past_' | 'head_' = '',
): EnginePosition => ({
  epoch: numberIn(row, `${prefix}epoch`),
  lsn: numberIn(row, `${prefix}lsn`),
  id: String(row[`${prefix}id`]),
})

/** The columns of a group. */
export const groupColumns: CopiedColumns = {
  after_lsn: 'bigint',
  after_epoch: 'bigint',
  after_id: 'text',
  lsn: 'bigint',
  epoch: 'bigint',
  id: 'text',
  proven_lsn: 'bigint',
  bytes: 'bytea',
}

/** A group, as its row has it. */
export const groupIn = (row: Columns): EngineGroup => ({
  after: positionIn(row, 'after_'),
  end: positionIn(row),
  provenLsn: numberIn(row, 'proven_lsn'),
  // `pg` gives a Buffer.
  bytes: realView(bytesIn(row, 'bytes')),
})
