/** The options of `start` that are tables, checked: positions, and windows of namespaces. Pure. */
import { isWindow, namespaceFault, windowMsMax, windowsMax } from '../actors/index.ts'
import { configError } from './config-error.ts'

/** The greatest lsn for each shard of `wal.minDurable`. @throws KeelsonError `CONFIG` */
export const checkMinDurable = (positions: unknown): ReadonlyMap<number, number> => {
  if (!Array.isArray(positions))
    throw configError('wal.minDurable', 'a list of positions', positions)
  const found = positions.map((position, at) => {
    const { shard, lsn } = (position ?? {}) as { shard?: unknown; lsn?: unknown }
    const right = [shard, lsn].every((each) => Number.isSafeInteger(each) && Number(each) >= 0)
    if (!right) throw configError(`wal.minDurable[${at}]`, '{ shard, lsn }', position)
    return { shard: shard as number, lsn: lsn as number }
  })
  const greatest = new Map<number, number>()
  for (const { shard, lsn } of found) greatest.set(shard, Math.max(lsn, greatest.get(shard) ?? 0))
  return greatest
}

/** `batcher.windows`: ms by namespace. @throws KeelsonError `CONFIG` */
export const checkWindows = (windows: unknown): ReadonlyMap<string, number> => {
  if (typeof windows !== 'object' || windows === null || Array.isArray(windows))
    throw configError('batcher.windows', 'an object of namespaces', windows)
  const found = Object.entries(windows)
  if (found.length > windowsMax)
    throw configError('batcher.windows', `at most ${windowsMax} namespaces`, found.length)
  for (const [namespace, ms] of found) {
    const fault = namespaceFault(namespace)
    if (fault) throw configError(`batcher.windows.${namespace}`, `named by ${fault}`, namespace)
    if (!isWindow(ms))
      throw configError(`batcher.windows.${namespace}`, `ms from 1 to ${windowMsMax}`, ms)
  }
  return new Map(found)
}
