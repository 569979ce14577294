/**
 * The GenServer around a durable server: each of its handlers makes its message a turn. Messages
 * that begin with `$` are its own.
 */
import { tableOf } from '../../own-names.ts'
import {
  type GenServer,
  type Messages,
  type Parses,
  type PendingCall,
  processOf,
  reply,
} from '../../runtime/index.ts'
import type { Parse } from '../../schema.ts'
import type { TurnKind } from '../turns/decide.ts'
import type { DurableTable, Handler, Section } from '../turns/durable-table.ts'
import type { HeldCall } from '../turns/turn-outputs.ts'
import { applying, asBefore, type Change, ownRun, Run } from '../turns/turn-run.ts'
import { TurnContext } from './durable-context.ts'
import { DurableProcess } from './durable-process.ts'
import type { DurableTerms } from './durable-terms.ts'
import { deleteActor, rest, stopWhenDurable, terminate } from './ending.ts'
import { byHand, runDue, runStep, unblock } from './own-turns.ts'
import type { ByHand } from './recorded-work.ts'
import type { SharedContext } from './try-context.ts'

type Asked = { readonly from: HeldCall }

/**
 * Writes the row of a state that was migrated when the actor woke. Of an actor that was removed
 * since nothing is written: it stays unborn.
 */
const written = (self: DurableProcess, state: unknown): unknown => {
  const isBorn = self.draft.before.memory.mark !== undefined
  if (isBorn) self.draft.writeRow()
  return reply(isBorn, state, asBefore)
}

/** The messages of the actor itself. */
const own = {
  calls: {
    $apply: (self: DurableProcess, change: Change, { from }: Asked) =>
      self.turn(applying(change, from)),
    $due: (self: DurableProcess, _: unknown, { from }: Asked) => runDue(self, from),
    $migrate: (self: DurableProcess, _: unknown, { from }: Asked) =>
      self.turn(ownRun('call', 'migrate', from).by((state) => written(self, state))),
    $unblock: (self: DurableProcess, _: unknown, { from }: Asked) => unblock(self, from),
    $byHand: (self: DurableProcess, asked: ByHand, { from }: Asked) => byHand(self, asked, from),
    $stop: (self: DurableProcess, _: unknown, { from }: Asked) => stopWhenDurable(self, from),
    $delete: (self: DurableProcess, keys: boolean, { from }: Asked) =>
      deleteActor(self, from, keys),
  },
  casts: { $proceed: (self: DurableProcess) => self.proceed() },
  infos: { $rest: (self: DurableProcess) => rest(self) },
  continues: { $step: (self: DurableProcess) => runStep(self) },
}

/** The erased GenServer that runs servers of one table. */
export const durableServer = (
  table: DurableTable,
): GenServer<Messages, DurableProcess, DurableTerms> => {
  const { kind = 'entity', formatStatus, machine, accepts, info, exit, down, timeout } = table
  const { calls, casts, infos } = table.parses ?? {}
  const server = {
    kind,
    formatStatus,
    machine,
    Context: TurnContext,
    ...(accepts && { accepts: withOwn(accepts) }),
    init: async (terms: DurableTerms, context: SharedContext & TurnContext) => {
      const self = new DurableProcess(terms, context)
      context.belongTo(self)
      const { mailbox } = processOf(context)
      await self.wake(() => mailbox.at(0)?.name === '$delete')
      return self.first()
    },
    calls: { ...turns('call', table.calls, calls), ...own.calls },
    casts: { ...turns('cast', table.casts, casts), ...own.casts },
    infos: { ...turns('info', table.infos, infos, table.refused), ...own.infos },
    continues: own.continues,
    ...(info && { info: asTurn(info, 'info', 'info') }),
    ...(exit && { exit: asTurn(exit, 'exit', 'exit') }),
    ...(down && { down: asTurn(down, 'down', 'down') }),
    ...(timeout && {
      timeout: (self: DurableProcess, context: unknown) =>
        self.timesOut((state) => timeout(state, context)),
    }),
    terminate: (self: DurableProcess, reason: unknown) => terminate(self, reason),
    sys: {
      shown: (self: DurableProcess) => self.shown,
      replace: (
        self: DurableProcess,
        request: PendingCall,
        change: (state: unknown) => unknown,
      ): void => self.replace(request, change),
    },
  }
  return server as unknown as GenServer<Messages, DurableProcess, DurableTerms>
}

/** Wraps a handler of a durable server, so that each message becomes a turn. */
const asTurn = (
  handler: Handler,
  what: string,
  name: string,
  kind: TurnKind = what === 'call' ? 'call' : 'message',
  parse?: Parse,
): Handler => {
  const shown = `${what} ${name}`
  return (self, payload, context) => {
    const from = kind === 'call' ? (context as Asked).from : undefined
    const run = new Run(kind, handler, payload, shown, name, from, undefined, undefined, parse)
    return (self as DurableProcess).turn(run)
  }
}

/** `parses`: the schemas of messages. `refused`: the handlers of messages whose refusal is news too. */
const turns = (
  what: string,
  section: Section,
  parses: Parses[keyof Parses] = tableOf(),
  refused: Section = tableOf(),
): Readonly<Record<string, Handler>> =>
  Object.fromEntries(
    Object.entries(section).map(([name, handler]) => [
      name,
      asTurn(handler, what, name, refused[name] ? 'result' : undefined, parses[name]),
    ]),
  )

/** The checks of a server, which let the actor's own messages pass. */
const withOwn = ({ calls, casts, infos }: NonNullable<DurableTable['accepts']>): object => ({
  calls: { ...calls, ...passed(own.calls) },
  casts: { ...casts, ...passed(own.casts) },
  infos: { ...infos, ...passed(own.infos) },
})

const passed = (messages: object): object =>
  Object.fromEntries(Object.keys(messages).map((name) => [name, () => true]))
