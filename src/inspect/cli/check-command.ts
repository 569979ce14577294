/**
 * `keelson check`: what a configuration would start, and with `--against` what stored data need of it. Its
 * modules are loaded and checked as a start does it. Nothing of it starts, and no folder is changed.
 */
import { relative, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import type { Clock } from '../../clock.ts'
import { checkDeclarations, type DeclarationReport, isAtLeast } from '../../flow/index.ts'
import { type ChildSpec, describeReason } from '../../runtime/index.ts'
import {
  type AppNode,
  type AppTree,
  isChildSpec,
  isDurable,
  loadedOptions,
  type StartOptions,
} from '../../supervisors/index.ts'
import {
  type Configuration,
  type ConfigurationRequest,
  configurationFile,
  namingFile,
  readConfiguration,
  unreadable,
} from '../command/configuration-file.ts'
import { type Environment, printLine } from '../command/environment.ts'
import { findingText } from '../rehearsal/finding-text.ts'
import { withStoredData } from '../rehearsal/stored-data.ts'
import { durationText, pluralText } from '../text/quantities.ts'
import { factList, textTable, treeRows } from '../text/text-table.ts'
import type { InstanceCommand } from './command-line.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `CONFIG` as a start does
 */
export const runCheck = async (
  command: InstanceCommand,
  environment: Environment,
): Promise<number> => {
  const { file, options, tree } = await loadedHere(command, environment)
  const { cwd, output } = environment
  printLine(output, checkView(file, options, cwd))
  const { against, verbose } = command
  if (against === undefined) return 0
  const silent = { word: 'check', progress: false, verbose }
  const request = { ...silent, dir: resolve(cwd, against), at: undefined, endedMax: 0 }
  const quiet = { ...environment, errors: new PassThrough().resume() }
  const report = await withStoredData(request, quiet, (data) => checkDeclarations(tree, data))
  if (typeof report === 'number') return report
  printLine(output, `\n${reportText(report, against)}`)
  return report.findings.some(({ level }) => isAtLeast(level, 'acts')) ? findingsStatus : 0
}

/** The exit status with findings. */
const findingsStatus = 4

const reportText = ({ findings, counts }: DeclarationReport, against: string): string => {
  const { runs, actors } = counts
  const data = `${pluralText(runs, 'run')} and ${pluralText(actors, 'other actor')} of ${against}`
  if (findings.length === 0) return `checked against ${data}: nothing is missing`
  return [`checked against ${data}`, ...findings.map(findingText)].join('\n\n')
}

/** Code of the configuration that takes longer does not end. */
const loadMs = 10_000

/**
 * The configuration with its modules loaded. Refuses too what a start dies of, a promise that was
 * rejected with nobody there, and what it hangs on, a top-level await that does not settle.
 */
const loadedHere = async (
  command: InstanceCommand,
  { clock, cwd, onStrayRejection }: Environment,
): Promise<Loaded> => {
  const file = configurationFile({ ...command, cwd }) ?? ''
  const stops: (() => void)[] = []
  const failed = new Promise<never>((_, reject) => {
    const fail = (why: string, cause?: unknown) => reject(unreadable(file, cause, why))
    const late = `it does not end: ${loadMs / 1_000} s have passed`
    const stray = 'a promise was rejected, and nobody handled it: '
    stops.push(clock.after(loadMs, () => fail(late)))
    stops.push(onStrayRejection((reason) => fail(stray + describeReason(reason), reason)))
  })
  try {
    return await Promise.race([failed, loaded({ ...command, cwd }, clock)])
  } finally {
    for (const stop of stops) stop()
  }
}

/** A configuration with its tree as a start has it; `false`: the store alone. */
type Loaded = Configuration & { readonly tree: AppTree | false }

const loaded = async (
  request: ConfigurationRequest,
  clock: Pick<Clock, 'soon'>,
): Promise<Loaded> => {
  const configuration = await readConfiguration(request)
  const { app: tree = false } = await loadedOptions(configuration.options).catch(
    (error: unknown) => {
      throw namingFile(configuration.file, error)
    },
  )
  // Node reports a rejection after the microtasks.
  await new Promise<void>((resolve) => clock.soon(resolve))
  return { ...configuration, tree }
}

const checkView = (
  file: string | undefined,
  { dir, instance, shards, app }: StartOptions,
  cwd: string,
): string => {
  const facts = factList([
    ['configuration', file ?? 'none: the defaults'],
    ['data folder', dir],
    ...(instance === undefined ? [] : [['instance', instance] as const]),
    [
      'shards',
      shards === undefined ? 'as the folder has; in a new one 1, with members 64' : String(shards),
    ],
    ...(app ? [] : [['tree', 'none: the store alone'] as const]),
  ])
  return app ? `${facts}\n\n${textTable(columns, treeRows(planOf(app, cwd), rowOf))}` : facts
}

/** A part of the tree as it would start. */
type Plan = {
  readonly name: string
  readonly facts: readonly string[]
  readonly children: readonly Plan[]
}

const columns = ['', 'kind', 'restart', 'shutdown', 'server, or strategy']

const rowOf = ({ name, facts }: Plan, branch: string): string[] => [branch + name, ...facts]

const planOf = (node: AppNode, cwd: string): Plan => {
  const name = node.id
  if (isChildSpec(node)) {
    const { restart, shutdown, kind = 'worker', children = [] } = node
    const module = 'module' in node ? node.module : undefined
    const shown = module === undefined ? kind : 'entity_kind'
    const facts = [shown, ...ends(kind, restart, shutdown), pathText(module, cwd)]
    return { name, facts, children: children.map((child) => planOf(child, cwd)) }
  }
  const { kind, options } = node
  if (kind === 'supervisor') {
    const { strategy = 'one_for_one', intensity = 3, periodMs = 5_000 } = options
    const how = `${strategy}, ${intensity} restarts in ${durationText(periodMs)}`
    const facts = [kind, ...ends(kind, options.restart, options.shutdown), how]
    return { name, facts, children: node.children.map((child) => planOf(child, cwd)) }
  }
  const shown = isDurable(options) ? 'durable worker' : kind
  const shutdown = options.shutdown ?? options.shutdownMs
  const facts = [shown, ...ends(kind, options.restart, shutdown), pathText(node.module, cwd)]
  return { name, facts, children: [] }
}

/** When a part is restarted, and how long its end may take. */
const ends = (
  kind: 'worker' | 'supervisor',
  restart: ChildSpec['restart'] = 'permanent',
  shutdown: ChildSpec['shutdown'] = kind === 'supervisor' ? 'infinity' : 5_000,
): string[] => [
  typeof restart === 'string' ? restart : `${restart.type ?? 'permanent'}, with a backoff`,
  typeof shutdown === 'number' ? durationText(shutdown) : shutdown,
]

/** The module of a server, if it was given by its path. */
const pathText = (module: unknown, cwd: string): string =>
  typeof module === 'string' ? relative(cwd, module) : ''
