/**
 * The report of a crash, as SASL's: what a process that failed was doing. Its data goes to the bus,
 * its text to the log.
 */
import { describeReason, type ExitReason } from '../words/exit-reason.ts'
import type { Logger } from '../words/logger.ts'
import {
  type Ancestor,
  announce,
  type ProcessFacts,
  type StatusParts,
  type Telemetry,
} from '../words/telemetry.ts'
import { valueText } from '../words/value-text.ts'

/** A process that is about to fail. */
interface Crashing {
  readonly name: string | undefined
  readonly label: string | undefined
  readonly pid: number
  readonly depth: number
  readonly starter: Crashing | undefined
  readonly kernel: { readonly events: Telemetry; readonly logger: Logger }
  readonly behaviour: { crashed?(reason: ExitReason): StatusParts }
  facts(): ProcessFacts
}

/**
 * Takes the report of `process`, which is about to fail with `reason`. The result announces it as
 * `process.crashed` and logs it: call it after the end.
 */
export const crashReport = (process: Crashing, reason: ExitReason): (() => void) => {
  const { kernel, depth: mailbox, pid } = process
  const title = String(process)
  const facts = process.facts()
  const ancestors = ancestorsOf(process)
  const parts = process.behaviour.crashed?.(reason) ?? { state: undefined, reason }
  return () => {
    announce(kernel, 'process.crashed', () => ({ ...facts, ...parts, ancestors, mailbox }))
    kernel.logger.error(`${title} ended: ${describeReason(parts.reason)}`, {
      pid,
      reason: parts.reason,
      // Few loggers read it for each crash, so the text is made when it is read.
      get report() {
        return reportText(parts, ancestors, mailbox)
      },
    })
  }
}

const ancestorsOf = (process: Crashing): Ancestor[] => {
  const ancestors: Ancestor[] = []
  for (let above = process.starter; above !== undefined; above = above.starter) {
    const { pid, name, label } = above
    ancestors.push({ pid, name, label })
  }
  return ancestors
}

/** The report as lines of text, each bounded: a state may be of any size. */
const reportText = (
  { state, lastMessage }: StatusParts,
  ancestors: readonly Ancestor[],
  mailbox: number,
): Record<string, string> => ({
  'last message':
    lastMessage === undefined
      ? 'none'
      : `${lastMessage.what} ${lastMessage.payload === undefined ? '' : valueText(lastMessage.payload)}`.trim(),
  state: valueText(state),
  mailbox: `${mailbox} waiting`,
  ancestors: ancestors.slice(0, ancestorsMax).map(titleOf).join(', ') || 'none',
})

/** Processes may start each other in any depth. */
const ancestorsMax = 20

const titleOf = ({ pid, name, label }: Ancestor): string => {
  const title = label ?? name
  return title === undefined ? `<${pid}>` : `${title} <${pid}>`
}
