/**
 * Locks on folders: `flock(2)` where the `flock` tool can take it for us, else a file that names its holder. Node has no
 * `flock`; but the lock belongs to the open file description, which the tool inherits and shares with us, so it stays
 * ours when the tool has ended, and the kernel frees it when we do, however we do. Node opens with close-on-exec, so no
 * child process keeps it alive. This is the one file of storage that starts processes; files it reaches through
 * `LockFiles`.
 */
import { spawnSync } from 'node:child_process'
import { hostname } from 'node:os'
import { crc32 } from '../bytes/crc32.ts'
import { DiskError, type DiskLock } from '../ports/disk.ts'
import { describeHolder, type LockHolder, lockedDir, readHolder } from './lock-holder.ts'

/** What locking needs of the file system. All throw `DiskError`. */
export interface LockFiles {
  /** Opens a file to read and write, makes it when missing, and cuts nothing off. */
  open(path: string): OpenLockFile
  /** Which file stands at a path; `undefined` when none does. Equal for the same file only. */
  identity(path: string): string | undefined
  /** The content of a file; `undefined` when it is missing. */
  content(path: string): string | undefined
  /** Makes a file, content and all, in one step that only one of many can take; false when something stands there. */
  putNew(path: string, content: string): boolean
  /** Puts a file in the place of whatever stands there, in one step. */
  replace(path: string, content: string): void
  remove(path: string): void
}

/** What sharing a lock needs beside. */
export interface SharedLockFiles extends LockFiles {
  /** Opens a file that is there to read, and changes nothing; `undefined` when it is missing. */
  openThere(path: string): Pick<OpenLockFile, 'descriptor' | 'close'> | undefined
}

/** An open lock file. A kernel lock on it ends when it is closed. */
export interface OpenLockFile {
  readonly descriptor: number
  /** As `LockFiles.identity`, whatever stands at its path by now. */
  readonly identity: string
  /** Replaces the content; what was not longer than the old needs no new space. */
  fill(content: string): void
  close(): void
}

/** What tells one process from all others, on this machine and, as far as can be, beyond it. */
export type ProcessFacts = {
  readonly pid: number
  readonly host: string
  /** Of this run of the kernel. */
  readonly bootId: string
  /** When the process began, in whatever unit the system counts: to tell it from a later one with its pid. */
  readonly startTime: string
  /** The set of pids that `pid` is one of: containers have sets of their own. */
  readonly pidSpace: string
}

/** Longer than any flock(1) takes that does not wait; after it the machine is in no state to trust a lock. */
const helperTimeoutMs = 5000

/**
 * Takes the lock file at `path`, at once or not at all. Its content becomes `holder` and a line of `ProcessFacts`.
 * `flock: false` does as on a machine without the tool.
 * @throws KeelsonError `LOCKED_DIR`; DiskError of the file system, `ENOLCK` when the tool fails for another reason.
 */
export const lockFolder = (
  files: LockFiles,
  path: string,
  holder: string,
  { flock }: { readonly flock: boolean },
): DiskLock => {
  const self = thisProcess(files)
  return (
    (flock ? lockByKernel(files, path, holder, self) : undefined) ??
    lockByFile(files, path, holder, self)
  )
}

/** `undefined` when there is no `flock` tool. */
const lockByKernel = (
  files: LockFiles,
  path: string,
  holder: string,
  self: ProcessFacts,
): DiskLock | undefined => {
  const file = files.open(path)
  try {
    const taken = takeKernelLock(path, file.descriptor)
    if (taken === 'no tool') {
      file.close()
      return undefined
    }
    const content = files.content(path) ?? ''
    if (taken === 'held') throw lockedDir(path, content)
    refuseOtherHolder(files, path, file, content, self)
    file.fill(lockContent(holder, self, 'flock'))
  } catch (error) {
    file.close()
    throw error
  }
  return kernelLock(files, path, file)
}

/** Somebody without the tool may hold the folder in the other way, or have put another file here since we opened ours. */
const refuseOtherHolder = (
  files: LockFiles,
  path: string,
  file: OpenLockFile,
  content: string,
  self: ProcessFacts,
): void => {
  const fate = lastFacts(content).by === 'file' ? fateOf(files, content, self) : 'dead'
  if (fate !== 'dead') throw lockedDir(path, content, { certain: fate === 'alive' })
  if (files.identity(path) !== file.identity) throw lockedDir(path, content)
}

const kernelLock = (files: LockFiles, path: string, file: OpenLockFile): DiskLock => {
  let held = true
  return {
    identity: file.identity,
    release: () => {
      if (!held) return
      held = false
      try {
        file.fill('\n'.repeat(files.content(path)?.length ?? 0))
      } catch {
        // The lines are for people; the lock goes with the descriptor, whether they could be blanked or not.
      }
      file.close()
    },
  }
}

/**
 * Keeps everybody from taking the lock file at `path` until `release`, and writes nothing: for whoever only reads a folder.
 * Several may. A missing file keeps nobody out, and neither does one where there is no flock(1).
 * @throws KeelsonError `LOCKED_DIR` when somebody has it; DiskError.
 */
export const shareFolder = (files: SharedLockFiles, path: string): Pick<DiskLock, 'release'> => {
  const file = files.openThere(path)
  if (!file) return { release: () => undefined }
  try {
    const content = files.content(path) ?? ''
    if (takeKernelLock(path, file.descriptor, '-s') === 'held') throw lockedDir(path, content)
    const byFile = lastFacts(content).by === 'file'
    const fate = byFile ? fateOf(files, content, thisProcess(files)) : 'dead'
    if (fate !== 'dead') throw lockedDir(path, content, { certain: fate === 'alive' })
  } catch (error) {
    file.close()
    throw error
  }
  let held = true
  return {
    release: () => {
      if (held) file.close()
      held = false
    },
  }
}

const takeKernelLock = (
  path: string,
  descriptor: number,
  mode: '-x' | '-s' = '-x',
): 'taken' | 'held' | 'no tool' => {
  const { status, error, stderr } = spawnSync('flock', ['-n', mode, '3'], {
    stdio: ['ignore', 'ignore', 'pipe', descriptor],
    encoding: 'utf8',
    timeout: helperTimeoutMs,
  })
  if (status === 0) return 'taken'
  if (status === 1) return 'held'
  if (error && 'code' in error && error.code === 'ENOENT') return 'no tool'
  throw new DiskError('ENOLCK', 'lock', path, { cause: error ?? new Error(stderr) })
}

const lockByFile = (
  files: LockFiles,
  path: string,
  holder: string,
  self: ProcessFacts,
): DiskLock => {
  // Nobody could tell whether we live, and the next to come would take us for dead.
  if (self.bootId === '' || self.startTime === '') throw new DiskError('ENOLCK', 'lock', path)
  const content = lockContent(holder, self, 'file')
  takeFile(files, path, content, self)
  let held = true
  return {
    identity: files.identity(path),
    release: () => {
      // What stands there is ours, unless people removed it and another took it.
      if (held && files.content(path) === content) files.remove(path)
      held = false
    },
  }
}

/**
 * Makes the file at `path` ours, when it is missing or its holder is dead. Of many who find a dead holder only one may
 * replace it, or the second would replace the first. That right is a file as well, named after what the dead left, and
 * taken in the same way; and because only its owner may replace that content, finding it unchanged is enough.
 */
const takeFile = (files: LockFiles, path: string, content: string, self: ProcessFacts): void => {
  while (!files.putNew(path, content)) {
    const found = files.content(path)
    if (found === undefined) continue
    const fate = fateOf(files, found, self)
    if (fate !== 'dead') throw lockedDir(path, found, { certain: fate === 'alive' })
    const claim = `${path}.${crc32(new TextEncoder().encode(found)).toString(16)}`
    takeFile(files, claim, content, self)
    try {
      if (files.content(path) === found) {
        files.replace(path, content)
        return
      }
    } finally {
      files.remove(claim)
    }
  }
}

const lockContent = (holder: string, self: ProcessFacts, by: 'flock' | 'file'): string =>
  `${holder}\n${describeHolder({ ...self, by })}\n`

const fateOf = (files: LockFiles, content: string, self: ProcessFacts): HolderFate =>
  holderFate(lastFacts(content), self, (pid) => startTimeOf(files, pid))

/** The facts that locking itself wrote, whatever the caller put in the line before. */
const lastFacts = (content: string): LockHolder =>
  readHolder(content.trimEnd().split('\n').at(-1) ?? '')

/** What can be known about the process that a lock file names. */
export type HolderFate = 'alive' | 'dead' | 'unknown'

/**
 * Judges a holder by the facts that it left. Facts that are damaged or missing mean dead: a lock file is made in one
 * step, so only a power cut leaves half of one, and then no process of that time lives. A holder on another machine, in
 * a container with pids of its own, or whose start is hidden from us (`null`) cannot be judged from here.
 */
export const holderFate = (
  holder: LockHolder,
  self: ProcessFacts,
  startTimeOfPid: (pid: number) => string | null | undefined,
): HolderFate => {
  const { pid, host, bootId, startTime, pidSpace } = holder
  if (typeof pid !== 'number' || !bootId || !startTime) return 'dead'
  if (bootId !== self.bootId) return host === self.host ? 'dead' : 'unknown'
  if (pidSpace !== self.pidSpace) return 'unknown'
  const running = startTimeOfPid(pid)
  if (running === null) return 'unknown'
  return running === startTime ? 'alive' : 'dead'
}

const thisProcess = (files: LockFiles): ProcessFacts => ({
  pid: process.pid,
  host: hostname(),
  bootId:
    files.content('/proc/sys/kernel/random/boot_id')?.trim() ??
    answerOf('sysctl', ['-n', 'kern.bootsessionuuid']) ??
    '',
  startTime: startTimeOf(files, process.pid) ?? '',
  pidSpace: files.identity('/proc/self/ns/pid') ?? '',
})

/** When a process began; `undefined` when there is none with this pid, `null` when it hides. */
const startTimeOf = (files: LockFiles, pid: number): string | null | undefined => {
  if (files.identity('/proc/self') === undefined) return startTimeByPs(pid)
  // The second field is the command in brackets, with any characters; the state follows it, the start is the 22nd.
  const stat = files
    .content(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ')
  if (!stat) return exists(pid) ? null : undefined
  // A zombie has closed its files; only its parent has not yet asked how it ended.
  return stat[0] === 'Z' || stat[0] === 'X' ? undefined : stat[19]
}

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

/** When a process began, on systems without /proc (macOS), to the second. */
export const startTimeByPs = (pid: number): string | undefined =>
  answerOf('ps', ['-o', 'lstart=', '-p', String(pid)])

const answerOf = (command: string, args: readonly string[]): string | undefined => {
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: helperTimeoutMs,
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
  })
  const answer = status === 0 ? stdout.trim() : ''
  return answer === '' ? undefined : answer
}
