/**
 * The end of a log in an engine, as its owner notes it in its cache. LMDB shows a few writes only
 * after seconds, and the note shows them after `noteMs`. So a start of the member finds that an
 * older dump of the engine was put back, although the owner was killed. The file is not synced: a
 * power cut may leave an older note, or none.
 */
import type { Cancel, Clock } from '../../clock.ts'
import {
  attempt,
  type Disk,
  type DiskFile,
  type EnginePosition,
  readWhole,
  sealedJson,
  unsealed,
  writeAll,
} from '../../storage/index.ts'

/** An acknowledged end of a log. The log has it in every later epoch. */
export type NotedEnd = EnginePosition & { readonly logId: string }

/** Where it is noted. */
export type EndNoteOptions = {
  readonly disk: Disk
  readonly clock: Clock
  readonly path: string
}

/** An acknowledged end is noted within so many ms. */
const noteMs = 100

/** All notes are equally long, so that one replaces another one in place. */
const noteBytes = 512

/** The note of one log. */
export class EndNote {
  readonly #options: EndNoteOptions
  #logId = ''
  #next: EnginePosition | undefined
  #timer: Cancel | undefined
  #file: DiskFile | undefined

  constructor(options: EndNoteOptions) {
    this.#options = options
  }

  /** The note of an earlier owner; `undefined` without a sound one. */
  read(): NotedEnd | undefined {
    const { disk, path } = this.#options
    let bytes = new Uint8Array(0)
    attempt(() => {
      if (disk.entry(path)?.kind === 'file') bytes = new Uint8Array(readWhole(disk, path))
    })
    const found = unsealed(bytes)
    // Only this file writes it.
    return 'fields' in found ? (found.fields as unknown as NotedEnd) : undefined
  }

  /** Notes an end, soon. */
  put(logId: string, end: EnginePosition): void {
    this.#logId = logId
    this.#next = end
    this.#timer ??= this.#options.clock.after(noteMs, () => this.#write(), { holdsProcess: false })
  }

  /** Notes the last end at once, and closes the file. */
  close(): void {
    this.#write()
    attempt(() => this.#file?.close())
    this.#file = undefined
  }

  /** A disk that takes no note harms nothing else: the next note is tried again. */
  #write(): void {
    this.#timer?.()
    this.#timer = undefined
    const next = this.#next
    this.#next = undefined
    if (!next) return
    const { disk, path } = this.#options
    const bytes = new Uint8Array(noteBytes).fill(0x20)
    bytes.set(sealedJson({ logId: this.#logId, ...next }))
    attempt(() => {
      this.#file ??= disk.open(path, disk.entry(path) ? 'write' : 'create')
      writeAll(this.#file, bytes, 0, 'ENOSPC')
    })
  }
}
