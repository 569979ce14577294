/** The options of `start`: one table, and the rules that hold between options. Pure. */
import {
  type RecoveryProgress,
  replication,
  type Settings,
  storageOptions,
} from '../../actors/index.ts'
import {
  type Check,
  type Checked,
  config,
  flag,
  folder,
  type Given,
  listener,
  noMore,
  object,
  oneOf,
  optional,
  or,
  readOptions,
  text,
  that,
  wholeFrom,
} from '../../check.ts'
import { configError } from '../../errors.ts'
import type { Logger, System } from '../../runtime/index.ts'
import { projectionList } from '../../storage/index.ts'
import { type AppTree, checkAppTree } from '../users-tree/app-tree.ts'
import {
  clusterMember,
  identifier,
  isFolderCluster,
  refuseLocalOptions,
  refuseOddLinks,
  refuseOwnAlone,
} from './cluster-options.ts'

/** A step of starting. */
export type StartProgress = {
  readonly step:
    | 'waiting'
    | 'standby'
    | 'locked'
    | 'created'
    | 'inspected'
    | 'recovering'
    | 'open'
    | 'down'
  readonly shard?: number
  /** Of `waiting`: why the engine of a cluster does not serve. Of `standby`: which member owns. */
  readonly detail?: string
  /** How far the shard's projection is rebuilt. */
  readonly recovery?: RecoveryProgress
}

const has = (found: unknown, ...functions: readonly string[]): boolean =>
  functions.every((name) => typeof Object(found)[name] === 'function')

const app: Check<AppTree | false> = (found, { path }) =>
  found === false ? false : checkAppTree(found, `${path}`)

const instanceOptions = {
  /** Part of the names of a second instance in one System: `wal_writer('orders', 0)`. */
  instance: or(identifier, 'default'),
  /** The System to run on. By default the instance makes its own. */
  system: optional(
    that<System>('a System, as createSystem makes it', (found) => has(found, 'whereis')),
  ),
  /**
   * The logger of crashes and restarts, as of `createSystem`: an object with `error`, `warn` and
   * `info`, such as pino. By default text to `console`. Not with `system`, which has its own.
   */
  logger: optional(
    that<Logger>('an object with the functions error, warn and info', (found) =>
      has(found, 'error', 'warn', 'info'),
    ),
  ),
  /** How many shards a new folder has; 1. `keelson reshard` gives a folder more. */
  shards: optional(wholeFrom(1, 1_024)),
  /**
   * How many shards the folder may get later, a multiple of its number. Keys that would be in
   * different ones are refused with `CROSS_SHARD` already. By default as many as the folder has. The
   * same for all members.
   */
  shardsPlan: optional(wholeFrom(1, 1_024)),
  /** Start the healthy shards of a folder in which some are corrupt. */
  allowDown: or(flag, false),
  /**
   * Projections by users, as `projection`, `history` and `countsByNamespace` make them. One that is
   * left out halts, and is rebuilt when it comes back.
   */
  projections: or(projectionList, []),
  /** Replicas that follow the logs: see `keelson/postgres`. */
  replication: or(replication, []),
  /** The most user messages in a mailbox of the user's tree. */
  mailboxMax: or(wholeFrom(1), 100_000),
  /**
   * Whether `keelson attach` may open prompts on the instance, over the socket `attach.sock` in the
   * data folder, which only its owner may use. It turns the flight recorder on. `keelson run`:
   * true.
   */
  attach: or(flag, false),
  /**
   * The user's own supervision tree: `supervisor('app', …)` of `keelson`. False: the store alone.
   * No actor of the user's runs, no alarm fires, and no replica is written.
   */
  app: optional(app),
  /**
   * The instance ends when the user's tree has spent its restarts so often within ten minutes; of times
   * less than 30 s apart one counts. 0: it is started again without an end. `keelson run`: 3.
   */
  giveUpAfter: or(wholeFrom(0), 0),
  /**
   * The name of your build, such as a commit: looks at members, and `keelson_build_info`, have it, so
   * that a deployment that is half done is seen.
   */
  build: optional(text),
  /**
   * Whether actors at rest are judged after the start: which of them this program would block when
   * they wake. `health().actors.wouldBlock` shows it. Bodies of waiting runs are replayed, and
   * `migrate` is called; nothing is carried out or written.
   */
  judge: or(flag, true),
  /**
   * True: a restored or salvaged folder acts from here on. Without it `start` refuses such a
   * folder, unless `app` is false.
   */
  acts: or(flag, false),
  /** The logs are in an engine, and one of several members at a time owns the instance. */
  cluster: clusterMember,
  /** Called with each step of the start, in order. */
  onProgress: listener<StartProgress>(),
}

/** The options of `start`. Only `dir` has no default. Times are in ms, sizes in bytes. */
export type StartOptions = Given<typeof instanceOptions> &
  Given<typeof storageOptions> & {
    /** The data folder. It is created when missing. */
    readonly dir: string
  }

/** The checks of all options but `dir`. */
export const startOptions = { ...instanceOptions, ...storageOptions }

const check = object({ dir: folder, ...startOptions })

/** Checked options with all defaults. `settings` are those of storage. */
export type CheckedOptions = Omit<ReturnType<typeof check>, keyof Settings> & {
  readonly settings: Settings
}

/** @throws KeelsonError `CONFIG` with `details.path`, `expected` and `found` */
export const checkStartOptions = (options: StartOptions): CheckedOptions => {
  const checked = check(options, config())
  if (checked.logger !== undefined && checked.system !== undefined)
    throw configError('logger', 'absent: the System has its own', checked.logger)
  if (checked.acts && checked.app === false)
    throw configError('acts', 'false: with app: false nothing acts', true)
  if (checked.shards !== undefined) checkPlan(checked, checked.shards)
  const { cluster } = checked
  if (cluster && isFolderCluster(cluster)) refuseOwnAlone(checked, cluster, Object(options.cluster))
  else if (cluster) {
    refuseLocalOptions(options)
    refuseOddLinks(cluster, checked)
  }
  const names = ['projections', ...Object.keys(storageOptions)]
  const isSetting = ([name]: readonly [string, unknown]): boolean => names.includes(name)
  const settings = Object.fromEntries(Object.entries(checked).filter(isSetting))
  return { ...checked, settings: settings as Settings }
}

/** @throws KeelsonError `CONFIG` for a plan that is no multiple of the shards that there are */
export const checkPlan = (
  { shardsPlan }: Pick<CheckedOptions, 'shardsPlan'>,
  shards: number,
): void => {
  if (shardsPlan !== undefined && shardsPlan % shards !== 0)
    throw configError('shardsPlan', `a multiple of ${shards}, the number of shards`, shardsPlan)
}

const membersOptions = {
  /** A member whose event loop has not moved for so long is killed, and starts again. */
  stuckMs: or(wholeFrom(100, 3_600_000), 10_000),
  /** If a member ends more often than this in `periodMs`, all end. */
  intensity: or(wholeFrom(0), 5),
  periodMs: or(wholeFrom(1), 60_000),
  /**
   * `hold`: after SIGHUP the next member restarts when the one before has judged its actors at rest,
   * or after a minute. If its build would block actors that no member has named before, the others are
   * left as they are.
   */
  judge: or(oneOf('report', 'hold'), 'report'),
}

/** The option `members` of a configuration, with all defaults. Times are in ms. */
export type MembersOptions = Checked<typeof membersOptions>

const membersCheck = or(object(membersOptions), {})

/** The option `members` of a configuration. @throws KeelsonError `CONFIG` with `details.path` */
export const checkMembersOptions = (given?: Given<typeof membersOptions>): MembersOptions =>
  membersCheck(given, config('members'))

/**
 * The default export of a configuration file: the options of `start`, and `members`. Paths in it are
 * relative to the file.
 */
export type KeelsonConfig = Omit<StartOptions, 'dir' | 'system'> & {
  readonly dir?: string
  /** For the parent of several processes on one folder: `keelson run --members`. */
  readonly members?: Given<typeof membersOptions>
}

const configNames = [...Object.keys(startOptions), 'dir', 'members']

/**
 * The configuration itself, for `export default defineConfig({ … })`. Its options have types, and
 * are checked where they are written.
 * @throws KeelsonError `CONFIG` with `details.path`, `expected` and `found`
 */
export const defineConfig = (configuration: KeelsonConfig, ...surplus: []): KeelsonConfig => {
  noMore(surplus, 'defineConfig({ app, dir, … })')
  const { members, ...options } = readOptions(configuration, configNames, config())
  checkMembersOptions(members)
  checkStartOptions({ dir: '.', ...options })
  return configuration
}
