/**
 * The metrics that come from events of a System. Events of failures are rare. Those of each write
 * and turn are not, so they are listened to from the first scrape on only: nobody else makes them.
 */
import type { StorageEvents } from '../../actors/index.ts'
import { isKeelsonError } from '../../errors.ts'
import { type System, type Telemetry, telemetry } from '../../runtime/index.ts'
import { metrics } from './metric-table.ts'
import type { Measurements } from './series.ts'

type EventsOf<T> = T extends Telemetry<infer Events> ? Events : never
type Events = EventsOf<System['events']> & StorageEvents
type Handlers = { readonly [E in keyof Events]?: Events[E] }

/** Ends the listening. */
export type StopHearing = () => void

/** Counts failures of the processes, steps and snapshots of an instance. */
export const hearFailures = (
  system: System,
  instance: string,
  into: Measurements,
  snapshotMade: (shard: number, at: number) => void,
): StopHearing =>
  hear(system, instance, {
    'process.crashed': (event) =>
      into.of(metrics.crashes).add(1, kindOf(event), codeOf(event.reason)),
    'process.restarted': (event) =>
      into.of(metrics.restarts).add(1, kindOf(event), codeOf(event.reason)),
    'supervisor.gave_up': ({ kind, reason }) =>
      into.of(metrics.gaveUp).add(1, kind, codeOf(reason)),
    'handler.slow': (event) => into.of(metrics.handlerSlow).add(1, kindOf(event)),
    'entity.failed': ({ entity, retryAt }) =>
      into
        .of(metrics.stepFailures)
        .add(1, entityKindOf(entity), retryAt === undefined ? 'parked' : 'retried'),
    'snapshot.made': ({ shard, at }) => snapshotMade(shard, at),
    'snapshot.failed': ({ shard }) => into.of(metrics.snapshotFailures).add(1, shard),
  })

/** Measures the writes of an instance. */
export const hearWork = (system: System, instance: string, into: Measurements): StopHearing =>
  hear(system, instance, {
    'wal.commit': ({ shard, frames, bytes, waitMs, syncMs }) => {
      into.of(metrics.commitWait).observe(waitMs / 1_000, shard)
      into.of(metrics.sync).observe(syncMs / 1_000, shard)
      into.of(metrics.groupFrames).observe(frames, shard)
      into.of(metrics.walBytes).add(bytes, shard)
    },
    'lmdb.flushed': ({ shard, durationMs }) =>
      into.of(metrics.flush).observe(durationMs / 1_000, shard),
  })

/** Several instances may share a System. A process outside of any counts for each of them. */
const hear = (system: System, instance: string, handlers: Handlers): StopHearing => {
  const bus = telemetry(system)
  const listeners = Object.entries(handlers).map(([event, handle]) => {
    const listener = (facts: { readonly instance?: string | undefined }): void => {
      if (facts.instance === undefined || facts.instance === instance) handle(facts as never)
    }
    bus.on(event as never, listener as never)
    return [event, listener] as const
  })
  return () => {
    for (const [event, listener] of listeners) bus.off(event as never, listener as never)
  }
}

/** The kind of a process. That of an entity is the kind in its label, `order/17`. */
export const kindOf = ({ kind, label }: { kind: string; label: string | undefined }): string =>
  kind === 'entity' && label !== undefined ? entityKindOf(label) : kind

/** The kind of a durable actor by its name, `kind/id`. */
export const entityKindOf = (entity: string): string => entity.slice(0, entity.indexOf('/'))

const atoms = ['normal', 'shutdown', 'killed', 'noproc']

/** The code of a reason. Its text may have values of users. */
const codeOf = (reason: unknown): string => {
  if (isKeelsonError(reason)) return reason.code
  return typeof reason === 'string' && atoms.includes(reason) ? reason : 'failed'
}
