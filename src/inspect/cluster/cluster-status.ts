/** `keelson cluster status`: members, owner and logs, as the engine shows them. */
import type { ClusterSurvey, LogSurvey, MemberSurvey } from '../../members/index.ts'
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
      cluster: cluster.name,
      engine: cluster.engine.description,
      durability,
      ...(await tools.surveyCluster(session, clock, signal)),
    }
  },
  { text: (status, paint) => statusText(status, paint), json: (status) => statusJson(status) },
)

/** The report as plain data. */
const statusJson = ({ logs, ...status }: ClusterStatus): unknown => ({
  ...status,
  logs: logs.map(({ shard, head, owner, place }) => ({
    shard,
    ...(owner && { owner }),
    ...(place !== undefined && { place }),
    ...head,
  })),
})

/** The report as text. */
export const statusText = (status: ClusterStatus, paint: Paint): string => {
  const { cluster, engine, shards, members, owner, logs, losses, doubts } = status
  const isSpread = status.placement === 'spread'
  const facts = factList([
    ['cluster', cluster],
    ['engine', printable(engine)],
    ['copies', copiesText(status, paint)],
    ['shards', shards === undefined ? 'none: the cluster was not made' : String(shards)],
    ...(isSpread ? unownedFacts(status, paint) : ownerFacts(status, paint)),
    ...members.flatMap((each) =>
      isSpread || isOwner(each, owner) ? downFacts(each, isSpread, paint) : [],
    ),
    ...doubts.map(
      ({ shard, member, message }) =>
        [
          `shard ${shard}`,
          paint('bad', `damage read by ${member}: ${printable(message)}`),
        ] as const,
    ),
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
        [
          'member',
          'lease',
          ...(isSpread ? ['>shards', '>follows', 'links'] : []),
          ...memberColumns,
        ],
        members.map((member) => memberRow(member, status, paint)),
      ),
    logs.length > 0 &&
      textTable(
        ['>shard', ...(isSpread ? ['owner'] : []), ...logColumns],
        logs.map((log) => logRow(log, isSpread, paint)),
      ),
  ]
  return [facts, ...tables.filter((table) => table !== false)].join('\n\n')
}

const memberColumns = ['host', '>pid', 'started', 'incarnation']
const logColumns = ['log', '>epoch', '>first lsn', '>last lsn', 'snapshots']

type Fact = readonly [string, string]

const ownerFacts = ({ members, owner }: ClusterStatus, paint: Paint): readonly Fact[] => {
  const isHeld = members.some((each) => isOwner(each, owner) && each.lease === 'held')
  return [
    ['owner', owner ? `${owner.member}, epoch ${owner.epoch}` : 'none yet'],
    ...(owner && !isHeld ? [['', paint('bad', 'nobody owns at this moment')] as const] : []),
  ]
}

/** Where each shard has an owner: whether all have. */
const unownedFacts = ({ logs }: ClusterStatus, paint: Paint): readonly Fact[] => {
  const free = logs.flatMap(({ shard, owner }) => (owner ? [] : [shard]))
  if (free.length === 0) return [['owners', 'each shard has one']]
  const text = free.length === logs.length ? 'nobody has a shard' : `nobody has ${free.join(', ')}`
  return [['owners', paint('bad', text)]]
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

/** The shards that are down at a member. Only a drain gives them to another one. */
const downFacts = (
  { member, lease, down = [] }: MemberSurvey,
  isSpread: boolean,
  paint: Paint,
): readonly Fact[] =>
  lease === 'held'
    ? down.map((shard) => {
        const other = isSpread ? 'another member' : 'a standby'
        const text = `down at ${member}: keelson cluster drain ${member} lets ${other} take over`
        return [`shard ${shard}`, paint('bad', text)] as const
      })
    : []

const leaseText = { held: 'held', silent: 'not renewed', ended: 'ended' } as const

const roleText = (survey: MemberSurvey, { owner, placement }: ClusterStatus): string => {
  if (placement === 'spread') return ''
  if (isOwner(survey, owner)) return ', owner'
  return survey.ready === false ? ', standby, reads the logs' : ', standby'
}

const memberRow = (survey: MemberSurvey, status: ClusterStatus, paint: Paint): string[] => {
  const { member, lease, isLeaving, about, incarnation } = survey
  const role = roleText(survey, status)
  const own = status.logs.filter(({ owner }) => owner?.member === member).length
  const tone = lease === 'silent' ? 'bad' : lease === 'held' ? 'good' : 'faint'
  const shown = paint(tone, leaseText[lease]) + (lease === 'held' ? role : '')
  const process = about
    ? [printable(about.host), String(about.pid), new Date(about.since).toISOString()]
    : ['', '', '']
  const leaving = lease === 'held' && isLeaving ? ', leaves' : ''
  const shards =
    status.placement === 'spread'
      ? [String(own), followsText(survey, paint), linksText(survey, status, paint)]
      : []
  return [member, shown + leaving, ...shards, ...process, incarnation]
}

/** The shards of others that are in its cache, and how many of them lack much of their logs. */
const followsText = ({ lease, follows }: MemberSurvey, paint: Paint): string => {
  if (lease !== 'held' || !follows) return ''
  const { shards, warm } = follows
  return warm === shards
    ? String(shards)
    : `${shards}, ${paint('odd', `${shards - warm} lack much`)}`
}

/** The members that live and to which it has no link, and those to which it has one. */
const linksText = (
  { member, lease, links }: MemberSurvey,
  { members }: ClusterStatus,
  paint: Paint,
): string => {
  if (lease !== 'held' || !links) return ''
  const others = members.filter((each) => each.lease === 'held' && each.member !== member)
  const missing = others.flatMap((each) => (links.includes(each.member) ? [] : [each.member]))
  return missing.length === 0 ? 'all' : paint('bad', `none to ${missing.join(', ')}`)
}

/** The owner of a shard, and the member that an operator has named for it. */
const ownerText = ({ owner, place }: LogSurvey, paint: Paint): string => {
  const text = owner?.member ?? paint('bad', 'none')
  if (place === undefined) return text
  return place === owner?.member ? `${text}, moved there` : `${text}, to be at ${place}`
}

const logRow = (log: LogSurvey, isSpread: boolean, paint: Paint): string[] => {
  const { shard, head } = log
  const owners = isSpread ? [ownerText(log, paint)] : []
  if (!head) return [String(shard), ...owners, 'not made']
  const { logId, end, trimmed, snapshots } = head
  const lsns = snapshots.map(({ lsn }) => countText(lsn)).join(', ')
  return [
    String(shard),
    ...owners,
    logId,
    countText(end.epoch),
    countText(trimmed.lsn + 1),
    countText(end.lsn),
    lsns === '' ? 'none' : `at lsn ${lsns}`,
  ]
}
