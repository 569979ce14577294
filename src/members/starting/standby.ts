/**
 * A standby, which reads the logs before its turn comes, and keeps its cache up to date. It follows
 * in rounds: each opens the shards without anything that acts, applies the log as far as it is
 * proven, and closes them. A round that has begun goes on to its end when the turn comes. It is
 * apart from `member-start.ts` because its rounds repeat, and a start happens once.
 */
import { isAway } from '../../actors/index.ts'
import { isKeelsonError, reasonText } from '../../errors.ts'
import type { EngineHead } from '../../storage/index.ts'
import { type CheckedOptions, type Ports, startInstance } from '../../supervisors/index.ts'
import { followerPorts, type Membership } from './member-ports.ts'

/** The standby's options with the number of shards, its ports, and its part of the engine. */
export type StandbyParts = {
  readonly options: CheckedOptions & { readonly shards: number }
  readonly ports: Ports
  readonly membership: Membership
  /** Resolves when the member has to wait. Until then there is no round: it may own at once. */
  readonly waits: Promise<void>
  /** Hears when the logs were read for the first time. */
  readonly onRead: () => void
}

/**
 * Follows the logs until `turn` settles, and settles as it does. The first round begins when the
 * member has to wait, and each next one `everyMs` after the one before, if the logs have moved on.
 * @throws KeelsonError as `startInstance`, for example `CORRUPT` if the engine has lost frames
 */
export const followUntil = async (
  turn: Promise<void>,
  parts: StandbyParts,
  everyMs: number,
): Promise<void> => {
  let isOver = false
  const over = turn.finally(() => {
    isOver = true
  })
  // It is awaited at the end, and may reject during a round.
  over.catch(() => undefined)
  let followed: string | undefined
  await Promise.race([over, parts.waits])
  for (; !isOver; await unlessSettled(over, parts.ports, everyMs)) {
    // An engine that is away does not hold up a start that is aborted.
    const ended = over.catch(() => undefined).then(() => undefined)
    const heads = await Promise.race([headsOf(parts), ended])
    if (heads === undefined || heads === followed) continue
    if (heads !== '' && !(await round(parts))) continue
    if (followed === undefined && !isOver) parts.onRead()
    followed = heads
  }
  return over
}

/** Resolves after `ms`, or when `work` settles. */
const unlessSettled = (work: Promise<void>, { clock }: Ports, ms: number): Promise<void> =>
  new Promise((resolve) => {
    const cancel = clock.after(ms, resolve, { holdsProcess: false })
    const settled = (): void => {
      cancel()
      resolve()
    }
    work.then(settled, settled)
  })

/**
 * The ends of the logs in words; empty if nobody has owned one; `undefined` if the engine is away. A
 * round judges other failures.
 */
const headsOf = async ({ options, membership }: StandbyParts): Promise<string | undefined> => {
  const { logOf } = membership
  const heads = Array.from({ length: options.shards }, (_, shard) => logOf(shard).head())
  try {
    const found: readonly EngineHead[] = await Promise.all(heads)
    if (found.some(({ end }) => end.lsn === 0)) return ''
    return found.map(({ logId, end }) => logId + end.id).join()
  } catch (error) {
    const isSilent = ['UNKNOWN_OUTCOME', 'CONFIG'].some((code) => Object(error).code === code)
    return isAway(error) || isSilent ? undefined : reasonText(error)
  }
}

/** One round. False: the engine was away, or the log was trimmed in between. */
const round = async ({ options, ports, membership }: StandbyParts): Promise<boolean> => {
  const { onProgress } = options
  const ofRecovery: typeof onProgress = (progress) => {
    if (progress.recovery) onProgress(progress)
  }
  try {
    await follow({ ...options, onProgress: ofRecovery }, followerPorts(ports, membership))
    return true
  } catch (error) {
    if (isAway(error) || isKeelsonError(error, 'FENCED')) return false
    throw error
  }
}

/**
 * Brings the cache up to the proven ends of the logs, as `ports` name them, and closes it.
 * @throws KeelsonError as `startInstance`
 */
export const follow = async (options: CheckedOptions, ports: Ports): Promise<void> => {
  const { system, logger = system?.logger } = options
  const alone = { system: undefined, logger, app: false, attach: false, replication: [] } as const
  const app = await startInstance({ ...options, ...alone }, ports)
  await app.close()
}
