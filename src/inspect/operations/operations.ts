/**
 * `keelson/operations`: the answers of an instance to the programs that watch it: whether its
 * process lives, whether it can be used, and its metrics.
 */

import {
  argument,
  flag,
  noMore,
  object,
  optional,
  or,
  readOptions,
  text,
  that,
  wholeFrom,
} from '../../check.ts'
import { invalidArgument, reasonText } from '../../errors.ts'
import type { RehearsalReport } from '../../flow/index.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import {
  type AppContext,
  type InstanceParts,
  innerParts,
  treeNames,
} from '../../supervisors/index.ts'
import { formatFor } from './exposition.ts'
import { type Metric, metrics } from './metric-table.ts'
import { Scrapes } from './scrape.ts'
import type { Series } from './series.ts'

/** A request, as Node's `http` and what builds on it have it. */
export type OperationsRequest = {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: { readonly accept?: string | undefined }
}

/** The response to it. */
export type OperationsResponse = {
  writeHead(status: number, headers: Record<string, string>): unknown
  end(body?: string): unknown
}

/** The options of `rehearse`. */
export type RehearseOptions = {
  /**
   * A data folder, a backup, or a folder with saved cases. A running instance with the option `attach`
   * makes the backup for it.
   */
  readonly from: string
  /** The configuration file of the build that is judged. */
  readonly config: string
  /** That of another build, such as the present one: what it finds too is left out. */
  readonly against?: string
  /** A folder into which some actors of each type are written as cases, in place of earlier ones. */
  readonly save?: string
  /** The data as of an LSN, of a folder with one shard, or of a time in ms since 1970. */
  readonly at?: { readonly lsn: number } | { readonly time: number }
  /** How many of the runs that have ended are replayed of each workflow, the newest first; 1,000. */
  readonly ended?: number
  /** Sockets are open while the modules of the build load; false. */
  readonly allowNet?: boolean
  /** Modules in machine code may load, which no guard holds; false. */
  readonly allowAddons?: boolean
  /** A judge that answers nothing for so long is killed, and its run named, in ms; 30,000. */
  readonly hangMs?: number
}

const moment = that<NonNullable<RehearseOptions['at']>>('{ lsn } or { time }', (found) => {
  const { lsn, time } = Object(found)
  return Number.isSafeInteger(lsn) !== Number.isSafeInteger(time)
})

const rehearseOptions = object({
  from: text,
  config: text,
  against: optional(text),
  save: optional(text),
  at: optional(moment),
  ended: or(wholeFrom(0), 1_000),
  allowNet: or(flag, false),
  allowAddons: or(flag, false),
  hangMs: or(wholeFrom(1), 30_000),
})

/**
 * Judges what a new build will do with stored data, before it runs: as `keelson rehearse`. A copy beside
 * `from` is made for it, and removed in the end. The modules of the build load in a process of their own,
 * where sockets, processes, threads and writes are refused. Nothing of the build starts.
 * @throws KeelsonError `INVALID_ARGUMENT`, `LOCKED_DIR`, `CORRUPT`, `NO_SPACE`, `UNSUPPORTED_VERSION`;
 * `CONFIG` for a build that does not load
 */
export const rehearse = async (
  options: RehearseOptions,
  ...surplus: []
): Promise<RehearsalReport> => {
  noMore(surplus, 'rehearse({ from, config, … })')
  const checked = rehearseOptions(options, argument('', 'rehearse'))
  const { rehearsalOf } = await import('../rehearsal/rehearse-command.ts')
  return rehearsalOf(checked)
}

/** The metrics of an instance, for programs that read them in this process. */
export interface InstanceMeasurements {
  /** All of them, in the order of a scrape. */
  readonly metrics: readonly Metric[]
  /**
   * The present series of this member, by the names of the metrics. The labels of a series are in the
   * order of its metric. Histograms begin with the first call.
   */
  take(): Promise<Readonly<Record<string, readonly Series[]>>>
  /** When the instance started, and the present time, in ms since 1970. */
  readonly since: number
  now(): number
  /** Aborts when the instance closes. */
  readonly ending: AbortSignal
}

/**
 * The metrics of an instance, such as for `metering` of `keelson/otel`. `app` is as that of
 * `operations`. @throws KeelsonError `INVALID_ARGUMENT`
 */
export const measurements = (app: AppContext, ...surplus: []): InstanceMeasurements => {
  noMore(surplus, 'measurements(app)')
  const parts = app?.[innerParts]
  if (!parts) throw invalidArgument('app', 'what start resolves with, or context.app', app)
  const scrapes = Scrapes.of(app)
  return {
    metrics: Object.values(metrics),
    take: async () => (await scrapes.taken()).series,
    since: parts.since,
    now: () => parts.system.clock.now(),
    ending: parts.ending,
  }
}

/** The options of `operations`. */
export type OperationsOptions = {
  /** Measures writes, calls and turns from now on, and not from the first scrape on. */
  readonly metrics?: boolean | undefined
}

/** Answers a request, and returns true; false for a path that is not its own. */
export type OperationsHandler = (
  request: OperationsRequest,
  response: OperationsResponse,
) => boolean

type Answer = { readonly status: number; readonly type: string; readonly body: string }

/**
 * Answers `GET /health`, `/ready` and `/metrics` of an instance.
 * - `/health`: 200 while the event loop answers and the root of the instance lives.
 * - `/ready`: 503 while it starts or closes, or every shard is down. `{ state, down, phases }`.
 * - `/metrics`: text for Prometheus, or OpenMetrics 1.0 if `Accept` names it.
 *
 * Of members that share a folder, the first two are of the one that answers, and the metrics are of
 * all.
 *
 * No value of users is in an answer: no key, id, state or payload. `app`: the result of `start`, or
 * `context.app`.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const operations = (
  app: AppContext,
  options: OperationsOptions = noOptions,
  ...surplus: []
): OperationsHandler => {
  noMore(surplus, 'operations(app, { … })')
  const parts = app?.[innerParts]
  if (!parts) throw invalidArgument('app', 'what start resolves with, or context.app', app)
  const checked = readOptions(options, ['metrics'], argument('', 'operations'))
  const scrapes = Scrapes.of(app)
  if (checked.metrics === true) scrapes.hearWork()
  const answers: Readonly<Record<string, (accept?: string) => Answer | Promise<Answer>>> = {
    '/health': () => healthOf(parts.system.whereis(treeNames(parts.instance).root) !== undefined),
    '/ready': () => readinessOf(parts),
    '/metrics': async (accept) => {
      const format = formatFor(accept)
      return { status: 200, type: format.contentType, body: await scrapes.text(format) }
    },
  }
  return ({ method = 'GET', url = '', headers }, response) => {
    const answer = ownOf(answers, pathOf(url))
    if (!answer) return false
    const isBodiless = method === 'HEAD'
    if (method !== 'GET' && !isBodiless) {
      response.writeHead(405, { allow: 'GET, HEAD' })
      response.end()
      return true
    }
    const failed = (error: unknown): void =>
      parts.system.logger.error(`${url}: ${reasonText(error)}`, { reason: error })
    const send = ({ status, type, body }: Answer): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
      response.end(isBodiless ? undefined : body)
    }
    // The host may have answered a slow one itself: then `send` throws.
    const answered = async (): Promise<Answer> => answer(headers.accept)
    void answered()
      .catch((error: unknown) => {
        failed(error)
        return json(500, { error: 'it is in the log' })
      })
      .then(send)
      .catch(failed)
    return true
  }
}

/** The path of a request target, which has a scheme and a host if a proxy sent it. */
const pathOf = (target: string): string =>
  target.replace(/^https?:\/\/[^/?]*/i, '').replace(/\?.*/s, '')

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(body),
})

const healthOf = (isAlive: boolean): Answer =>
  json(isAlive ? 200 : 503, { state: isAlive ? 'running' : 'ended' })

const readinessOf = ({ readiness, shards, way }: InstanceParts): Answer => {
  const phases = shards.map(({ phase }) => phase.kind)
  const down = shards.filter(({ phase }) => phase.kind === 'down').map(({ index }) => index)
  const { state } = readiness
  const ownerless = shards.filter(({ index }) => way?.ownerOf(index) === undefined)
  const ofMember = way && { member: way.member, ownerless: ownerless.map(({ index }) => index) }
  return json(state === 'ready' ? 200 : 503, { state, down, phases, ...ofMember })
}
