/**
 * The thread of a simulated host, which may die while its process lives: at a call to the disk, or
 * between two requests. The call at which it dies has no effect, and its files are closed, as Node
 * closes those of a thread that has ended. Its host refuses every request from then on. It is apart
 * from `simulated-machine.ts` because it knows one host, and no instance.
 */
import { KeelsonError } from '../../errors.ts'
import type { Disk, DiskFile } from '../../storage/index.ts'

/** The roles of threads that a machine may end. */
export type ThreadRole = 'log' | 'blobs' | 'snapshots'

/** A host as every role has one. */
type Host = {
  run(kind: never, request: never, more?: never): Promise<unknown>
  end(): Promise<void>
}

/** One thread, from its start to its end. */
export class SimulatedThread {
  readonly role: ThreadRole
  /** The disk as this thread has it. */
  readonly disk: Disk
  /** Resolves when it has died; never once its host has ended. */
  readonly died: Promise<KeelsonError>
  #resolveDied: (error: KeelsonError) => void = () => undefined
  #callsLeft = Number.POSITIVE_INFINITY
  #state: 'alive' | 'dead' | 'ended' = 'alive'
  readonly #open = new Set<{ close(): void }>()
  readonly #refusals = new Set<(error: KeelsonError) => void>()

  constructor(disk: Disk, role: ThreadRole) {
    this.role = role
    this.disk = this.#mortal(disk)
    this.died = new Promise((resolve) => {
      this.#resolveDied = resolve
    })
  }

  get isAlive(): boolean {
    return this.#state === 'alive'
  }

  /** It dies at the `calls`th call to the disk from now on. */
  dieAt(calls: number): void {
    this.#callsLeft = calls
  }

  /** It dies now. */
  die(): void {
    if (this.#state !== 'alive') return
    this.#state = 'dead'
    const error = deathOf(this.role)
    this.#closeFiles()
    this.#resolveDied(error)
    for (const refuse of [...this.#refusals]) refuse(error)
  }

  /** The host whose work this thread does. */
  host<H extends Host>(inner: H): H & { readonly died: Promise<KeelsonError> } {
    const run = (...request: Parameters<Host['run']>): Promise<unknown> =>
      new Promise((resolve, reject) => {
        if (this.#state === 'dead') return reject(deathOf(this.role))
        const settle = (action: () => void): void => {
          if (this.#refusals.delete(refuse)) action()
        }
        const refuse = (error: KeelsonError): void => settle(() => reject(error))
        this.#refusals.add(refuse)
        inner.run(...request).then(
          (answer) => settle(() => resolve(answer)),
          (error: unknown) => settle(() => reject(error)),
        )
      })
    const end = async (): Promise<void> => {
      if (this.#state === 'dead') await inner.end().catch(() => undefined)
      else {
        this.#state = 'ended'
        await inner.end()
      }
    }
    return { died: this.died, run, end } as H & { readonly died: Promise<KeelsonError> }
  }

  #closeFiles(): void {
    for (const file of this.#open) file.close()
    this.#open.clear()
  }

  /** Counts a call to the disk. @throws Error of a thread that has died */
  #call(): void {
    if (this.#state === 'alive' && --this.#callsLeft <= 0) this.die()
    if (this.#state === 'dead') throw new Error(`the thread of the ${this.role} has died`)
  }

  #mortal(disk: Disk): Disk {
    const called = <A extends readonly unknown[], R>(call: (...given: A) => R) =>
      ((...given: A): R => {
        this.#call()
        return call(...given)
      }) as (...given: A) => R
    return {
      open: called((path, mode) => this.#file(disk.open(path, mode))),
      openFolder: called((path) => {
        const folder = disk.openFolder(path)
        return { sync: called(() => folder.sync()), close: this.#closer(folder) }
      }),
      entry: called((path) => disk.entry(path)),
      identity: called((path) => disk.identity(path)),
      list: called((path) => disk.list(path)),
      makeFolder: called((path) => disk.makeFolder(path)),
      rename: called((from, to) => disk.rename(from, to)),
      remove: called((path) => disk.remove(path)),
      syncFolder: called((path) => disk.syncFolder(path)),
      free: called((path) => disk.free(path)),
      isVolatile: called((path) => disk.isVolatile(path)),
      lock: called((path, holder) => disk.lock(path, holder)),
    }
  }

  #file(file: DiskFile): DiskFile {
    const call = (): void => this.#call()
    return {
      get path() {
        return file.path
      },
      size() {
        call()
        return file.size()
      },
      read(into, offset) {
        call()
        return file.read(into, offset)
      },
      write(bytes, offset) {
        call()
        return file.write(bytes, offset)
      },
      sync() {
        call()
        file.sync()
      },
      truncate(size) {
        call()
        file.truncate(size)
      },
      rename(path) {
        call()
        file.rename(path)
      },
      close: this.#closer(file),
    }
  }

  /** Notes an open file. Those of a thread that has died are closed already. */
  #closer(file: { close(): void }): () => void {
    this.#open.add(file)
    return () => {
      if (this.#open.delete(file)) file.close()
    }
  }
}

const deathOf = (role: ThreadRole): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `the thread of the ${role} died`, {
    details: { reason: 'thread' },
  })
