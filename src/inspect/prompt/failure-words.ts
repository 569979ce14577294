/**
 * The words of the prompt about failures: `health()`, `crashes()`, `judge()` and `log()`. They read the flight
 * recorder, which holds text that may be shown. `health()` has what is in trouble first, the worst
 * on top, then the rest in a few lines. They are apart from the words about processes, because one
 * that has failed cannot be asked.
 */

import { inspect } from 'node:util'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { Ref } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { factsOf } from '../answers/facts.ts'
import {
  type CrashCount,
  crashesAbout,
  crashesAnywhere,
  judgedAnywhere,
  type ListedCrash,
} from '../answers/member-looks.ts'
import { calledOf, processOf } from '../answers/process-finder.ts'
import { troublesOfAll } from '../answers/troubles-of-all.ts'
import { recordsOf } from '../recorder/recorder.ts'
import { ringMax } from '../recorder/records.ts'
import { type Paint, printable, printableLines } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { shortText } from '../text/shown-text.ts'
import { textTable } from '../text/text-table.ts'
import { View } from '../text/view.ts'
import { healthAnswer, healthView } from '../views/health-view.ts'
import { withSilent } from '../views/shard-view.ts'
import { view } from './answer-view.ts'
import { ShownValues } from './shown-values.ts'

/** Other members have so long to answer before their health is printed, in ms. */
const answerMs = 1_000

const shownDefault = 20
/** The words of a prompt for `app`. `shown` prints their answers. */
export const failureWords = (app: App, paint: Paint, shown = new ShownValues()) => {
  const { system } = app
  const records = recordsOf(system)
  return {
    /**
     * The health and its troubles as data that is printed for reading, with `json` as a line of JSON.
     * With members the data are as of their last reports, and it is printed when they have answered
     * again.
     */
    health: ({ json = false }: { readonly json?: boolean } = noOptions) => {
      const facts = factsOf(app, system)
      const hasOthers = facts.health.members.length > 1
      let crashesElsewhere: readonly CrashCount[] = []
      const asked = async (): Promise<void> => {
        crashesElsewhere = (await crashesAnywhere(app)).elsewhere
      }
      if (hasOthers) {
        shown.awaits(app.healthOfAll({ timeoutMs: answerMs }))
        shown.awaits(asked())
      }
      const text = (): string => {
        const answer = hasOthers
          ? { ...healthAnswer(factsOf(app, system)), crashesElsewhere }
          : healthAnswer(facts)
        return json ? view(true, answer, inspect).text : healthView(answer, paint)
      }
      const data = { ...facts.health, troubles: troublesOfAll(facts) }
      return Object.defineProperty(data, inspect.custom, { value: text })
    },
    crashes: async (process?: unknown) => {
      if (process === undefined) {
        const { crashes, total, silent } = await crashesAnywhere(app)
        return new View(withSilent(crashTable(crashes, total), silent, paint))
      }
      const title = await titleOf(app, process)
      const { crashes, lines, silent } = await crashesAbout(app, title)
      return new View(withSilent(wholeCrashes(crashes, lines, title), silent, paint))
    },
    judge: async () => {
      const { found, silent } = await judgedAnywhere(app)
      const parts = found.reduce((sum, each) => sum + (each.parts ?? 0), 0)
      const text = found.every((each) => each.parts === undefined)
        ? 'nothing is judged here: there is no tree, or `judge: false`'
        : `judges the actors at rest again, ${pluralText(parts, 'part')} with one kind of one shard each; health() has what it finds`
      return new View(withSilent(text, silent, paint))
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
  if (found) return calledOf(found)
  const known = typeof target === 'object' ? ((target as Ref).name ?? (target as Ref).pid) : target
  return typeof known === 'number' ? `<${known}>` : String(known)
}

const crashTable = (crashes: readonly ListedCrash[], total: number): string => {
  if (crashes.length === 0) return 'no process has crashed since the start'
  const isOne = crashes.every(({ member }) => member === undefined)
  const rows = crashes.map((crash) => {
    const { firstAt, lastAt, count, member = '', subject, pid, lastMessage, reason } = crash
    const times = [timeText(lastAt), countText(count), count > 1 ? timeText(firstAt) : '-']
    const who = [...(isOne ? [] : [member]), pid === undefined ? subject : `${subject} <${pid}>`]
    return [...times, ...who, lastMessage, shortened(reason)].map(printable)
  })
  const who = isOne ? ['process'] : ['member', 'process']
  const table = textTable(['last', '>times', 'first', ...who, 'last message', 'reason'], rows)
  return `${table}\n${countText(total)} since the start; crashes(p) has the stacks`
}

const wholeCrashes = (
  crashes: readonly string[],
  lines: readonly string[],
  title: string,
): string => {
  if (crashes.length > 0) return crashes.map((text) => printableLines(text)).join('\n')
  const none = `${printable(title)} has not crashed since the start`
  return lines.length === 0
    ? none
    : [`${none}; the log names it:`, ...lines.map((text) => printableLines(text))].join('\n')
}

const timeText = (at: number): string => new Date(at).toISOString()

const reasonMax = 100

const shortened = (text: string): string => shortText(text.split('\n', 1)[0] ?? '', reasonMax)
