/**
 * What the context of a durable actor has beyond that of any process. The runtime makes one context
 * for each process; these are added to it when the actor begins.
 */
import { invalidArgument } from '../../errors.ts'
import type { AnyContext, AppContext } from '../../runtime/index.ts'
import { appBehind } from './bound-app.ts'
import type { DurableProcess } from './durable-process.ts'
import type { AlarmTime } from './durable-server.ts'

/** Adds the parts of a turn to the context of an actor. */
export const offerTurn = (self: DurableProcess, context: AnyContext): void => {
  const { kind, id, entity } = self.terms.identity
  const pipe = context.pipe.bind(context)
  const outside = context.app as AppContext | undefined
  let app: unknown
  const added: { readonly [name: string]: unknown } = {
    id,
    setAlarm: (name: string, time: AlarmTime, payload: unknown): void => {
      if (!self.terms.table.alarms[name])
        throw invalidArgument('alarm', `one of ${kind}'s alarms`, name)
      const { draft } = self
      const at = timeOf(time, self.now())
      draft.setAlarm(name, { setting: draft.name, payload, at, tries: 0, dueAt: at })
    },
    cancelAlarm: (name: string): boolean => self.draft.cancelAlarm(name),
    addContinue: (name: string, payload: unknown): string =>
      `${entity}/${self.addStep(self.draft, name, payload).step}`,
    cancelContinue: (step: string): boolean => {
      if (typeof step !== 'string') throw invalidArgument('step', 'a text', step)
      return self.draft.removeStep(step.slice(entity.length + 1))
    },
    pipe: (promise: Promise<unknown>, name: never): void => {
      self.idleness.piped(promise)
      pipe(promise as never, name)
    },
  }
  for (const [name, value] of Object.entries(added)) Object.defineProperty(context, name, { value })
  Object.defineProperties(context, {
    step: { get: () => `${entity}/${stepOf(self)}` },
    writes: { get: () => self.draft.writes },
    app: {
      get: () => {
        app ??= appBehind(outside, context, () => self.given())
        return app
      },
    },
  })
}

/** The present step; for other messages the turn. */
const stepOf = ({ draft }: DurableProcess): string =>
  draft.run.step?.step ?? draft.run.alarm?.set.setting ?? draft.name

const timeOf = (time: AlarmTime, now: number): number => {
  if (typeof time !== 'object' || time === null) throw invalidArgument('time', 'inMs or at', time)
  const { inMs, at } = time
  const isEither = (at === undefined) !== (inMs === undefined)
  const found = inMs === undefined ? at : now + Math.ceil(inMs)
  if (!isEither || !isTime(inMs ?? at) || !Number.isSafeInteger(found))
    throw invalidArgument('time', 'either inMs or at, a number of ms from 0', time)
  return found as number
}

const isTime = (ms: unknown): boolean => typeof ms === 'number' && ms >= 0
