/**
 * The report of a crash, as SASL's: what a process that failed was doing. Its data goes to the bus,
 * its text to the log.
 */
import { redacted } from '../../redaction.ts'
import { valueText } from '../../value-text.ts'
import { describeMessage, type Message } from '../words/envelope.ts'
import { describeReason, type ExitReason, isForeseen } from '../words/exit-reason.ts'
import { eventText, type Logger } from '../words/logger.ts'
import {
  type Ancestor,
  announce,
  type CrashFacts,
  type ProcessFacts,
  type StatusParts,
  type Telemetry,
} from '../words/telemetry.ts'
import type { Behaviour } from './behaviour.ts'

/** A process that is about to fail. */
interface Crashing {
  readonly name: string | undefined
  readonly label: string | undefined
  readonly pid: number
  /** Its identity in a line of the log. */
  readonly logged: object
  readonly depth: number
  readonly starter: Crashing | undefined
  readonly kernel: { readonly events: Telemetry; readonly logger: Logger }
  readonly current: Message | undefined
  readonly behaviour: Pick<Behaviour, 'shown'>
  facts(): ProcessFacts
}

/** The report of one crash, taken before the end of its process. */
export interface CrashReport {
  /** The reason as it may be shown. */
  readonly reason: ExitReason
  /** Announces it as `process.crashed`, and logs it unless it was foreseen: after the end. */
  announce(): void
}

/** Takes the report of `process`, which is about to fail with `reason`. */
export const crashReport = (process: Crashing, reason: ExitReason): CrashReport => {
  const { kernel, depth: mailbox, logged, current } = process
  const title = String(process)
  const facts = process.facts()
  const ancestors = ancestorsOf(process)
  const message = current && { what: describeMessage(current), payload: current.payload }
  const parts = process.behaviour.shown?.(message, reason) ?? {
    state: undefined,
    reason: redacted(reason),
  }
  const announced = (): void => {
    announce(kernel, 'process.crashed', () => ({ ...facts, ...parts, ancestors, mailbox }))
    if (isForeseen(reason)) return
    const report = new ReportText(parts, ancestors, mailbox)
    // A literal that begins with a spread would take half of the time of this line.
    const all = Object.assign({}, logged, { reason: parts.reason, report })
    kernel.logger.error(`${title} ended: ${describeReason(parts.reason)}`, all)
  }
  return { reason: parts.reason, announce: announced }
}

/** The text of a crash, as the log has it. */
export const crashText = (crash: CrashFacts): string => {
  const { name, label, kind, pid, reason, ancestors, mailbox } = crash
  const title = label ?? name ?? `${kind} <${pid}>`
  const report = new ReportText(crash, ancestors, mailbox)
  return eventText(`${title} ended: ${describeReason(reason)}`, { reason, report })
}

const ancestorsOf = (process: Crashing): Ancestor[] => {
  const ancestors: Ancestor[] = []
  for (let above = process.starter; above !== undefined; above = above.starter) {
    const { pid, name, label } = above
    ancestors.push({ pid, name, label })
  }
  return ancestors
}

/**
 * The text of a report: each part is bounded, because a state may be of any size. It is made when a
 * logger reads it, as JSON or as lines. (A getter in the facts would do, but V8 makes a hidden class
 * for each object that has one.)
 */
class ReportText {
  readonly #parts: StatusParts
  readonly #ancestors: readonly Ancestor[]
  readonly #mailbox: number

  constructor(parts: StatusParts, ancestors: readonly Ancestor[], mailbox: number) {
    this.#parts = parts
    this.#ancestors = ancestors
    this.#mailbox = mailbox
  }

  toJSON(): Record<string, string> {
    const { lastMessage, state } = this.#parts
    const payload = lastMessage?.payload === undefined ? '' : ` ${valueText(lastMessage.payload)}`
    return {
      'last message': lastMessage === undefined ? 'none' : `${lastMessage.what}${payload}`,
      state: valueText(state),
      mailbox: `${this.#mailbox} waiting`,
      ancestors: this.#ancestors.slice(0, ancestorsMax).map(titleOf).join(', ') || 'none',
    }
  }

  toString(): string {
    const lines = Object.entries(this.toJSON()).map(([name, text]) => `  ${name}: ${text}`)
    return lines.join('\n')
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `\n${this}`
  }
}

/** Processes may start each other in any depth. */
const ancestorsMax = 20

const titleOf = ({ pid, name, label }: Ancestor): string => {
  const title = label ?? name
  return title === undefined ? `<${pid}>` : `${title} <${pid}>`
}
