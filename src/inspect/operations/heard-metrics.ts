/**
 * The metrics that come from events of a System: those of each write, call and turn. They are
 * listened to from the first scrape on only: nobody else makes them. They are apart from the
 * metrics that a scrape reads.
 */
import { heardIn, type System, type SystemEvents, telemetry } from '../../runtime/index.ts'
import { kindOf } from '../recorder/recorder.ts'
import { metrics } from './metric-table.ts'
import type { Measurements } from './series.ts'

type Handlers = { readonly [E in keyof SystemEvents]?: SystemEvents[E] }

/** Ends the listening. */
type StopHearing = () => void

/** The listening to work. `restart`: the next call and turn are samples. */
export type HeardWork = { readonly restart: () => void; readonly stop: StopHearing }

/**
 * Measures the writes, calls and turns of an instance. Of very many calls and turns it gets samples,
 * each of which counts for those since the last one.
 */
export const hearWork = (system: System, instance: string, into: Measurements): HeardWork => {
  const { 'call.done': calls, 'turn.done': turns } = heardIn(system)
  const stops = [
    hear(system, instance, {
      'wal.commit': ({ shard, frames, bytes, waitMs, syncMs }) => {
        into.of(metrics.commitWait).observe(waitMs / 1_000, 1, shard)
        into.of(metrics.sync).observe(syncMs / 1_000, 1, shard)
        into.of(metrics.groupFrames).observe(frames, 1, shard)
        into.of(metrics.walBytes).add(bytes, shard)
      },
      'flow.ended': ({ type, end, at, startedAt }) =>
        into.of(metrics.flowRunDuration).observe((at - startedAt) / 1_000, 1, type, end.status),
      'lmdb.flushed': ({ shard, durationMs }) =>
        into.of(metrics.flush).observe(durationMs / 1_000, 1, shard),
    }),
    calls.sample((call, weight) => {
      if (call.instance !== undefined && call.instance !== instance) return
      const { message, result, tookMs } = call
      into.of(metrics.callDuration).observe(tookMs / 1_000, weight, kindOf(call), message, result)
    }),
    turns.sample(({ instance: own, kind, result, tookMs }, weight) => {
      if (own !== instance) return
      into.of(metrics.turnDuration).observe(tookMs / 1_000, weight, kind, result)
    }),
  ]
  return {
    restart: () => {
      calls.restart()
      turns.restart()
    },
    stop: () => {
      for (const stop of stops) stop()
    },
  }
}

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
