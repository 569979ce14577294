/** The replicas of an instance as text: the output of `replication()`. Pure. */
import type { Health } from '../../supervisors/index.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, pluralText } from '../text/quantities.ts'
import { textTable } from '../text/text-table.ts'

const columns = ['shard', 'state', '>LSN', '>lag', '>bytes', '>ms']

type Replica = Health['replication'][number]

/** Each replica with a row for each shard, and why something does not go on. */
export const replicationView = (replicas: readonly Replica[], paint: Paint = plainPaint): string =>
  replicas.length === 0
    ? 'nothing replicates: see the option replication of start'
    : replicas.map((replica) => replicaView(replica, paint)).join('\n\n')

const replicaView = (replica: Replica, paint: Paint): string => {
  const { required, failures, retryInMs, shards } = replica
  const title = `${printable(replica.replica)}, ${required ? 'required' : 'optional'}`
  const retry =
    retryInMs === undefined
      ? []
      : [`${pluralText(failures, 'failed attempt')}, the next one in ${Math.ceil(retryInMs)} ms`]
  const rows = shards.map(({ shard, state, lsn, lag }) => [
    String(shard),
    state === 'following' ? state : paint('bad', state),
    countText(lsn),
    countText(lag.records),
    bytesText(lag.bytes),
    countText(Math.round(lag.ms)),
  ])
  const reasons = shards.flatMap(({ shard, reason }) =>
    reason === undefined ? [] : [`shard ${shard}: ${printable(reason)}`],
  )
  return [title, ...retry, textTable(columns, rows), ...new Set(reasons)].join('\n')
}
