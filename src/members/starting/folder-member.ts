/**
 * Starts an instance as one of several members that share its data folder. Each has the shards whose
 * locks it holds. It opens those at its start, and takes more over when their owner has ended: the
 * kernel frees the locks of a process that ends in any way, and never those of one that is stopped.
 */
import { resolve } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import { createSystem } from '../../runtime/index.ts'
import { type MemberLocks, memberLocks } from '../../storage/index.ts'
import {
  type App,
  type CheckedOptions,
  claimFolder,
  closeShards,
  type FolderCluster,
  inspectShards,
  instanceShards,
  startInstance,
} from '../../supervisors/index.ts'
import { unixTransport } from '../links/unix-transport.ts'
import type { MemberPorts } from './folder-ports.ts'
import { MemberFolder } from './member-folder.ts'
import { MemberWatch, sharing } from './member-watch.ts'

/** The shards of a new folder, unless the options say otherwise. */
const shardsOfNew = 64

/** A folder is made within this time, in ms. */
const makingMs = 60_000

/**
 * Starts the instance of a member with the result of `loadedOptions`. Resolves when the shards that
 * it got are open.
 * @throws KeelsonError as `startInstance`; `LOCKED_DIR` also if another process has the name;
 * `CONFIG` where members cannot share a folder (`MemberLocks.share`), for a folder with fewer shards
 * than members, and for a copy that may not act yet
 */
export const startFolderMember = async (
  options: CheckedOptions,
  cluster: FolderCluster,
  ports: MemberPorts,
): Promise<App> => {
  const { clock, disk, folder: shares = { locks: memberLocks(), transport: unixTransport } } = ports
  const folder = await entered(options, cluster, ports, shares.locks)
  try {
    const { name, member, engine } = cluster
    const watch = new MemberWatch(folder, member, clock, engine.arrivalMs)
    await watch.look()
    const { claim, notes: ledger } = folder
    const transport = shares.transport(claim.dir, member)
    const shared = sharing({
      directory: folder,
      claim,
      ledger,
      name,
      member,
      transport,
      watch,
    })
    return await startInstance(options, { ...ports, disk, shared })
  } catch (error) {
    folder.claim.release()
    throw error
  }
}

/** The folder, which this member shares from now on. It is made if it is missing. */
const entered = async (
  options: CheckedOptions,
  cluster: FolderCluster,
  ports: MemberPorts,
  locks: MemberLocks,
): Promise<MemberFolder> => {
  const { disk, clock } = ports
  const dir = resolve(options.dir)
  const request = { disk, clock, dir, locks, instance: options.instance, cluster }
  const endsAt = clock.monotonic() + makingMs
  for (;;) {
    try {
      const folder = MemberFolder.share(request, options.shards)
      if (folder) return folder
      await make(options, cluster, ports)
    } catch (error) {
      if (!isBeingMade(error) || clock.monotonic() > endsAt) throw error
      await new Promise<void>((done) => clock.after(50, done))
    }
  }
}

/**
 * Whether a folder is refused because another member makes it at this moment, or has just done so. A
 * holder that names no process has not written its lines yet, or has blanked them.
 */
const isBeingMade = (error: unknown): boolean => {
  if (!isKeelsonError(error, 'LOCKED_DIR')) return false
  const { makes, pid } = Object(error.details.holder)
  return makes !== undefined || pid === undefined
}

/** Makes the logs and the description of a new folder, alone. @throws as `startInstance` */
const make = async (
  options: CheckedOptions,
  { member, engine }: FolderCluster,
  ports: MemberPorts,
): Promise<void> => {
  const { disk, clock } = ports
  const shards = options.shards ?? Math.max(shardsOfNew, engine.members.length)
  const dir = resolve(options.dir)
  const { instance } = options
  const claim = claimFolder({ disk, clock, dir, instance, shards, holder: { makes: member } })
  const system = createSystem({ clock })
  const made = instanceShards(claim, options, ports, system)
  try {
    await inspectShards(made, claim, options, ports)
  } catch (error) {
    claim.undo()
    throw error
  } finally {
    await closeShards(made)
    await system.stop()
    claim.release()
  }
}
