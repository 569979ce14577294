/**
 * A shared log in PostgreSQL. An append is one transaction of one statement: it moves the head from
 * the position that the writer believes it has, and adds the group. The lock of the head's row is
 * held until a synchronous standby has answered, so each log has one append in flight. It is apart
 * from `postgres-engine.ts`, because the safety of a log rests on that statement.
 */
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'
import {
  appendRefusal,
  type EngineGroup,
  type EngineHead,
  type EngineLog,
  type EnginePosition,
  type EngineReading,
  engineStart,
  isSamePosition,
  namedHead,
  refuseBackwards,
  refuseGap,
  refuseTrimmed,
  trimmedHead,
} from '../../storage/index.ts'
import { type CopiedColumns, selected } from './copied-rows.ts'
import { type Columns, type Database, numberIn } from './database.ts'
import {
  damagedLog,
  groupColumns,
  groupIn,
  headIn,
  positionIn,
  rowOfHead,
} from './engine-damage.ts'
import type { EngineLane } from './engine-lane.ts'
import type { PgDatabase } from './pg-database.ts'

type Queries = Pick<Database, 'query'>

/** Groups that one statement reads at most, whatever their size. */
const groupsMax = 1_000

/** Groups that one statement removes at most. */
const removedMax = 10_000

/** The lanes of a log: its changes wait for standbys, its reads do not wait for them. */
export type LogLanes = { readonly writes: EngineLane; readonly reads: EngineLane }

/** The log `name` of a cluster. */
export const postgresLog = (
  cluster: string,
  name: string,
  { writes, reads }: LogLanes,
): EngineLog => {
  let known: number | undefined
  const numberOf = async (database: Queries): Promise<number> => {
    known ??= numberIn(await found(database, cluster, name), 'number')
    return known
  }
  /**
   * Changes the head by one statement: from what `decide` has seen, or again if it has changed. It
   * writes also what is there, so that its commit waits for the standby.
   */
  const change = (decide: (head: EngineHead) => EngineHead): Promise<number> =>
    writes.change((database) => changedHead(database, cluster, name, decide))

  return {
    // Once for each log: its own connection would be made for nothing else.
    create: (logId) =>
      reads.change(async (database) => headIn(await created(database, cluster, name, logId))),

    head: () => reads.run(async (database) => headIn(await found(database, cluster, name))),

    append: async (group, features = 0) => {
      refuseBackwards(group)
      await writes.change(async (database) => {
        const log = await numberOf(database)
        if (await appended(database, log, group, features)) return
        const refusal = await refusalOf(database, log, group)
        if (refusal) throw refusal
      })
    },

    read: (after, maxBytes) =>
      reads.run(async (database) =>
        readGroups(database, await numberOf(database), after, maxBytes),
      ),

    name: async (epoch, snapshot) => {
      await change((head) => namedHead(head, epoch, snapshot))
    },

    trim: async (epoch, lsn, mark) => {
      const log = await change((head) => trimmedHead(head, epoch, lsn, mark))
      // Trimmed groups are removed without the lock of the head, a part at a time. If the process
      // ends before that, the next trim removes the rest.
      while (await reads.run((database) => removedSome(database, log, lsn)));
    },

    ...damagedLog({ writes, reads, numberOf }),

    rest: () => writes.rest(),
  }
}

/** Changes the head of a log until no other change comes between. Returns the number of the log. */
const changedHead = async (
  database: Queries,
  cluster: string,
  name: string,
  decide: (head: EngineHead) => EngineHead,
): Promise<number> => {
  for (;;) {
    const row = await found(database, cluster, name)
    if (await replacedHead(database, row, decide(headIn(row)))) return numberIn(row, 'number')
  }
}

/** The row of the head of a log, which is made unless it exists. */
const created = async (
  database: Queries,
  cluster: string,
  name: string,
  logId: string,
): Promise<Columns> => {
  // Also where it is there, its commit waits for the standby.
  const [row = {}] = await database.query(
    `insert into keelson_cluster.logs
       (cluster, name, log_id, epoch, lsn, id, trimmed_lsn, trimmed_mark, snapshots, features)
     values ($1, $2, $3, $4, $5, $6, 0, '', '[]', 0)
     on conflict (cluster, name) do update set name = excluded.name returning ${headColumns}`,
    [cluster, name, logId, engineStart.epoch, engineStart.lsn, engineStart.id],
  )
  return row
}

const headColumns = 'number, log_id, epoch, lsn, id, trimmed_lsn, trimmed_mark, snapshots, features'

/** The row of a head. @throws KeelsonError `NO_SEGMENTS` */
const found = async (database: Queries, cluster: string, name: string): Promise<Columns> => {
  const [row] = await database.query(
    `select ${headColumns} from keelson_cluster.logs where cluster = $1 and name = $2`,
    [cluster, name],
  )
  if (row) return row
  throw new KeelsonError('NO_SEGMENTS', `the cluster ${cluster} has no log ${name}`)
}

/** Replaces what the owner alone changes, if the head is still as in `row`. */
const replacedHead = async (
  database: Queries,
  row: Columns,
  { snapshots, trimmed }: EngineHead,
): Promise<boolean> => {
  const rows = await database.query(
    `update keelson_cluster.logs set snapshots = $2::jsonb, trimmed_lsn = $3, trimmed_mark = $4
     where number = $1 and epoch = $5 and snapshots = $6::jsonb and trimmed_lsn = $7
     returning number`,
    [
      row.number,
      plainJson(snapshots),
      trimmed.lsn,
      trimmed.mark,
      row.epoch,
      plainJson(row.snapshots),
      row.trimmed_lsn,
    ],
  )
  return rows.length === 1
}

/** Appends, if the head is where the group begins. */
const appended = async (
  database: Queries,
  log: number,
  { after, end, provenLsn, bytes }: EngineGroup,
  features: number,
): Promise<boolean> => {
  const rows = await database.query(
    `with moved as (
       update keelson_cluster.logs
       set epoch = $2, lsn = $3, id = $4, features = features | $10::integer
       where number = $1 and epoch = $5 and lsn = $6 and id = $7 and ($6 = 0 or exists (
         select from keelson_cluster.groups
         where log = $1 and groups.lsn = $6 and groups.epoch = $5 and groups.id = $7))
       returning number)
     insert into keelson_cluster.groups
       (log, epoch, lsn, id, after_epoch, after_lsn, after_id, proven_lsn, bytes)
     select number, $2, $3, $4, $5, $6, $7, $8, $9 from moved returning lsn`,
    [log, end.epoch, end.lsn, end.id, after.epoch, after.lsn, after.id, provenLsn, bytes, features],
    // To parse and plan it would take longer than to run it.
    'append',
  )
  return rows.length === 1
}

/**
 * Why the group was not appended; `undefined` if an earlier attempt did. A look that waited for an
 * append on its way shows the head after it, and the groups before it. So does one after which groups
 * were deleted, and that looks the same once more.
 */
const refusalOf = async (
  database: Queries,
  log: number,
  group: EngineGroup,
): Promise<KeelsonError | undefined> => {
  for (let shown: EnginePosition | undefined; ; ) {
    const row = await placeOf(database, log, group)
    const head = headIn(row)
    const refusal = appendRefusal(group, head, row.there === true)
    if (row.last === true || !refusal) return refusal
    if (shown && isSamePosition(shown, head.end)) {
      if (isSamePosition(head.end, group.after)) throw damagedHead(head)
      return refusal
    }
    shown = head.end
  }
}

/**
 * The head, whether the group is there, and whether the group is at which the head ends. This
 * statement writes, so that its commit waits for the standby as that of an earlier attempt did:
 * without that wait, what a killed connection left might be on this server alone.
 */
const placeOf = async (database: Queries, log: number, group: EngineGroup): Promise<Columns> => {
  const { epoch, lsn, id } = group.end
  const rows = await database.query(
    `with head as (update keelson_cluster.logs set id = id where number = $1 returning *)
     select ${headColumns}, exists (
       select from keelson_cluster.groups
       where log = $1 and groups.lsn = $2 and groups.epoch = $3 and groups.id = $4) as there,
       exists (
         select from keelson_cluster.groups
         where log = $1 and groups.lsn = head.lsn and groups.epoch = head.epoch
           and groups.id = head.id) as last
     from head`,
    [log, lsn, epoch, id],
  )
  return rowOfHead(rows)
}

/** The head is where a group begins, and the group that ends there was deleted. */
const damagedHead = ({ end: { lsn } }: EngineHead): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `the group that ends at lsn ${lsn} is missing, and the head shows it`,
    {
      details: { lsn, evidence: 'the last group is missing' },
    },
  )

const readColumns: CopiedColumns = {
  head_lsn: 'bigint',
  head_epoch: 'bigint',
  head_id: 'text',
  trimmed_lsn: 'bigint',
  ...groupColumns,
}

const readGroups = async (
  database: PgDatabase,
  log: number,
  after: number,
  maxBytes: number,
): Promise<EngineReading> => {
  // One statement sees the head and the groups at one moment.
  const rows = await database.read(
    `select head.lsn as head_lsn, head.epoch as head_epoch, head.id as head_id, head.trimmed_lsn,
       ${selected('part', groupColumns)}
     from keelson_cluster.logs head left join lateral (
       select * from (
         select *, sum(length(bytes)) over (order by lsn) as total,
           row_number() over (order by lsn) as place
         from (select * from keelson_cluster.groups where log = $1 and lsn > $2
               order by lsn limit ${groupsMax}) nearest) summed
       where place = 1 or total <= $3) part on true
     where head.number = $1 order by part.lsn`,
    [log, after, maxBytes],
    readColumns,
  )
  const head = rowOfHead(rows)
  const trimmed = numberIn(head, 'trimmed_lsn')
  refuseTrimmed(after, trimmed)
  const groups = rows.filter((row) => row.lsn !== null).map(groupIn)
  refuseGap(groups, after, { end: positionIn(head, 'head_') })
  return { groups, next: groups.at(-1)?.end.lsn ?? after }
}

/** Removes a part of the groups up to `lsn`. Resolves with whether it removed one. */
const removedSome = async (database: Database, log: number, lsn: number): Promise<boolean> => {
  const rows = await database.query(
    `delete from keelson_cluster.groups where log = $1 and lsn in (
       select lsn from keelson_cluster.groups where log = $1 and lsn <= $2
       order by lsn limit ${removedMax}) returning 1 as gone`,
    [log, lsn],
  )
  return rows.length > 0
}
