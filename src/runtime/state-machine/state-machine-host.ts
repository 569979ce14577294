/**
 * The services of a process for the machine that it runs, whatever becomes of the machine's state:
 * sends, logs, telemetry, the treatment of events without a place.
 */
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate'
import { KeelsonError } from '../../errors.ts'
import type { Place, StepsHost } from '../machine/machine-host.ts'
import type {
  MachineMessages,
  SavedMachine,
  StateMachineOptions,
} from '../machine/machine-words.ts'
import { cast } from '../process/messaging.ts'
import type { PendingCall } from '../process/pending-call.ts'
import { type Process, processOf } from '../process/process.ts'
import type { Context } from '../server/gen-server.ts'
import { addressOf, type Name, name, type Ref } from '../words/address.ts'
import { Envelope, kinds } from '../words/envelope.ts'
import { describeReason } from '../words/exit-reason.ts'
import { announce } from '../words/telemetry.ts'

/** The context of a machine of any type. */
export type Own = Context<MachineMessages>

/** A saved machine to go on from; `undefined`: the machine begins. */
export type Restored = SavedMachine | undefined

/** The options without their types, which were checked where the server was made. */
export type Options = Pick<StateMachineOptions<AnyStateMachine>, 'unknownEvents' | 'trapExit'> & {
  readonly answers?: Readonly<Record<string, (snapshot: unknown, event: unknown) => unknown>>
  readonly emitted?: (event: EventObject, context: Own) => unknown
  readonly restore?: SavedMachine | ((input: unknown, context: Own) => Restored | Promise<Restored>)
  readonly save?: (saved: SavedMachine, context: Own) => unknown
}

/** The means that processes differ in: time, names, news of the actors inside. */
type Ways = Pick<
  StepsHost,
  | 'now'
  | 'arm'
  | 'disarm'
  | 'run'
  | 'works'
  | 'inTurn'
  | 'recordsSteps'
  | 'saves'
  | 'arrived'
  | 'failed'
>

/** The host of `machine` in the process of `context`. */
export const processHost = (
  { id }: AnyStateMachine,
  { emitted, unknownEvents }: Options,
  context: Own,
  ways: Ways,
): StepsHost => {
  const process = processOf(context)
  const { logger } = context.system
  const shown = (event: EventObject) => ({
    event: process.shownPayload(`event ${event.type}`, event),
  })
  const host: StepsHost = {
    ...ways,
    context: context as Context,
    names: process.kernel.names,
    emitted: (event) => emitted?.(event, context),
    logged: (...values) =>
      logger.info(`${process}: ${values.map(describeReason).join(' ')}`, { values }),
    send: (target, event) => {
      const ref = target as Ref<{ casts: { event: (event: unknown) => void } }>
      if (cast(ref, 'event', event) || target.pid === undefined) return
      logger.warn(`${process}: the mailbox of ${target} refused ${event.type}`, shown(event))
    },
    placeOf: (ref) => placeOf(ref, process.kernel.names, context.app),
    sendAgain: (action) => {
      try {
        host.send(context.to(refOf(action, context.app)), action.event)
      } catch (error) {
        if (ways.recordsSteps) throw error
        host.lost(action)
      }
    },
    stepped: (before, event, after) => announceStep(process, id, before, event, after),
    unknown: (event) => {
      if (unknownEvents === 'exit')
        throw new KeelsonError('INVALID_ARGUMENT', `${id} knows no ${event.type}`, {
          details: { event },
        })
      if (unknownEvents === 'ignore') return
      logger.warn(`${process}: unknown event ${event.type}`, shown(event))
    },
    full: ({ event, from }) => {
      const message = `${process}: no room to postpone ${event.type}`
      if (from !== undefined)
        from.fail(new KeelsonError('POSTPONED_FULL', message, { details: { event } }))
      else logger.error(message, shown(event))
    },
    lost: ({ step, kind, name }) => {
      const what = `${process}: the ${kind} ${name ?? 'without a name'} of the step ${step}`
      logger.warn(`${what} is not repeated: it cannot be found`, { step, name })
    },
  }
  return host
}

/** An entity of another instance is not found. */
const placeOf = (ref: Ref, names: object, app: Instance | undefined): Place | undefined => {
  const { directory, name } = addressOf(ref)
  const { entity } = directory
  if (name === undefined) return undefined
  if (entity !== undefined && entity.instance === app?.instance)
    return { name, entity: [entity.kind, entity.id] }
  return directory === names ? { name } : undefined
}

/** The part of an instance that finds entities. */
type Instance = {
  readonly instance?: string
  entity?(kind: string): { ref(id: string): Ref }
}

/** The ref of a place. Throws for an entity whose kind does not run, or not yet. */
const refOf = ({ name: text = '', entity }: Place, app: Instance | undefined): Ref | Name =>
  (entity && app?.entity?.(entity[0]).ref(entity[1])) ?? name(text)

const announceStep = (
  process: Process,
  label: string,
  before: AnyMachineSnapshot,
  event: EventObject,
  after: AnyMachineSnapshot,
): void => {
  const [from, to] = [before.value, after.value]
  process.behaviour.stepped?.(() => ({
    direction: 'step',
    what: event.type,
    payload: { event, from, to },
  }))
  process.outputs.hold(() =>
    announce(process.kernel, 'machine.transition', () => ({
      ...process.facts(),
      kind: 'state machine',
      label,
      event,
      from,
      to,
      status: after.status,
    })),
  )
}

/** Logs why an actor inside the machine of `process` did not stop. */
export const notStopped =
  (process: Process) =>
  (reason: unknown): void =>
    process.kernel.logger.error(`an actor inside ${process} did not stop`, { reason })

/** Gives a process a message of its machine. */
export const deliver = (process: Process, name: string, payload: unknown): void =>
  process.deliver(new Envelope(kinds.info, name, payload))

/** Answers the calls that wait for the output of the machine. */
export const replyOutput = (process: Process, output: unknown): void => {
  let call: PendingCall | undefined = process.owed.first
  while (call !== undefined) {
    const next: PendingCall | undefined = call.after
    if (call.kind === kinds.call && call.name === 'output') call.reply(output)
    call = next
  }
}

/** The refusal of a call whose event has no answer. */
export const noAnswer = ({ id }: AnyStateMachine, event: EventObject): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${id} has no answer to ${event.type}`, {
    details: { event },
  })
