/**
 * Processes as the page of `keelson observe` shows them. All processes are read in slices. They are
 * apart from `looks.ts` because the samples and traces of processes are kept from look to look.
 */

import { invalidArgument, KeelsonError, reasonText } from '../../errors.ts'
import type {
  EntityName,
  ProcessDetail,
  Processes,
  ProcessesQuery,
  ProcessLink,
  ProcessRow,
  Recorded as ShownRecorded,
  Traced,
  TreeNode,
} from '../../observe/index.ts'
import { shapeText } from '../../redaction.ts'
import {
  getStatus,
  machineOf,
  name,
  type ProcessSummary,
  type ServerStatus,
  summaryOf,
  tiesOf,
  waitingMessages,
} from '../../runtime/index.ts'
import { workerKind } from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import { isError } from '../../thrown.ts'
import { calledOf, namedEntity, processTitle } from '../answers/process-finder.ts'
import { Look } from '../answers/process-load.ts'
import { processAt, processPages } from '../answers/process-pages.ts'
import { MessageAges } from '../answers/process-times.ts'
import { foldedTree, type TreeNode as SurveyedNode, surveyTree } from '../answers/tree-survey.ts'
import type { Records } from '../recorder/records.ts'
import { shortText } from '../text/shown-text.ts'
import { machineParts, machineShown, withDrawing } from './machine-shown.ts'
import { ProcessTrace } from './process-trace.ts'
import { given, numberIn, optionalNumber, optionalText, type Query, wordIn } from './questions.ts'
import { rounded } from './recent-times.ts'
import { handledText } from './running-handlers.ts'
import { shownEvent } from './shown-events.ts'
import { bytesOf, fitting, lastFitting, shownTree } from './value-trees.ts'

const rowsMax = 200
const kindsMax = 50
const nodesMax = 300
const tiesMax = 20
const shownMax = 100
const messagesMax = 20
const eventsMax = 20
/** The most bytes of lists: a frame has 64 KiB, of which a state takes up to 24. */
const eventsBytes = 16 * 1024
const messagesBytes = 6 * 1024
const rowsBytes = 48 * 1024
const treeBytes = 48 * 1024

/** A server that is busy does not show its state. */
const stateMs = 300

/** The restarts of a process in the last ten minutes, in parts of half a minute. */
const sparkParts = 20
const sparkMs = 30_000

/** The looks at the processes of one instance. */
export class ProcessLooks {
  readonly #app: App
  readonly #records: Records
  readonly #ages = new MessageAges()
  readonly #traces = new Map<number, ProcessTrace>()
  /** The processes that were shown last, by the pids that were asked for. */
  readonly #shown = new Map<number, { readonly title: string | undefined; readonly look: Look }>()
  /** The last look at a list. */
  #before: Look | undefined

  constructor(app: App, records: Records) {
    this.#app = app
    this.#records = records
  }

  /** The tree, at most 300 processes of it. */
  async tree(): Promise<TreeNode> {
    const { clock } = this.#app.system
    const restarts = this.#records
      .last('restart')
      .map(({ subject, text }) => [subject, text.replace(restartHead, '')] as const)
    const past = {
      recent: recentRestarts(this.#records, clock.now()),
      reasons: new Map(restarts),
    }
    const room = { nodes: nodesMax, bytes: treeBytes }
    return nodeOf(foldedTree(await surveyTree(this.#app)), past, room)
  }

  /** A page of the processes in an order. Of all processes only the rows of the page are kept. */
  async processes(query: Query): Promise<Processes> {
    const asked = asOrder(query)
    const { clock } = this.#app.system
    const look = new Look(clock.monotonic())
    const before = this.#before
    const kinds = new Map<string, number>()
    const isAfter = asked.after ? afterPlace(asked.order, asked.after) : () => true
    let rows: ProcessRow[] = []
    let [total, sought] = [0, 0]
    for await (const page of processPages(this.#app.system)) {
      look.add(page)
      total += page.length
      for (const { kind } of page) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      const next = page.flatMap((process) => {
        const waitedMs = this.#ages.of(process, look.at)
        return isSought(process, asked)
          ? [rowOf(process, before, look.at, clock.now(), waitedMs)].filter(isAfter)
          : []
      })
      sought += next.length
      rows = [...rows, ...next].sort(byOrder(asked.order)).slice(0, asked.limit)
    }
    this.#before = look
    this.#ages.over()
    const counts = [...kinds].map(([kind, count]) => ({ kind, count }))
    const most = counts.sort((a, b) => b.count - a.count).slice(0, kindsMax)
    const shown = fitting(rows, rowsBytes)
    const last = shown.at(-1)
    const next = last && sought > shown.length ? placeOf(asked.order, last) : undefined
    return { rows: shown, total, kinds: most, ...given<Pick<Processes, 'next'>>({ next }) }
  }

  /** One process. @throws KeelsonError `NO_PROCESS`, `INVALID_ARGUMENT` */
  async process(query: Query): Promise<ProcessDetail> {
    const { system } = this.#app
    const pid = numberIn(query, 'pid', { min: 1 })
    const found = processAt(system, pid) ?? this.#successorOf(pid)
    if (!found) throw new KeelsonError('NO_PROCESS', `there is no process <${pid}> any more`)
    const before = this.#shown.get(pid)?.look ?? this.#before
    const at = system.clock.monotonic()
    const { ref, parent, handling } = found
    const ties = tiesOf(ref, tiesMax)
    const linked = (pids: readonly number[]): ProcessLink[] => pids.map((each) => this.#link(each))
    const status = await this.#statusOf(found)
    // The message that asked for its status is none of its rate.
    this.#remember(pid, processAt(system, found.pid) ?? found)
    const { state } = status as ServerStatus
    const named = namedEntity(this.#app, found.name ?? found.label) ?? this.#workerAt(found.name)
    const machine = machineShown(machineOf(ref), state)
    const detail: ProcessDetail = {
      row: {
        ...rowOf(found, before, at, system.clock.now()),
        ...(handling && {
          handling: { message: shortText(handledText(this.#app, found)), since: handling.since },
        }),
      },
      ...given<ProcessDetail>({
        replaces: found.pid === pid ? undefined : pid,
        parent: parent === undefined ? undefined : this.#link(parent),
        state: isError(status) ? undefined : shownTree(machine ? machineParts(state) : state),
        stateless: isError(status) ? reasonText(status) : undefined,
        entity: named,
        trace: wordIn(query, 'trace', ['on']) && this.#trace(found),
      }),
      links: linked(ties.links.pids),
      monitors: linked(ties.monitors.pids),
      monitoredBy: linked(ties.monitoredBy.pids),
      isTrapping: found.trapExit,
      messages: fitting(
        waitingMessages(ref, messagesMax).map(({ what, payload }) => ({
          what: shortText(what),
          ...(payload !== undefined && { shape: shapeText(payload) }),
        })),
        messagesBytes,
      ),
      events: this.#eventsOf(found),
    }
    return withDrawing(detail, machine)
  }

  #workerAt(name = ''): EntityName | undefined {
    return this.#app.entities.workers.has(name) ? { kind: workerKind, id: name } : undefined
  }

  /** Ends every trace. */
  end(): void {
    for (const each of this.#traces.values()) each.end()
  }

  /** The process that a supervisor started in the place of one that has ended, by their title. */
  #successorOf(pid: number): ProcessSummary | undefined {
    const { system } = this.#app
    const title = this.#shown.get(pid)?.title ?? this.#recordedTitle(pid)
    if (title === undefined) return undefined
    const next = this.#records.last('restart').findLast(({ subject }) => subject === title)
    return (
      (next?.pid === undefined ? undefined : processAt(system, next.pid)) ??
      summaryOf(system.to(name(title)))
    )
  }

  /** The title in its events. A process without a name has its kind there, which others have too. */
  #recordedTitle(pid: number): string | undefined {
    const event = (['crash', 'restart'] as const)
      .flatMap((sort) => this.#records.last(sort))
      .find((event) => event.pid === pid)
    return event && event.subject !== event.kind ? event.subject : undefined
  }

  /** The events of a crash loop are soon forgotten: a page that stays open is answered from here. */
  #remember(pid: number, process: ProcessSummary): void {
    const look = new Look(this.#app.system.clock.monotonic()).add([process])
    this.#shown.delete(pid)
    this.#shown.set(pid, { title: process.name ?? process.label, look })
    const [oldest] = this.#shown.keys()
    if (this.#shown.size > shownMax && oldest !== undefined) this.#shown.delete(oldest)
  }

  #trace({ pid, ref }: ProcessSummary): Traced {
    const known = this.#traces.get(pid)
    if (known) return known.look()
    const made = new ProcessTrace(this.#app.system, ref, () => this.#traces.delete(pid))
    this.#traces.set(pid, made)
    return made.look()
  }

  /** Its status. For a busy process each question would be one more message that waits. */
  #statusOf({ ref, handling }: ProcessSummary): Promise<ServerStatus | Error> | Error {
    const ranMs = handling ? this.#app.system.clock.now() - handling.since : 0
    return handling && ranMs > stateMs
      ? new KeelsonError('BUSY', `its state is shown when it has handled ${handling.message}`)
      : getStatus(ref, { timeoutMs: stateMs }).catch((error: Error) => error)
  }

  #link(pid: number): ProcessLink {
    const found = processAt(this.#app.system, pid)
    return { pid, title: found ? shortText(processTitle(found), 100) : `<${pid}>` }
  }

  /** The events that the recorder has of a process, of earlier ones of its name, and of its tasks. */
  #eventsOf({ pid, name, label }: ProcessSummary): readonly ShownRecorded[] {
    const title = name ?? label
    const crashes = title === undefined ? [] : this.#records.crashes.all
    const tasks = crashes.flatMap(({ what, starters, pid: task }) =>
      what === 'task' && starters.includes(title as string) ? task : [],
    )
    const isOf = (event: { readonly pid: number | undefined; readonly subject: string }): boolean =>
      event.pid === pid ||
      (title !== undefined && event.subject === title) ||
      (event.pid !== undefined && tasks.includes(event.pid))
    const found = (['crash', 'restart', 'gave_up', 'backed_off', 'slow_handler', 'log'] as const)
      .flatMap((sort) => this.#records.last(sort))
      .filter(isOf)
      .sort((left, right) => left.at - right.at)
    return lastFitting(
      found.slice(-eventsMax).map((event) => shownEvent(this.#app, event)),
      eventsBytes,
    )
  }
}

const orders = ['pid', 'rate', 'queue', 'growth', 'oldest', 'handled', 'restarts'] as const

type Sought = Required<Pick<ProcessesQuery, 'order' | 'limit'>> & {
  readonly kind: string | undefined
  readonly find: string | undefined
  readonly after: Place | undefined
}

/** A place in an order: that of a row, by the value that it has there. */
type Place = { readonly value: number; readonly pid: number }

const asOrder = (query: Query): Sought => ({
  order: wordIn(query, 'order', orders) ?? 'rate',
  kind: optionalText(query, 'kind'),
  find: optionalText(query, 'find')?.toLowerCase(),
  limit: optionalNumber(query, 'limit', { min: 1, max: rowsMax }) ?? 100,
  after: placeIn(optionalText(query, 'after')),
})

/** @throws KeelsonError `INVALID_ARGUMENT` */
const placeIn = (text: string | undefined): Place | undefined => {
  if (text === undefined) return undefined
  const [, value, pid] = /^(-?\d{1,16}(?:\.\d{1,9})?)_(\d{1,16})$/.exec(text) ?? []
  if (value === undefined || pid === undefined)
    throw invalidArgument('after', '`next` of a page', text)
  return { value: Number(value), pid: Number(pid) }
}

const placeOf = (order: Sought['order'], row: ProcessRow): string =>
  `${valueIn(order, row)}_${row.pid}`

const afterPlace =
  (order: Sought['order'], { value, pid }: Place) =>
  (row: ProcessRow): boolean => {
    const own = valueIn(order, row)
    return own < value || (own === value && row.pid > pid)
  }

const isSought = (process: ProcessSummary, { kind, find }: Sought): boolean =>
  (kind === undefined || process.kind === kind) &&
  (find === undefined || calledOf(process).toLowerCase().includes(find))

const rowOf = (
  process: ProcessSummary,
  before: Look | undefined,
  at: number,
  now: number,
  waitedMs?: number,
): ProcessRow => {
  const { pid, kind, status, mailbox, mailboxMax, handled, restarts, handling } = process
  const counts = before?.countsOf(pid)
  const seconds = before ? (at - before.at) / 1_000 : 0
  const rate = (value: number, then: number | undefined): number =>
    seconds > 0 && then !== undefined ? rounded((value - then) / seconds) : 0
  return {
    pid,
    name: shortText(calledOf(process), 300),
    kind,
    status,
    mailbox,
    handled,
    restarts,
    ...(Number.isFinite(mailboxMax) && { mailboxMax }),
    perSecond: rate(handled, counts?.handled),
    growth: rate(mailbox, counts?.queue),
    ...(handling && { handling }),
    ...((handling || waitedMs !== undefined) && {
      oldestMs: Math.max(0, waitedMs ?? 0, handling ? now - handling.since : 0),
    }),
  }
}

/** The greatest come first. */
const valueIn = (order: Sought['order'], row: ProcessRow): number =>
  ({
    pid: -row.pid,
    rate: row.perSecond,
    queue: row.mailbox,
    growth: row.growth,
    oldest: row.oldestMs ?? -1,
    handled: row.handled,
    restarts: row.restarts,
  })[order]

const byOrder =
  (order: Sought['order']) =>
  (left: ProcessRow, right: ProcessRow): number =>
    valueIn(order, right) - valueIn(order, left) || left.pid - right.pid

/** The times of the restarts of each process name, in parts of the last ten minutes. */
const recentRestarts = (records: Records, now: number): ReadonlyMap<string, number[]> => {
  const recent = new Map<string, number[]>()
  for (const { subject, at } of records.last('restart')) {
    const part = sparkParts - 1 - Math.floor((now - at) / sparkMs)
    if (part < 0 || part >= sparkParts) continue
    const parts = recent.get(subject) ?? Array<number>(sparkParts).fill(0)
    parts[part] = (parts[part] as number) + 1
    recent.set(subject, parts)
  }
  return recent
}

/** The text of a restart ends with the reason. */
const restartHead = /^.*? times in all: /

/** The past of the processes of a tree, by their names: restarts, and why each ended last. */
type Past = {
  readonly recent: ReadonlyMap<string, number[]>
  readonly reasons: ReadonlyMap<string, string>
}

const nodeOf = (
  node: SurveyedNode,
  past: Past,
  room: { nodes: number; bytes: number },
): TreeNode => {
  const { name, pid, kind, status, mailbox, restarts, live } = node
  const reason = node.reason ?? past.reasons.get(name)
  const own = {
    name: shortText(name, 300),
    kind,
    status,
    mailbox,
    restarts,
    ...given<Pick<TreeNode, 'pid' | 'recent' | 'reason'>>({
      pid,
      recent: past.recent.get(name),
      reason: reason === undefined ? undefined : shortText(reason, 300),
    }),
  }
  room.bytes -= bytesOf(own)
  const children: TreeNode[] = []
  for (const child of node.children) {
    if (room.nodes-- <= 0 || room.bytes <= 0) break
    children.push(nodeOf(child, past, room))
  }
  const rest = node.children.length - children.length
  return {
    ...own,
    children,
    ...given<Pick<TreeNode, 'live'>>({
      live: live ?? (rest > 0 ? node.children.length : undefined),
    }),
  }
}
