/**
 * The words that look at processes. They are apart from `prompt-words.ts`, which only puts words
 * together, because `top` keeps its last sample and `trace` its count.
 */

import { shownState } from '../../actors/index.ts'
import { invalidArgument, type KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  bytesHeld,
  getStatus,
  machineOf,
  machineOutline,
  type ProcessSummary,
  type System,
  type TraceEvent,
  tiesOf,
  trace,
  waitingMessages,
} from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { entityAnywhere, idleElsewhere } from '../answers/member-looks.ts'
import {
  findProcess,
  type NamedEntity,
  processOf,
  processTitle,
  restingEntity,
  whenFound,
} from '../answers/process-finder.ts'
import { busiest, type Load, Look } from '../answers/process-load.ts'
import { nextTurn, processPages } from '../answers/process-pages.ts'
import { foldedTree, surveyBelow, surveyTree } from '../answers/tree-survey.ts'
import { type Paint, printable } from '../text/paint.ts'
import { pluralText } from '../text/quantities.ts'
import { lineText } from '../text/shown-text.ts'
import { Feed, View } from '../text/view.ts'
import { entityFacts } from '../views/entity-view.ts'
import { type Held, largest, loadQuery, loadTable, memoryTable } from '../views/load-view.ts'
import { type MachineFacts, machineView } from '../views/machine-view.ts'
import {
  FoldedTable,
  mailboxView,
  messagesMax,
  namesMax,
  pageTable,
  processFacts,
  rowsMax,
} from '../views/process-view.ts'
import { treeView } from '../views/tree-view.ts'
import type { ShownValues } from './shown-values.ts'

/** The words that only look. They wake no entity. */
export const lookingWords = (app: App, paint: Paint, shown: ShownValues) => {
  /** The facts about an entity that has no process. */
  const atRest = async (target: unknown): Promise<View | undefined> => {
    const resting = restingEntity(app, target)
    return resting && new View(entityFacts(await entityAnywhere(app, resting, shown.reveals)))
  }
  return {
    tree: async (process?: unknown) => {
      if (process === undefined) return new View(treeView(foldedTree(await surveyTree(app)), paint))
      return (
        (await atRest(process)) ??
        new View(treeView(await surveyBelow(app, await findProcess(app, process)), paint))
      )
    },
    ps: psWord(app, paint),
    top: topWord(app, paint),
    whereis: (process: unknown) => whenFound(processOf(app, process), (found) => found?.ref),
    info: async (process: unknown) => {
      const resting = await atRest(process)
      if (resting) return resting
      const summary = await findProcess(app, process)
      const ties = tiesOf(summary.ref, namesMax)
      const { parent = 0 } = summary
      const tied = Object.values(ties).flatMap(({ pids }) => pids)
      const titleOf = await titlesOf(app.system, [parent, ...tied])
      return new View(processFacts(summary, ties, titleOf, app.system.clock.now()))
    },
    state: async (process: unknown) => {
      const resting = restingEntity(app, process)
      if (resting) {
        await idleElsewhere(app, resting)
        return storedState(app, resting, shown)
      }
      const { state } = await getStatus((await findProcess(app, process)).ref)
      // A large one has been copied up to here, and is printed then.
      await nextTurn(app.system)
      return shown.mark(state, state)
    },
    trace: async (process: unknown, count?: unknown) =>
      (await atRest(process)) ?? traceFeed(await findProcess(app, process), count),
    mailbox: async (process: unknown) => {
      const resting = await atRest(process)
      if (resting) return resting
      const summary = await findProcess(app, process)
      const messages = waitingMessages(summary.ref, messagesMax)
      return new View(mailboxView(summary, messages, app.system.clock.now()))
    },
    machine: async (process: unknown) =>
      new View(machineView(await machineAt(app, process, shown))),
  }
}

/** All processes, folded by kind, or with `all` a page of them. */
const psWord = (app: App, paint: Paint) => async (options?: unknown) => {
  const { all, after = 0 } = (options ?? noOptions) as {
    readonly all?: unknown
    readonly after?: unknown
  }
  const isWrong = typeof all !== 'boolean' || typeof after !== 'number'
  if (options !== undefined && isWrong)
    throw invalidArgument('ps', 'nothing, or { all: true, after: pid }', options)
  if (all === true && typeof after === 'number') {
    const page = app.system.inspectProcesses({ after, limit: rowsMax })
    await nextTurn(app.system)
    return new View(pageTable(page, paint))
  }
  const table = new FoldedTable()
  for await (const page of processPages(app.system)) table.add(page)
  return new View(table.text(paint))
}

const storedState = async (
  app: App,
  { kind, id }: NamedEntity,
  shown: ShownValues,
): Promise<unknown> => {
  const state: unknown = await app.entity(kind).load(id)
  return shown.mark(state, shownState(app.entities, kind, state))
}

/** The machine of a process, or of an entity at rest. @throws KeelsonError `INVALID_ARGUMENT` */
const machineAt = async (app: App, target: unknown, shown: ShownValues): Promise<MachineFacts> => {
  const resting = restingEntity(app, target)
  const process = resting ? undefined : await findProcess(app, target)
  const definition = resting
    ? app.entities.known.get(resting.kind)?.machine
    : process && machineOf(process.ref)
  const outline = machineOutline(definition)
  if (!outline) throw invalidArgument('machine', 'a process of the kind machine', target)
  const title = process ? processTitle(process) : `${resting?.kind}/${resting?.id}, at rest`
  const state = resting
    ? shown.printed(await storedState(app, resting, shown))
    : process && (await getStatus(process.ref)).state
  return { title, outline, state }
}

/** The titles of many processes, as far as they run now: a search for each would take too long. */
const titlesOf = async (
  system: System,
  pids: readonly number[],
): Promise<(pid: number) => string> => {
  const sought = new Set(pids)
  const titles = new Map<number, string>()
  for await (const page of processPages(system)) {
    for (const process of page)
      if (sought.delete(process.pid)) titles.set(process.pid, processTitle(process))
    if (sought.size === 0) break
  }
  return (pid) => titles.get(pid) ?? `<${pid}>`
}

/** `top` keeps its last sample for comparison. */
const topWord = (app: App, paint: Paint) => {
  let last: Look | undefined
  return async (by?: unknown, count?: unknown) => {
    const { order, rows } = loadQuery(by, count)
    if (order === 'memory') return new View(await memoryOf(app.system, rows, paint))
    const next = new Look(app.system.clock.monotonic())
    const before = last
    let loads: readonly Load[] = []
    for await (const page of processPages(app.system)) {
      next.add(page)
      loads = busiest(page, before, order, rows, loads)
    }
    last = next
    return new View(loadTable(loads, before && next.at - before.at, paint))
  }
}

const memoryOf = async (system: System, rows: number, paint: Paint): Promise<string> => {
  let held: readonly Held[] = []
  for await (const page of processPages(system)) {
    const sized = page.map((process) => ({ process, bytes: bytesHeld(process.ref) }))
    held = largest(sized, rows, held)
  }
  return memoryTable(held, process.memoryUsage(), paint)
}

// The output of `trace(p)`: a line for each message, reply and step of a process, up to a number.

/**
 * Shows the next `count` events of a server as they happen. The bound keeps a busy server from
 * flooding the prompt, as recon's `trace` does. 0 ends an earlier `trace`; so does an event that
 * nobody reads, as the prompt has left. Rejects as `sys.trace` does.
 * @throws KeelsonError `INVALID_ARGUMENT` for a wrong count
 */
export const traceFeed = async (process: ProcessSummary, count: unknown = 100): Promise<Feed> => {
  if (!Number.isSafeInteger(count) || (count as number) < 0) throw noCount(count)
  const title = processTitle(process)
  if (count === 0) {
    await trace(process.ref, undefined)
    return new Feed(`${title} is not traced`)
  }
  let left = count as number
  const feed = new Feed(`the next ${pluralText(left, 'event')} of ${title}; trace(p, 0) ends it`)
  await trace(process.ref, (event) => {
    if (left === 0) return
    const isRead = feed.add(traceLine(title, event))
    left = isRead ? left - 1 : 0
    if (left > 0) return
    if (isRead) feed.add(`${title}: ${pluralText(count as number, 'event')}, and no more are shown`)
    // It takes its turn in the mailbox, so it also ends a trace that was requested just before.
    trace(process.ref, undefined).catch(() => undefined)
  })
  return feed
}

/** One event in a line: the process, the direction, the message, and its payload, cut if long. */
export const traceLine = (title: string, { direction, what, payload }: TraceEvent): string => {
  const carried = payload === undefined ? '' : ` ${lineText(payload, widthMax)}`
  return printable(`${title}  ${direction.padEnd(4)}  ${what}${carried}`)
}

const widthMax = 200

const noCount = (found: unknown): KeelsonError =>
  invalidArgument('count', 'a whole number from 0', found)
