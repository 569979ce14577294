/** An instance whose snapshots are as a bench wants them. */
import { start } from 'keelson'

/** More log than any bench writes: no snapshot is made. */
export const noSnapshots = { minLogBytes: 2 ** 50 }

/** `start`. An installation that has no snapshots takes no option of that name. */
export const startWith = async (options) => {
  try {
    return await start(options)
  } catch (error) {
    if (error.code !== 'CONFIG' || error.details?.path !== 'snapshot') throw error
    const { snapshot: _, ...known } = options
    return start(known)
  }
}
