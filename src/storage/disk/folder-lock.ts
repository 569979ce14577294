/**
 * Locks on folders: `flock(2)` by the `flock` tool, or a file that names its holder on a machine
 * without the tool. Node has no `flock`. The lock belongs to the open file description, which the
 * tool inherits and shares with this process. So it outlives the tool, and the kernel frees it when
 * this process ends in any way. Node opens files with close-on-exec, so no child process keeps the
 * lock. A holder without the tool gives a sign of life (`lock-sign.ts`), which other pid namespaces
 * see. These two are the files of storage that start processes. They are apart from `node-disk.ts`,
 * which gives them the files, because a lock is a protocol between processes.
 */
import { spawnSync } from 'node:child_process'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { crc32 } from '../../bytes/crc32.ts'
import { keptError } from '../../errors.ts'
import { DiskError, type DiskLock } from '../ports/disk.ts'
import { attempt } from '../ports/disk-failure.ts'
import { describeHolder, type LockHolder, lockedDir, readHolder, sharedBy } from './lock-holder.ts'
import type { LockSign } from './lock-sign.ts'

/** The file system as locking needs it. All functions throw `DiskError`. */
export interface LockFiles {
  /** Opens a file to read and write, and makes it if it is missing. Its content stays. */
  open(path: string): OpenLockFile
  /** Identifies the file at a path; `undefined` if there is none. Equal only for the same file. */
  identity(path: string): string | undefined
  /** The content of a file; `undefined` if it is missing. */
  content(path: string): string | undefined
  /** Makes a file with its content, atomically. False if the path exists. */
  putNew(path: string, content: string): boolean
  /** Replaces the file at a path, atomically. */
  replace(path: string, content: string): void
  remove(path: string): void
  /** As `giveSign` and `hasSign` of `lock-sign.ts`. */
  giveSign(path: string): LockSign | undefined
  hasSign(path: string): boolean | undefined
}

/** The file system as sharing a lock needs it. */
export interface SharedLockFiles extends LockFiles {
  /** Opens a file to read; `undefined` if it is missing. */
  openThere(path: string): Pick<OpenLockFile, 'descriptor' | 'close'> | undefined
}

/** An open lock file. A kernel lock on it ends when it is closed. */
export interface OpenLockFile {
  readonly descriptor: number
  /** As `LockFiles.identity`, of this file, also if its path has another one by now. */
  readonly identity: string
  /** Replaces the content. A content that is not longer than the old one needs no disk space. */
  fill(content: string): void
  close(): void
}

/** Facts that identify a process on this machine and, as far as possible, on others. */
export type ProcessFacts = {
  readonly pid: number
  readonly host: string
  /** The id of this boot of the kernel. */
  readonly bootId: string
  /**
   * When the process started, in the system's unit. It distinguishes the process from a later one
   * with its pid.
   */
  readonly startTime: string
  /** The pid namespace. Containers have their own. */
  readonly pidSpace: string
}

/**
 * Time limit of the tools, in ms. They do not wait, so a slower machine is in no state to trust a
 * lock.
 */
const helperTimeoutMs = 5000

/**
 * Takes the lock file at `path` without waiting. Its content becomes `holder` and a line of
 * `ProcessFacts`. `flock: false` locks as on a machine without the tool.
 * @throws KeelsonError `LOCKED_DIR`; DiskError of the file system, `ENOLCK` if the tool fails for
 * another reason
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

/** As `lockFolder` with the tool; `undefined` if there is none. */
export const lockByKernel = (
  files: LockFiles,
  path: string,
  holder: string,
  self: ProcessFacts = thisProcess(files),
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
    removeSign(files, path, content)
    file.fill(lockContent(holder, self, 'flock'))
  } catch (error) {
    file.close()
    throw error
  }
  return kernelLock(files, path, file, () => true)
}

/**
 * A process without the tool may hold the folder, or have replaced the file since this process
 * opened it. @throws KeelsonError `LOCKED_DIR`
 */
export const refuseOtherHolder = (
  files: LockFiles,
  path: string,
  file: OpenLockFile,
  content: string,
  self: ProcessFacts,
): void => {
  const fate = lastFacts(content).by === 'file' ? fateOf(files, path, content, self) : 'dead'
  if (fate !== 'dead') throw lockedDir(path, content, { certain: fate === 'alive' })
  if (files.identity(path) !== file.identity) throw lockedDir(path, content)
}

/** A lock of the kernel that is held. Its release blanks the lines if `isAlone` says so. */
export const kernelLock = (
  files: LockFiles,
  path: string,
  file: OpenLockFile,
  isAlone: () => boolean,
): DiskLock => {
  let held = true
  return {
    identity: file.identity,
    release: () => {
      if (!held) return
      held = false
      // The lines are for people. Closing the descriptor frees the lock even if they stay.
      attempt(() => {
        if (isAlone()) file.fill('\n'.repeat(files.content(path)?.length ?? 0))
      })
      file.close()
    },
  }
}

/**
 * Shares the lock file at `path` until `release`, for a process that only reads the folder: no
 * process can take the lock until then. Several can share it. Writes nothing. Without a lock file,
 * or without flock(1), it protects nothing.
 * @throws KeelsonError `LOCKED_DIR` if another process holds the lock; DiskError
 */
export const shareFolder = (files: SharedLockFiles, path: string): Pick<DiskLock, 'release'> => {
  const file = files.openThere(path)
  if (!file) return { release: () => undefined }
  try {
    const content = files.content(path) ?? ''
    if (takeKernelLock(path, file.descriptor, '-s') === 'held') throw lockedDir(path, content)
    const { by } = lastFacts(content)
    // Members share it, too: whether any is there shows only when it is taken alone.
    if (by === sharedBy && !isTakenAgain(path, file.descriptor)) throw lockedDir(path, content)
    const byFile = by === 'file'
    const fate = byFile ? fateOf(files, path, content, thisProcess(files)) : 'dead'
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

const isTakenAgain = (path: string, descriptor: number): boolean =>
  takeKernelLock(path, descriptor, '-x') === 'taken' &&
  takeKernelLock(path, descriptor, '-s') === 'taken'

/**
 * Asks the kernel for the lock of an open file, without waiting. A lock that this file has already
 * becomes one of `mode`, and may be lost if that is `held`.
 * @throws DiskError `ENOLCK`
 */
export const takeKernelLock = (
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
  // Without these facts the next process would take this one for dead.
  if (self.bootId === '' || self.startTime === '') throw new DiskError('ENOLCK', 'lock', path)
  const name = `${basename(path)}.${crcOf(describeHolder({ ...self, path }))}.sock`
  const sign = files.giveSign(join(dirname(path), name))
  const content = lockContent(holder, { ...self, ...(sign && { sign: name }) }, 'file')
  try {
    takeFile(files, path, content, self)
  } catch (error) {
    sign?.end()
    throw error
  }
  let held = true
  return {
    identity: files.identity(path),
    release: () => {
      // Another process may have the lock if people removed the file.
      if (held && files.content(path) === content) files.remove(path)
      if (held) sign?.end()
      held = false
    },
  }
}

const crcOf = (text: string): string => crc32(new TextEncoder().encode(text)).toString(16)

/**
 * Takes the lock file at `path` if it is missing or its holder is dead. Many processes may find a
 * dead holder, but only one may replace its file. That right is a claim: another lock file, named
 * after the dead content and taken in the same way. Only the owner of the claim replaces that
 * content, so it is enough to find the content unchanged.
 */
const takeFile = (files: LockFiles, path: string, content: string, self: ProcessFacts): void => {
  while (!files.putNew(path, content)) {
    const found = files.content(path)
    if (found === undefined) continue
    const fate = fateOf(files, path, found, self)
    if (fate !== 'dead') throw lockedDir(path, found, { certain: fate === 'alive' })
    const claim = `${path}.${crcOf(found)}`
    takeFile(files, claim, content, self)
    try {
      if (files.content(path) === found) {
        files.replace(path, content)
        removeSign(files, path, found)
        return
      }
    } finally {
      files.remove(claim)
    }
  }
}

const lockContent = (holder: string, self: LockHolder, by: 'flock' | 'file'): string =>
  `${holder}\n${describeHolder({ ...self, by })}\n`

/** Whether the process that the content of the lock file at `path` names lives. */
export const fateOf = (
  files: LockFiles,
  path: string,
  content: string,
  self: ProcessFacts,
): HolderFate => {
  const holder = lastFacts(content)
  // Members name none of them.
  if (holder.by === sharedBy) return 'unknown'
  const fate = holderFate(holder, self, (pid) => startTimeOf(files, pid))
  const sign = signIn(path, content)
  // A sign is asked of this kernel: it says nothing about another machine.
  if (fate !== 'unknown' || sign === undefined || holder.bootId !== self.bootId) return fate
  const lives = files.hasSign(sign)
  return lives === undefined ? 'unknown' : lives ? 'alive' : 'dead'
}

/** Removes the sign of a dead holder. */
const removeSign = (files: LockFiles, path: string, content: string): void => {
  const sign = signIn(path, content)
  if (sign !== undefined) files.remove(sign)
}

/** The path of the sign that the holder of the lock file at `path` gives; `undefined` without one. */
const signIn = (path: string, content: string): string | undefined => {
  const { sign } = lastFacts(content)
  return typeof sign === 'string' && /^[^/]+\.sock$/.test(sign)
    ? join(dirname(path), sign)
    : undefined
}

/** The facts of the last line, which this file or `member-locks.ts` wrote. The caller wrote the line before. */
export const lastFacts = (content: string): LockHolder =>
  readHolder(content.trimEnd().split('\n').at(-1) ?? '')

/** The known facts about the process that a lock file names. */
export type HolderFate = 'alive' | 'dead' | 'unknown'

/**
 * Judges a holder by its facts. Damaged or missing facts mean dead: a lock file is made atomically,
 * so only a power cut leaves half of one, and that ends all processes. `unknown`: the holder is on
 * another machine, in another pid namespace, or its start time is hidden (`null`).
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

/** The facts of this process. */
export const thisProcess = (files: LockFiles): ProcessFacts => ({
  pid: process.pid,
  host: hostname(),
  bootId:
    files.content('/proc/sys/kernel/random/boot_id')?.trim() ??
    answerOf('sysctl', ['-n', 'kern.bootsessionuuid']) ??
    '',
  startTime: startTimeOf(files, process.pid) ?? '',
  pidSpace: files.identity('/proc/self/ns/pid') ?? '',
})

/**
 * When a process started; `undefined` if no process has this pid, `null` if its start is hidden.
 */
const startTimeOf = (files: LockFiles, pid: number): string | null | undefined => {
  if (files.identity('/proc/self') === undefined) return startTimeByPs(pid)
  // The second field is the command in brackets, with any characters. Then come the state and, as
  // 22nd, the start.
  const stat = files
    .content(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ')
  if (!stat) return exists(pid) ? null : undefined
  // A zombie has closed its files. It only waits for its parent.
  return stat[0] === 'Z' || stat[0] === 'X' ? undefined : stat[19]
}

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return keptError(error).code !== 'ESRCH'
  }
}

/** When a process started, on systems without /proc (macOS), to the second. */
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
