/**
 * The files of code in a folder, and when they change. A report of `fs.watch` is only a hint, as it
 * differs from system to system: after each, once it is quiet, the folder is read again and compared. It is apart from the command
 * because it knows files and no service.
 */
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { join, relative } from 'node:path'
import type { Cancel, Clock } from '../../clock.ts'

/** Editors and compilers write a file in several steps, and several files. */
const quietMs = 100

const isSource = (name: string): boolean =>
  /\.(?:[cm]?[jt]sx?|json)$/.test(name) && !/\.(?:test|spec)\./.test(name)

/** Folders that are not looked into. */
const isHidden = (name: string): boolean => name === 'node_modules' || name.startsWith('.')

/** The file that marks a data folder. */
const dataMark = 'keelson.json'

/** Folders, and the files of code in them, each with what changes when it is written. */
type Found = { readonly folders: string[]; readonly files: Map<string, string> }

/** Watches a folder and all within it, but for packages, tests and data. */
export class SourceWatch {
  readonly #root: string
  readonly #clock: Clock
  readonly #changed: (names: readonly string[]) => void
  readonly #watchers = new Map<string, FSWatcher>()
  #files: Found['files']
  #cancel: Cancel = () => undefined

  /** `changed` gets the names of the files that were written, made or removed, from `root` on. */
  constructor(root: string, clock: Clock, changed: (names: readonly string[]) => void) {
    this.#root = root
    this.#clock = clock
    this.#changed = changed
    this.#files = this.#look()
  }

  close(): void {
    this.#cancel()
    for (const watcher of this.#watchers.values()) watcher.close()
  }

  /** Reads the folder, and again if it has new folders: a file may be written before they are watched. */
  #look(): Found['files'] {
    for (;;) {
      const { folders, files } = foundIn(this.#root)
      for (const [folder, watcher] of this.#watchers)
        if (!folders.includes(folder)) {
          watcher.close()
          this.#watchers.delete(folder)
        }
      const unwatched = folders.filter((folder) => !this.#watchers.has(folder))
      if (unwatched.length === 0) return files
      for (const folder of unwatched) this.#watch(folder)
    }
  }

  #watch(folder: string): void {
    const watcher = watch(folder, () => this.#hint())
    // A folder that is removed, for example: the next look does not find it.
    watcher.on('error', () => this.#hint())
    this.#watchers.set(folder, watcher)
  }

  #hint(): void {
    this.#cancel()
    this.#cancel = this.#clock.after(quietMs, () => this.#compare())
  }

  #compare(): void {
    const before = this.#files
    this.#files = this.#look()
    const names = new Set([...before.keys(), ...this.#files.keys()])
    const changed = [...names].filter((name) => before.get(name) !== this.#files.get(name))
    if (changed.length > 0) this.#changed(changed.map((name) => relative(this.#root, name)).sort())
  }
}

const foundIn = (root: string): Found => {
  const found: Found = { folders: [], files: new Map() }
  const into = (folder: string): void => {
    const entries = readdirSync(folder, { withFileTypes: true })
    if (folder !== root && entries.some(({ name }) => name === dataMark)) return
    found.folders.push(folder)
    for (const entry of entries) {
      const path = join(folder, entry.name)
      if (entry.isDirectory() && !isHidden(entry.name)) ifThere(() => into(path))
      if (isSource(entry.name)) ifThere(() => found.files.set(path, markOf(path)))
    }
  }
  into(root)
  return found
}

const markOf = (path: string): string => {
  const { mtimeMs, size, ino } = statSync(path)
  return `${mtimeMs} ${size} ${ino}`
}

/** A file or folder may be removed between two looks at it. */
const ifThere = (look: () => unknown): void => {
  try {
    look()
  } catch {
    // It is gone, or may not be read: it is no source then.
  }
}
