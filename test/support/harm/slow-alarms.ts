/** An instance of entities whose alarms take as long as they are told. */
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { startSimulated } from '../../../src/testing/index.ts'

type Messages = {
  /** Sets the alarm, and answers when it is due. */
  calls: { set: (wait: Wait) => number }
  alarms: { due: (ms: number) => void }
}

/** In how many ms the alarm is due, and how long its handler takes. */
type Wait = { readonly inMs: number; readonly ms: number }

/** When a handler began, and whose. */
type Begun = { readonly id: string; readonly at: number }

const server = (begun: Begun[]): DurableServer<Messages, number> => ({
  init: () => 0,
  calls: {
    set: (count, { inMs, ms }, context) => {
      const at = context.now() + inMs
      context.setAlarm('due', { at }, ms)
      return reply(at, count)
    },
  },
  alarms: {
    due: async (count, ms, context) => {
      begun.push({ id: context.id, at: context.now() })
      if (ms > 0) await new Promise<void>((resolve) => context.system.clock.after(ms, resolve))
      return noReply(count + 1)
    },
  },
})

/** The kind of such entities. */
export const slowKind = (begun: Begun[] = []) =>
  entity('waiter', server(begun), { idleMs: 10_000_000 })

/** Starts an instance in which `count` such alarms are set, with one `wait` for all. */
export const startSlowAlarms = async (count: number, wait: Wait) => {
  const begun: Begun[] = []
  const kind = slowKind(begun)
  const simulation = await startSimulated({ app: supervisor('app', {}, [kind]) })
  const handle = simulation.app.entity(kind)
  const set = (id: string, other: Wait) =>
    call(handle.ref(id), 'set', other, { timeoutMs: Number.POSITIVE_INFINITY })
  const all = Array.from({ length: count }, (_, at) => set(`slow${at}`, wait))
  await simulation.during(Promise.all(all), { withinMs: 50_000 })
  return { simulation, handle, set, begun }
}
