/** The saved states of an application, as a shard's journal asks for them. */
import { isKeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { type AppState, attempt, statesIn } from '../../storage/index.ts'
import { levelOf } from '../core/settings.ts'
import { synced } from '../writing/write-path.ts'
import type { JournalShard } from './journal-shard.ts'

/**
 * Saves a state, once its entries are durable. The log is kept for the states that are answered.
 * @throws KeelsonError as a disk does; `SHARD_DOWN`, `CLOSED`, `FENCED`
 */
export const saveAppState = async (
  system: System,
  shard: JournalShard,
  state: AppState,
): Promise<void> => {
  // A power cut would leave a state of entries that the log has lost.
  if (levelOf(shard.parts.settings) === 'written') await synced(system, shard)
  const dir = shard.parts.folders.snapshots
  const { copiedLsn } = shard.journal
  const request = { dir, state, epoch: await epochOf(shard), copiedLsn }
  shard.journal.states = (await shard.snapshots.run('saveState', request)).states
}

/**
 * Loads the newest sound state. A damaged one that is newer is logged.
 * @throws KeelsonError `CORRUPT` if none is sound; `SHARD_DOWN`, `CLOSED`, `FENCED`
 */
export const loadAppState = async (
  system: System,
  shard: JournalShard,
): Promise<AppState | undefined> => {
  const dir = shard.parts.folders.snapshots
  const request = { dir, epoch: await epochOf(shard), copiedLsn: shard.journal.copiedLsn }
  const { state, states, damaged } = await shard.snapshots.run('loadState', request)
  shard.journal.states = states
  for (const file of damaged)
    system.logger.error(
      `the saved state ${file} of shard ${shard.index} is damaged: an older one is used`,
      { shard: shard.index, file },
    )
  return state
}

/** As `loadAppState`, after earlier saves of the shard. */
export const newestAppState = (
  system: System,
  shard: JournalShard,
): Promise<AppState | undefined> => shard.journal.inTurn(() => loadAppState(system, shard))

/**
 * Finds the states of a shard whose journal begins. A cache is brought to what the engine has, once
 * the log is open. Until then, and if it fails, the whole log is kept. Never rejects.
 */
export const findAppStates = async (system: System, shard: JournalShard): Promise<void> => {
  const { journal, parts, snapshots } = shard
  if (!snapshots.parts.isCache) {
    attempt(() => {
      journal.states = statesIn(parts.disk, parts.folders.snapshots)
    })
    return
  }
  journal.states = []
  try {
    await journal.inTurn(async () => {
      if ((await shard.settled()).kind === 'open') await loadAppState(system, shard)
    })
  } catch (error) {
    // Otherwise the shard ends, and its next journal finds them.
    if (isKeelsonError(error, 'CORRUPT')) system.logger.error(error.message, error.details)
  }
  journal.lessens()
}

/** The epoch of the log, by which an engine knows its owner. A folder has no other owner. */
const epochOf = async ({ files, snapshots }: JournalShard): Promise<number> =>
  snapshots.parts.isCache ? (await files.log().run('state', null)).epoch : 0
