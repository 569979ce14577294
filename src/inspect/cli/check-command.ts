/**
 * `keelson check`: what a configuration would start. Its modules are loaded and checked as a start
 * does it. Nothing starts, and no folder is touched.
 */
import { relative } from 'node:path'
import type { Clock } from '../../clock.ts'
import { type ChildSpec, describeReason } from '../../runtime/index.ts'
import {
  type AppNode,
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
import { durationText } from '../text/quantities.ts'
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
  const { file, options } = await loadedHere(command, environment)
  printLine(environment.output, checkView(file, options, environment.cwd))
  return 0
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
): Promise<Configuration> => {
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

const loaded = async (
  request: ConfigurationRequest,
  clock: Pick<Clock, 'soon'>,
): Promise<Configuration> => {
  const configuration = await readConfiguration(request)
  await loadedOptions(configuration.options).catch((error: unknown) => {
    throw namingFile(configuration.file, error)
  })
  // Node reports a rejection after the microtasks.
  await new Promise<void>((resolve) => clock.soon(resolve))
  return configuration
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
