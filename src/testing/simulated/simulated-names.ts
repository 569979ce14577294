/**
 * The names of the simulated disk: folders, the files in them, and the changes that no `syncFolder`
 * has made durable yet. A change is atomic: a rename removes and sets at once. Changes of one name
 * reach the disk in order, changes of different names in any order. Journaling file systems promise
 * that, and no more. They are apart from `simulated-disk.ts`, which has the bytes, because they
 * reach the disk in an order of their own.
 */
import { posix } from 'node:path'
import { Refusal } from './simulated-faults.ts'
import type { SimulatedFile } from './simulated-file.ts'

/** A folder: its names as a process sees them, and those on the disk. */
export class SimulatedFolder {
  readonly kind = 'folder'
  names = new Map<string, SimulatedNode>()
  durable = new Map<string, SimulatedNode>()
}

/** The file or folder of a name. */
export type SimulatedNode = SimulatedFile | SimulatedFolder

/** One name and its new file or folder. `undefined` removes the name. */
export type NameSetting = readonly [
  folder: SimulatedFolder,
  name: string,
  node: SimulatedNode | undefined,
]

/** Settings that take effect together. */
type NameChange = {
  readonly settings: readonly NameSetting[]
  /** The folders whose sync is missing before the change is durable. */
  readonly unsynced: Set<SimulatedFolder>
}

/** A tree of folders with its unsynced changes, in the order in which they were made. */
export class SimulatedNames {
  readonly root: SimulatedFolder
  #pending: NameChange[] = []
  readonly #identities = new WeakMap<SimulatedNode, string>()
  #lastIdentity = 0

  constructor(root = new SimulatedFolder()) {
    this.root = root
  }

  /** The file or folder at `path`, or `undefined`. */
  find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.root
    for (const name of parts(path))
      node = node?.kind === 'folder' ? node.names.get(name) : undefined
    return node
  }

  /** The number of the file or folder at `path`. A rename does not change it. */
  identity(path: string): string | undefined {
    const node = this.find(path)
    if (!node) return undefined
    const known = this.#identities.get(node) ?? `${++this.#lastIdentity}`
    this.#identities.set(node, known)
    return known
  }

  /** The folder at `path`. Refuses with `ENOENT` or `ENOTDIR`. */
  folder(path: string): SimulatedFolder {
    let node: SimulatedNode = this.root
    for (const name of parts(path)) {
      const next: SimulatedNode | undefined = folderOrRefuse(node).names.get(name)
      if (!next) throw new Refusal('ENOENT')
      node = next
    }
    return folderOrRefuse(node)
  }

  /** The folder of `path` and its last name. Refuses with `ENOENT` or `ENOTDIR`. */
  place(path: string): readonly [folder: SimulatedFolder, name: string] {
    return [this.folder(posix.dirname(path)), posix.basename(path)]
  }

  /**
   * Makes a folder and those above it. Refuses with `EEXIST` or `ENOTDIR` where a file is in the
   * way.
   */
  makeFolder(path: string): void {
    const names = parts(path)
    let folder = this.root
    for (const [index, name] of names.entries()) {
      const next = folder.names.get(name) ?? new SimulatedFolder()
      if (next.kind === 'file') throw new Refusal(index === names.length - 1 ? 'EEXIST' : 'ENOTDIR')
      if (!folder.names.has(name)) this.change([folder, name, next])
      folder = next
    }
  }

  /** Refuses where rename(2) does. */
  rename(from: string, to: string): void {
    const [fromFolder, fromName] = this.place(from)
    const [toFolder, toName] = this.place(to)
    const node = fromFolder.names.get(fromName)
    const replaced = toFolder.names.get(toName)
    if (!node) throw new Refusal('ENOENT')
    if (node === replaced) return
    if (node.kind === 'folder' && isWithin(node, toFolder)) throw new Refusal('EINVAL')
    if (replaced) refuseReplacing(node, replaced)
    this.change([fromFolder, fromName, undefined], [toFolder, toName, node])
  }

  /** Removes a file or folder, its contents first. Each name is a separate change. */
  remove(path: string): void {
    const node = this.find(path)
    if (!node) return
    if (node === this.root) throw new Refusal('EBUSY')
    if (node.kind === 'folder')
      for (const name of [...node.names.keys()].sort()) this.remove(posix.join(path, name))
    this.change([...this.place(path), undefined])
  }

  /** Makes a change. It is visible at once, and durable when each folder in it was synced. */
  change(...settings: NameSetting[]): void {
    for (const [folder, name, node] of settings) put(folder.names, name, node)
    this.#pending.push({ settings, unsynced: new Set(settings.map(([folder]) => folder)) })
  }

  /** Makes the changes in `folder` durable, and the earlier changes that they need. */
  sync(folder: SimulatedFolder): void {
    for (const change of this.#pending) change.unsynced.delete(folder)
    const needed = new SettingSet()
    const certain = new Set<NameChange>()
    for (const change of this.#pending.toReversed())
      if (change.unsynced.size === 0 || needed.meets(change)) {
        certain.add(change)
        needed.add(change)
      }
    for (const change of this.#pending) if (certain.has(change)) makeDurable(change)
    this.#pending = this.#pending.filter((change) => !certain.has(change))
  }

  /**
   * Cuts the power. An unsynced change survives if `kept` says so and no change that it needs was
   * lost.
   */
  crash(kept: () => boolean): void {
    const lost = new SettingSet()
    for (const change of this.#pending) {
      const survives = kept()
      if (survives && !lost.meets(change)) makeDurable(change)
      else lost.add(change)
    }
    this.#pending = []
    restore(this.root)
  }

  /** All files and folders that a process can see, without the root. */
  *nodes(from = this.root): Generator<SimulatedNode> {
    for (const node of from.names.values()) {
      yield node
      if (node.kind === 'folder') yield* this.nodes(node)
    }
  }

  clone(): SimulatedNames {
    const copies = new Map<SimulatedNode, SimulatedNode>()
    const copyFolder = (folder: SimulatedFolder): SimulatedFolder => {
      const known = copies.get(folder)
      if (known?.kind === 'folder') return known
      const copy = new SimulatedFolder()
      copies.set(folder, copy)
      for (const [name, node] of folder.names) copy.names.set(name, copyNode(node))
      for (const [name, node] of folder.durable) copy.durable.set(name, copyNode(node))
      return copy
    }
    const copyNode = (node: SimulatedNode): SimulatedNode => {
      if (node.kind === 'folder') return copyFolder(node)
      const copy = copies.get(node) ?? node.clone()
      copies.set(node, copy)
      return copy
    }
    const copy = new SimulatedNames(copyFolder(this.root))
    copy.#pending = this.#pending.map((change) => ({
      settings: change.settings.map(
        ([folder, name, node]) => [copyFolder(folder), name, node && copyNode(node)] as const,
      ),
      unsynced: new Set([...change.unsynced].map(copyFolder)),
    }))
    return copy
  }
}

/** The names in some changes. */
class SettingSet {
  readonly #names = new Map<SimulatedFolder, Set<string>>()

  add(change: NameChange): void {
    for (const [folder, name] of change.settings) {
      const names = this.#names.get(folder) ?? new Set()
      this.#names.set(folder, names.add(name))
    }
  }

  meets(change: NameChange): boolean {
    return change.settings.some(([folder, name]) => this.#names.get(folder)?.has(name) ?? false)
  }
}

const parts = (path: string): string[] =>
  posix
    .resolve('/', path)
    .split('/')
    .filter((name) => name !== '')

const folderOrRefuse = (node: SimulatedNode): SimulatedFolder => {
  if (node.kind === 'file') throw new Refusal('ENOTDIR')
  return node
}

const isWithin = (outer: SimulatedFolder, folder: SimulatedFolder): boolean =>
  outer === folder ||
  [...outer.names.values()].some((node) => node.kind === 'folder' && isWithin(node, folder))

const refuseReplacing = (node: SimulatedNode, replaced: SimulatedNode): void => {
  if (node.kind === 'file' && replaced.kind === 'folder') throw new Refusal('EISDIR')
  if (node.kind === 'folder' && replaced.kind === 'file') throw new Refusal('ENOTDIR')
  if (replaced.kind === 'folder' && replaced.names.size > 0) throw new Refusal('ENOTEMPTY')
}

/** After a power cut a folder shows its durable names, and so do the folders in it. */
const restore = (folder: SimulatedFolder): void => {
  folder.names = new Map(folder.durable)
  for (const node of folder.names.values()) if (node.kind === 'folder') restore(node)
}

const makeDurable = (change: NameChange): void => {
  for (const [folder, name, node] of change.settings) put(folder.durable, name, node)
}

const put = (
  names: Map<string, SimulatedNode>,
  name: string,
  node: SimulatedNode | undefined,
): void => {
  if (node) names.set(name, node)
  else names.delete(name)
}
