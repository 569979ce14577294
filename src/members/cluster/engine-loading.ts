/**
 * Loads what works on the engine of a cluster: for an instance whose logs it keeps, and for the
 * commands of `keelson cluster`. No other process loads it.
 */

/** Loads the parts of a member of a cluster, for an instance. */
export const loadEngineStorage = async () => ({
  /** The entries of the directory. */
  directory: await import('../leases/cluster-directory.ts'),
  /** Under which work members have ended. */
  ends: await import('../leases/ended-work.ts'),
  /** Which features of logs are on. */
  features: await import('../leases/log-features.ts'),
  /** Which member has which shard. */
  holds: await import('../leases/shard-holds.ts'),
  ...(await import('../engine-log/owned-log-host.ts')),
  ...(await import('../engine-log/followed-log-host.ts')),
  ...(await import('../engine-log/inspection-reading.ts')),
  ...(await import('../engine-log/log-end.ts')),
  ...(await import('../leases/lease-keeper.ts')),
  ...(await import('../engine-files/engine-snapshots.ts')),
  ...(await import('../engine-files/engine-blobs.ts')),
  ...(await import('../engine-log/engine-calls.ts')),
  ...(await import('../engine-log/end-note.ts')),
})

/** The parts of a member of a cluster. */
export type EngineStorage = Awaited<ReturnType<typeof loadEngineStorage>>

/** Loads the acts on a cluster from outside, for a command. */
export const loadClusterTools = async () => ({
  ...(await import('./cluster-survey.ts')),
  ...(await import('./cluster-making.ts')),
  ...(await import('./cluster-drain.ts')),
  ...(await import('./cluster-placing.ts')),
  ...(await import('./cluster-loss.ts')),
  ...(await import('./cluster-moving.ts')),
})

/** The acts on a cluster from outside. */
export type ClusterTools = Awaited<ReturnType<typeof loadClusterTools>>
