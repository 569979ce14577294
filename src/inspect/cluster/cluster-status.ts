/** `keelson cluster status`: members, owner and logs, as the engine shows them. */
import type { ClusterSurvey, LogSurvey, MemberSurvey } from '../../storage/index.ts'
import { type Paint, printable } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { factList, textTable } from '../text/text-table.ts'
import type { ClusterStatusCommand } from './cluster-command-line.ts'
import { type Durability, onEngine } from './cluster-engine.ts'

/** The report. */
export type ClusterStatus = ClusterSurvey & {
  readonly cluster: string
  readonly engine: string
  readonly durability: Durability
}

/** Prints the status of a cluster. Resolves with the exit status. @throws KeelsonError as the engine */
export const clusterStatus = onEngine(
  async (work, _: ClusterStatusCommand): Promise<ClusterStatus> => {
    const { cluster, session, tools, durability, clock, signal } = work
    return {
      ...{ cluster: cluster.name, engine: cluster.engine.description, durability },
      ...(await tools.surveyCluster(session, clock, signal)),
    }
  },
  { text: (status, paint) => statusText(status, paint), json: (status) => statusJson(status) },
)

/** The report as plain data. */
const statusJson = ({ logs, ...status }: ClusterStatus): unknown => ({
  ...status,
  logs: logs.map(({ shard, head }) => (head ? { shard, ...head } : { shard })),
})

/** The report as text. */
export const statusText = (status: ClusterStatus, paint: Paint): string => {
  const { cluster, engine, shards, members, owner, logs, losses } = status
  const isHeld = members.some((each) => isOwner(each, owner) && each.lease === 'held')
  const facts = factList([
    ['cluster', cluster],
    ['engine', printable(engine)],
    ['copies', copiesText(status, paint)],
    ['shards', shards === undefined ? 'none: the cluster was not made' : String(shards)],
    ['owner', owner ? `${owner.member}, epoch ${owner.epoch}` : 'none yet'],
    ...(owner && !isHeld ? [['', paint('bad', 'nobody owns at this moment')] as const] : []),
    ...members.flatMap((each) => (isOwner(each, owner) ? downFacts(each, paint) : [])),
    ...losses.map(
      ({ shard, member, message }) =>
        [
          `shard ${shard}`,
          paint('bad', `lost, found by ${member}: ${printable(message)}`),
        ] as const,
    ),
  ])
  const tables = [
    members.length > 0 &&
      textTable(
        ['member', 'lease', 'host', '>pid', 'started', 'incarnation'],
        members.map((member) => memberRow(member, owner, paint)),
      ),
    logs.length > 0 &&
      textTable(
        ['>shard', 'log', '>epoch', '>first lsn', '>last lsn', 'snapshots'],
        logs.map(logRow),
      ),
  ]
  return [facts, ...tables.filter((table) => table !== false)].join('\n\n')
}

const copiesText = ({ copies, durability }: ClusterStatus, paint: Paint): string => {
  const { copies: wanted, refusal } = durability
  if (copies !== undefined && copies !== wanted)
    return paint('bad', `${copies}, and the configuration says ${wanted}: no member starts with it`)
  return refusal === undefined
    ? `${pluralText(wanted, 'machine')} must have what is acknowledged`
    : paint('bad', `${pluralText(wanted, 'machine')} wanted: ${printable(refusal)}`)
}

const isOwner = ({ incarnation }: MemberSurvey, owner: ClusterSurvey['owner']): boolean =>
  incarnation === owner?.incarnation

/** The shards that are down at the owner. Only a drain gives them to another member. */
const downFacts = ({ member, lease, down = [] }: MemberSurvey, paint: Paint) =>
  lease === 'held'
    ? down.map((shard) => {
        const text = `down at ${member}: keelson cluster drain ${member} lets a standby take over`
        return [`shard ${shard}`, paint('bad', text)] as const
      })
    : []

const leaseText = { held: 'held', silent: 'not renewed', ended: 'ended' } as const

const memberRow = (survey: MemberSurvey, owner: ClusterSurvey['owner'], paint: Paint): string[] => {
  const { member, lease, isLeaving, about, incarnation } = survey
  const standby = survey.ready === false ? ', standby, reads the logs' : ', standby'
  const role = isOwner(survey, owner) ? ', owner' : standby
  const tone = lease === 'silent' ? 'bad' : lease === 'held' ? 'good' : 'faint'
  const shown = paint(tone, leaseText[lease]) + (lease === 'held' ? role : '')
  const process = about
    ? [printable(about.host), String(about.pid), new Date(about.since).toISOString()]
    : ['', '', '']
  const leaving = lease === 'held' && isLeaving ? ', leaves' : ''
  return [member, shown + leaving, ...process, incarnation]
}

const logRow = ({ shard, head }: LogSurvey): string[] => {
  if (!head) return [String(shard), 'not made']
  const { logId, end, trimmed, snapshots } = head
  const lsns = snapshots.map(({ lsn }) => countText(lsn)).join(', ')
  return [
    ...[String(shard), logId, countText(end.epoch), countText(trimmed.lsn + 1), countText(end.lsn)],
    lsns === '' ? 'none' : `at lsn ${lsns}`,
  ]
}
