/**
 * Opens a log that is used alone: its lock, a look that changes nothing, its making when there is none, and the opening
 * itself. What fails gives everything up again: thread, files and lock.
 */
import { type Clock, systemClock } from '../clock.ts'
import type { Disk } from './disk.ts'
import { removeLog } from './log-creation.ts'
import type { Evidence, Inspection, LogHost, LogOptions, OpenReport } from './log-host.ts'
import { nodeDisk } from './node-disk.ts'
import { attempt } from './segment-file.ts'
import { threadLogHost } from './thread-log-host.ts'
import { claimWalFolder, type WalClaim } from './wal-claim.ts'
import type { WalSettings } from './wal-options.ts'

/** What a log runs on: the real disk behind a thread, or a simulated one. */
export type WalPorts = {
  /** For the lock and the folder; everything else goes through a host. */
  readonly disk: Disk
  readonly clock: Clock
  readonly makeHost: () => LogHost
}

/** The machine's own: a thread for each life of a log. */
export const machinePorts = (): WalPorts => ({
  disk: nodeDisk(),
  clock: systemClock(),
  makeHost: threadLogHost,
})

/** What opening found and did. */
export type WalReport = OpenReport & {
  /** The log was made by this opening. */
  readonly created: boolean
}

/** An open log and what it stands on. */
export type OpenedWal = {
  readonly settings: WalSettings
  readonly ports: WalPorts
  readonly host: LogHost
  readonly claim: WalClaim
  readonly report: WalReport
}

/**
 * Opens.
 * @throws KeelsonError `LOCKED_DIR`, `CORRUPT`, `UNSUPPORTED_VERSION`, `READ_ONLY`, `NO_SPACE`, `CONFLICT`, `CONFIG` with
 * nothing changed but for LOCK; `SHARD_DOWN` when the disk failed on the way.
 */
export const openWalFiles = async (settings: WalSettings, ports: WalPorts): Promise<OpenedWal> => {
  const claim = claimWalFolder({ ...ports, dir: settings.dir })
  const host = ports.makeHost()
  const { dir } = settings
  let isMade = false
  try {
    const options = logOptionsOf(settings)
    const found = await inspect(host, settings, claim)
    if (!found.exists) await host.run('create', { dir, options })
    isMade = !found.exists
    const inspection = found.exists ? found : await inspect(host, settings, claim)
    const opened = await host.run('open', { dir, options, inspection })
    const report = { ...opened, created: !found.exists }
    return { settings, ports, host, claim, report }
  } catch (error) {
    await host.end()
    // What says why it failed is that error; what cannot be removed is taken for a log without a frame.
    attempt(() => isMade && claim.isOurs() && removeLog(ports.disk, dir))
    attempt(() => claim.undo())
    throw error
  }
}

/** What of the settings is the log's. */
export const logOptionsOf = ({ maxFileSize, sectorBytes }: WalSettings): LogOptions => ({
  maxFileSize,
  sectorBytes,
})

const inspect = (host: LogHost, settings: WalSettings, { lock }: WalClaim): Promise<Inspection> => {
  const { dir, minDurable } = settings
  const evidence: Evidence[] =
    minDurable === undefined ? [] : [{ lsn: minDurable, source: 'minDurable' }]
  return host.run('inspect', {
    dir,
    options: logOptionsOf(settings),
    evidence,
    ...(lock === undefined ? {} : { lock }),
  })
}
