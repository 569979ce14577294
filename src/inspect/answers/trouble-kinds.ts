/**
 * Every kind of trouble: what it is called, how bad it is, which alert shows it, and the word of the
 * prompt that leads to its cause. Text, page, metrics and alerts are made from this table. It is apart
 * from `troubles.ts`, which finds the troubles in the facts of an instance. Pure.
 */
import { inspect } from 'node:util'
import type { Link, Severity } from '../../observe/index.ts'
import { ownOf } from '../../own-names.ts'

/** A kind: `alert` is its rule in `signals/alerts.yml` and its entry in `docs/operations.md`. */
type KindOfTrouble = {
  readonly severity: Severity
  readonly alert: string
  /** The word that leads to its cause; absent: the one of the view that it links to. */
  readonly word?: 'crashes' | 'projections' | 'journal' | 'cluster' | 'dead'
}

/**
 * `critical`: something is refused, or has stopped until a person acts. `warning`: it goes on or mends
 * itself, but not as it should.
 */
export const troubleKinds = {
  'member unsure': { severity: 'critical', alert: 'KeelsonMemberUnsure', word: 'cluster' },
  'member ended': { severity: 'critical', alert: 'KeelsonMemberUnsure', word: 'cluster' },
  'member away': { severity: 'warning', alert: 'KeelsonWarning' },
  'member silent': { severity: 'warning', alert: 'KeelsonWarning' },
  'shard without owner': { severity: 'critical', alert: 'KeelsonShardDown' },
  'shard down': { severity: 'critical', alert: 'KeelsonShardDown' },
  'shard not open': { severity: 'warning', alert: 'KeelsonWarning' },
  'refuses writes': { severity: 'critical', alert: 'KeelsonWritesRefused' },
  'disk low': { severity: 'warning', alert: 'KeelsonDiskSpaceLow' },
  'not durable': { severity: 'warning', alert: 'KeelsonWarning' },
  'no snapshot': { severity: 'warning', alert: 'KeelsonWarning' },
  'log held': { severity: 'warning', alert: 'KeelsonWarning', word: 'journal' },
  'journal full': { severity: 'critical', alert: 'KeelsonFull', word: 'journal' },
  'stream full': { severity: 'critical', alert: 'KeelsonFull' },
  'clock set': { severity: 'warning', alert: 'KeelsonWarning' },
  'projection halted': {
    severity: 'critical',
    alert: 'KeelsonFollowerStopped',
    word: 'projections',
  },
  'projection stopped': {
    severity: 'critical',
    alert: 'KeelsonFollowerStopped',
    word: 'projections',
  },
  'projection degraded': {
    severity: 'warning',
    alert: 'KeelsonProjectionLagging',
    word: 'projections',
  },
  'projection suspended': {
    severity: 'warning',
    alert: 'KeelsonProjectionLagging',
    word: 'projections',
  },
  'projection behind': {
    severity: 'warning',
    alert: 'KeelsonProjectionLagging',
    word: 'projections',
  },
  'rows set aside': { severity: 'critical', alert: 'KeelsonFollowerStopped', word: 'projections' },
  'rows lost': { severity: 'warning', alert: 'KeelsonProjectionLagging', word: 'projections' },
  'subscription stopped': {
    severity: 'critical',
    alert: 'KeelsonFollowerStopped',
    word: 'journal',
  },
  'replica fenced': { severity: 'critical', alert: 'KeelsonFollowerStopped' },
  'replica halted': { severity: 'critical', alert: 'KeelsonFollowerStopped' },
  'replica waiting': { severity: 'warning', alert: 'KeelsonReplicationDown' },
  'gave up': { severity: 'critical', alert: 'KeelsonCrashLoop', word: 'crashes' },
  'crash loop': { severity: 'critical', alert: 'KeelsonCrashLoop', word: 'crashes' },
  blocked: { severity: 'critical', alert: 'KeelsonEntityBlocked' },
  'would block': { severity: 'warning', alert: 'KeelsonBuildBlocks' },
  parked: { severity: 'critical', alert: 'KeelsonTriesEnded' },
  'stuck step': { severity: 'warning', alert: 'KeelsonStepStuck' },
  'failing step': { severity: 'warning', alert: 'KeelsonWarning' },
  'hanging step': { severity: 'warning', alert: 'KeelsonAlarmsOverdue' },
  'hanging handler': { severity: 'warning', alert: 'KeelsonAlarmsOverdue' },
  'waits for space': { severity: 'warning', alert: 'KeelsonAlarmsOverdue' },
  overdue: { severity: 'warning', alert: 'KeelsonAlarmsOverdue' },
  'run blocked': { severity: 'critical', alert: 'KeelsonEntityBlocked' },
  'run failed': { severity: 'warning', alert: 'KeelsonWarning' },
  'unread signals': { severity: 'warning', alert: 'KeelsonWarning' },
  'schedule broken': { severity: 'critical', alert: 'KeelsonScheduleBroken' },
  'dead jobs': { severity: 'critical', alert: 'KeelsonTriesEnded', word: 'dead' },
  'unreadable jobs': { severity: 'critical', alert: 'KeelsonEntityBlocked' },
  'queue full': { severity: 'critical', alert: 'KeelsonFull' },
  'overdue jobs': { severity: 'warning', alert: 'KeelsonAlarmsOverdue' },
} as const satisfies Readonly<Record<string, KindOfTrouble>>

/** A kind of trouble. */
export type TroubleKind = keyof typeof troubleKinds

/** The word of the prompt that leads to the cause of a trouble; `undefined`: its text says all. */
export const lookFor = (
  kind: TroubleKind,
  subject: string,
  link: Link | undefined,
): string | undefined => {
  const { word }: KindOfTrouble = troubleKinds[kind]
  const args = link?.parts.map((part) => inspect(part)).join(', ') ?? ''
  switch (word) {
    case 'crashes':
      return `crashes(${inspect(subject)})`
    case 'dead':
      return `flow.dead(${args})`
    case undefined:
      return (
        link && ownOf(viewWords, link.view)?.([args, queryText(link)].filter(Boolean).join(', '))
      )
    default:
      return `${word}()`
  }
}

/** The filter of a list as the word takes it: runs of a status the oldest first. */
const queryText = ({ view, query }: Link): string => {
  if (!query) return ''
  return inspect(view === 'runs' ? { ...query, order: 'oldest' } : query)
}

/** The word that shows at the prompt what a view of the page shows. */
const viewWords: Readonly<Record<string, (args: string) => string>> = {
  entity: (args) => `entity(${args})`,
  entities: () => 'entities()',
  tree: () => 'tree()',
  storage: () => 'wal()',
  run: (args) => `flow.show(${args})`,
  runs: (args) => `flow.list(${args})`,
  kind: (args) => `entities(${args})`,
  job: (args) => `flow.job(${args})`,
  queue: (args) => `flow.show(${args})`,
  replication: () => 'replication()',
  flows: () => 'flow.schedules()',
}
