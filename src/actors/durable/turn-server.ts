/**
 * The GenServer around a durable server: each of its handlers makes its message a turn. Messages
 * that begin with `$` are its own.
 */
import type { AnyContext, GenServer, Messages, PendingCall } from '../../runtime/index.ts'
import type { DurableTable, Handler } from '../turns/durable-table.ts'
import type { HeldCall } from '../turns/turn-outputs.ts'
import { Run } from '../turns/turn-run.ts'
import { TurnContext } from './durable-context.ts'
import { DurableProcess } from './durable-process.ts'
import type { DurableTerms } from './durable-terms.ts'

/** The erased GenServer that runs servers of one table. */
export const durableServer = (
  table: DurableTable,
): GenServer<Messages, DurableProcess, DurableTerms> => {
  const of =
    (what: string, section: Readonly<Record<string, Handler>>) =>
    (name: string): [string, Handler] => {
      const handler = section[name] as Handler
      const shown = `${what} ${name}`
      const isCall = what === 'call'
      const handled: Handler = (self, payload, context) => {
        const from = isCall ? (context as { from: HeldCall }).from : undefined
        return (self as DurableProcess).turn(new Run(handler, payload, shown, name, from))
      }
      return [name, handled]
    }
  const section = (what: string, found: Readonly<Record<string, Handler>>) =>
    Object.fromEntries(Object.keys(found).map(of(what, found)))
  const other = (what: string, handler: Handler | undefined): object =>
    handler ? { [what]: of(what, { [what]: handler })(what)[1] } : {}
  const { timeout } = table
  return {
    kind: table.kind ?? 'entity',
    formatStatus: table.formatStatus,
    ...(table.accepts ? { accepts: withOwn(table.accepts) } : {}),
    Context: TurnContext,
    init: async (terms: DurableTerms, context: AnyContext & TurnContext) => {
      const self = new DurableProcess(terms, context)
      context.belongTo(self)
      await self.wake()
      return self.first()
    },
    calls: {
      ...section('call', table.calls),
      $due: (self: DurableProcess, _: unknown, { from }: { from: HeldCall }) =>
        self.own.runDue(from),
      $stop: (self: DurableProcess, _: unknown, { from }: { from: HeldCall }) =>
        self.ending.stop(from),
      $delete: (self: DurableProcess, _: unknown, { from }: { from: HeldCall }) =>
        self.ending.delete(from),
    },
    casts: {
      ...section('cast', table.casts),
      $proceed: (self: DurableProcess) => self.proceed(),
    },
    infos: {
      ...section('info', table.infos),
      $rest: (self: DurableProcess) => self.ending.rest(),
    },
    continues: { $step: (self: DurableProcess, step: string) => self.own.runStep(step) },
    ...other('info', table.info),
    ...other('exit', table.exit),
    ...other('down', table.down),
    ...(timeout
      ? {
          timeout: (self: DurableProcess, context: unknown) =>
            self.turn(new Run((state) => timeout(state, context), undefined, 'timeout', 'timeout')),
        }
      : {}),
    terminate: (self: DurableProcess, reason: unknown) => self.ending.terminate(reason),
    sys: {
      shown: (self: DurableProcess) => self.shown,
      replace: (
        self: DurableProcess,
        request: PendingCall,
        change: (state: unknown) => unknown,
      ): void => self.replace(request, change),
    },
  } as unknown as GenServer<Messages, DurableProcess, DurableTerms>
}

/** The checks of a server, which let its own messages pass. */
const withOwn = ({ calls, casts, infos }: NonNullable<DurableTable['accepts']>): object => ({
  calls: { ...calls, $due: isOwn, $stop: isOwn, $delete: isOwn },
  casts: { ...casts, $proceed: isOwn },
  infos: { ...infos, $rest: isOwn },
})

const isOwn = (): boolean => true
