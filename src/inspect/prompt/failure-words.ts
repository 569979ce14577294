/**
 * The words of the prompt about failures: `health()`, `crashes()` and `log()`. They read the flight
 * recorder, which holds text that may be shown.
 */
import { inspect } from 'node:util'
import { invalidArgument } from '../../errors.ts'
import type { Ref } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { factsOf } from '../answers/facts.ts'
import { processOf, shownName } from '../answers/process-finder.ts'
import { troublesOf } from '../answers/troubles.ts'
import { recordsOf } from '../recorder/recorder.ts'
import { type Recorded, ringMax } from '../recorder/records.ts'
import { type Paint, printable, printableLines } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { textTable } from '../text/text-table.ts'
import { View } from '../text/view.ts'
import { healthView } from '../views/health-view.ts'

const shownDefault = 20
/** A crash of a process is shown with its stack. */
const wholeMax = 5

/** The words of a prompt for `app`. */
export const failureWords = (app: App, paint: Paint) => {
  const { system } = app
  const records = recordsOf(system)
  return {
    /** The health and its troubles as data that is printed for reading. */
    health: () => {
      const facts = factsOf(app, system)
      const troubles = troublesOf(facts)
      const text = () => healthView(facts, troubles, paint)
      return Object.defineProperty({ ...facts.health, troubles }, inspect.custom, { value: text })
    },
    crashes: async (process?: unknown) => {
      const all = records.last('crash')
      if (process === undefined) return new View(crashTable(all, records.total('crash')))
      const title = await titleOf(app, process)
      const found = all.filter(({ subject, pid }) => subject === title || `<${pid}>` === title)
      return new View(wholeCrashes(found, title))
    },
    log: (count: unknown = shownDefault) => {
      if (!Number.isSafeInteger(count) || Number(count) < 1)
        throw invalidArgument('count', `a whole number from 1 to ${ringMax.events}`, count)
      const lines = records.last('log').slice(-Number(count))
      return new View(
        lines.length === 0
          ? 'no warning and no error since the start'
          : lines.map(({ text }) => printableLines(text)).join('\n'),
      )
    },
  }
}

/** The name of a process as its records have it: it may be gone, or run with another pid. */
const titleOf = async (app: App, target: unknown): Promise<string> => {
  const found = await processOf(app, target)
  if (found) return shownName(found) ?? `<${found.pid}>`
  const known = typeof target === 'object' ? ((target as Ref).name ?? (target as Ref).pid) : target
  return typeof known === 'number' ? `<${known}>` : String(known)
}

const crashTable = (crashes: readonly Recorded[], total: number): string => {
  if (crashes.length === 0) return 'no process has crashed since the start'
  const rows = crashes
    .slice(-shownDefault)
    .map(({ at, subject, pid, reason = '', lastMessage = '' }) =>
      [timeText(at), `${subject} <${pid}>`, lastMessage, shortened(reason)].map(printable),
    )
  const table = textTable(['time', 'process', 'last message', 'reason'], rows)
  return `${table}\n${countText(total)} since the start; crashes(p) has the stacks`
}

const wholeCrashes = (crashes: readonly Recorded[], title: string): string =>
  crashes.length === 0
    ? `${title} has not crashed since the start`
    : crashes
        .slice(-wholeMax)
        .map(({ at, text }) => printableLines(`${timeText(at)} ${text}`))
        .join('\n')

const timeText = (at: number): string => new Date(at).toISOString()

const reasonMax = 100

const shortened = (text: string): string => {
  const [line = ''] = text.split('\n')
  return line.length <= reasonMax ? line : `${line.slice(0, reasonMax)}…`
}
