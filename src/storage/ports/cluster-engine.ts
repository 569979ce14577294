/**
 * The port to an engine that keeps the state of several members: logs, a directory of small
 * entries, and files. A call without an answer means the same as in `engine-log.ts`.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'
import type { EngineLog } from './engine-log.ts'

/** An entry of the directory. */
export class DirectoryEntry {
  readonly value: string
  /** Grows with each change of the directory. No two changes have the same. */
  readonly revision: number
  #content: object | undefined

  constructor(value: string, revision: number) {
    this.value = value
    this.revision = revision
  }

  /**
   * The content that `entryText` made the value of, for this name. It is read once: each look of a
   * member asks for that of all its shards, and of their holders, several times.
   * @throws KeelsonError `CORRUPT` for another value
   */
  content(name: string): object {
    this.#content ??= contentIn(name, this.value)
    return this.#content
  }
}

/** All entries at one moment. */
export type DirectoryView = {
  /** That of the last change, also of a removal. */
  readonly revision: number
  readonly entries: ReadonlyMap<string, DirectoryEntry>
}

/**
 * Small entries: members, owners, leases. A lease has ended for a member that saw one revision of
 * its entry unchanged for as long as the lease lasts, on its own monotonic clock. So a renewal is a
 * `set`, also of an equal value.
 */
export interface Directory {
  /**
   * The entries, as no failover can lose them: the answer comes when a synchronous standby has what
   * it shows. Who owns, and whose lease has ended, is decided by it.
   */
  view(): Promise<DirectoryView>
  /** The entries as the engine shows them. A failover may lose some of it. */
  peek(): Promise<DirectoryView>
  /**
   * Sets an entry whose revision is `revision`, or that is absent if that is 0; without a value it
   * removes the entry. Returns the new revision. After a call without an answer, the entry says
   * whether it took effect, if values name their writers.
   * @throws KeelsonError `CONFLICT`, with the present revision in `details.revision`
   */
  set(name: string, revision: number, value?: string): Promise<number>
  /**
   * Resolves when the directory may have another revision, or `signal` aborts. It costs less than a view.
   */
  moved(revision: number, signal?: AbortSignal): Promise<void>
}

/** The value of an entry: JSON whose last member is a checksum over the name and the rest. */
export const entryText = (name: string, content: object): string => {
  const text = plainJson(content)
  const sum = sumOf(name, text)
  return text === '{}' ? `{"sum":${sum}}` : `${text.slice(0, -1)},"sum":${sum}}`
}

/** It shows whether a member wrote all of an entry, for this name. */
const sumOf = (name: string, text: string): number => crc32(Buffer.from(name + text))

/**
 * The content of an entry that `entryText` made; `undefined` if there is none.
 * @throws KeelsonError `CORRUPT` for another value
 */
export const entryIn = <T extends object>(
  { entries }: Pick<DirectoryView, 'entries'>,
  name: string,
): T | undefined => entries.get(name)?.content(name) as T | undefined

const contentIn = (name: string, value: string): object => {
  const text = textIn(name, value)
  if (text !== undefined) return JSON.parse(text)
  const message = `the entry ${name} of the engine's directory is damaged: ${value}`
  throw new KeelsonError('CORRUPT', message, { details: { entry: name, evidence: value } })
}

/** The text of the content of an entry. Its checksum shows that it is one. */
const textIn = (name: string, value: string): string | undefined => {
  const [end, sum] = /(?:^\{|,)"sum":(\d{1,10})\}$/.exec(value) ?? []
  if (end === undefined) return undefined
  const text = end.startsWith('{') ? '{}' : `${value.slice(0, -end.length)}}`
  return String(sumOf(name, text)) === sum ? text : undefined
}

/** Files that never change: snapshots, and large values under the place of their record. */
export interface EngineFiles {
  /**
   * Keeps a file under a name. It is there, whole and durable, when this resolves, and not at all
   * before. Writers side by side do not mix.
   * @throws KeelsonError `CONFLICT` if another content has the name; the error of `pieces`
   */
  put(
    name: string,
    pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<{ readonly size: number }>
  /** The size of a file, or `undefined` without one. */
  size(name: string): Promise<number | undefined>
  /**
   * The bytes of a file from `from` on, up to `to`, in pieces.
   * @throws KeelsonError `CORRUPT` if it is not there, or not whole: also in the middle
   */
  read(name: string, from?: number, to?: number): AsyncIterable<Uint8Array>
  /** The names that begin with `prefix`, in order. */
  list(prefix: string): Promise<readonly string[]>
  /** Removes a file; a no-op without one. */
  remove(name: string): Promise<void>
}

/** The connections of one member to an engine. */
export interface EngineSession {
  /** A handle of the log `name`. Handles do not wait for each other. */
  log(name: string): EngineLog
  readonly directory: Directory
  readonly files: EngineFiles
  /** The engine's clock, in ms since 1970. */
  now(): Promise<number>
  /** Ends the session. Pending calls reject with `UNKNOWN_OUTCOME`. Never rejects. */
  close(): Promise<void>
}

/** An engine that can be connected to. */
export interface ClusterEngine {
  /** A description for people, without a password. */
  readonly description: string
  /**
   * Connects for a member of `cluster`, and brings the engine's own tables up to date. `copies`:
   * how many machines must have what is acknowledged; 0 for a look, which does not wait for them.
   * `leaseMs`: the engine holds nothing for the member for longer, if it is gone.
   * @throws KeelsonError `CONFIG` if the engine does not keep what it acknowledges, or not on so
   * many machines, or refuses what only a person can mend, such as a wrong password;
   * `UNSUPPORTED_VERSION` if a newer version made its tables; `UNKNOWN_OUTCOME` if
   * the engine, or one of those machines, is not there; any error of the client
   */
  open(options: {
    readonly cluster: string
    readonly copies: number
    readonly leaseMs?: number
  }): Promise<EngineSession>
}
