/**
 * Notes of the work that members are doing at this moment without a call: an alarm, a step. When a process ends, its note stays. So the owner that comes after it knows
 * which work two processes have ended under, and does not begin it a third time.
 *
 * A note is never synced: it outlives the process, not the machine. A power cut ends all members at
 * once, and blames no work.
 */
import type { Clock } from '../../clock.ts'
import { attempt, type Disk, type DiskFile, pathIn, readWhole } from '../../storage/index.ts'

/** Its folder in the data folder: a file for each member, and one for each end of a member. */
const workNotesName = 'at-work'

/**
 * Separates the member's name and the incarnation in the name of an end's file. No member's name
 * has this character.
 */
const endMark = '~'

/** The time for which a note counts, in ms. */
const noteKeptMs = 3_600_000

/**
 * Whether a note of this time blames its work for the end of the process. A note older than an hour
 * does not: a later program may be running. A note from over an hour in the future does not either:
 * if a clock was years ahead, its notes would blame for years.
 */
export const isBlaming = (at: number, now: number): boolean => Math.abs(now - at) < noteKeptMs

/** The characters of a note. An actor and its step have fewer. */
const noteMax = 1_100

/** Some work, as a note has it. */
export const workIn = (work: string): string => work.slice(0, noteMax)

/** The work that the last start of a member had begun when its process ended. @throws DiskError */
export const noteLeft = (
  disk: Disk,
  folder: string,
  member: string,
): { readonly work: string; readonly at: number } | undefined => {
  const path = pathIn(pathIn(folder, workNotesName), member)
  return disk.entry(path) ? noteIn(readWhole(disk, path)) : undefined
}

/** Removes it, when it is known elsewhere. @throws DiskError */
export const removeNote = (disk: Disk, folder: string, member: string): void =>
  disk.remove(pathIn(pathIn(folder, workNotesName), member))

const noteIn = (bytes: Uint8Array): { readonly work: string; readonly at: number } | undefined => {
  const text = Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString()
  const [at, ...work] = text.split(' ')
  return text === '' ? undefined : { work: work.join(' '), at: Number(at) }
}

/** The notes of one member, while it holds the lock of its name. */
export class WorkNotes {
  readonly #disk: Disk
  readonly #dir: string
  readonly #clock: Clock
  readonly #file: DiskFile
  readonly #member: string
  /** By the work: how many ends there are under it. */
  readonly #ends = new Map<string, number>()

  /** Opens them. `incarnation` is that of this start of the member. @throws DiskError */
  constructor(disk: Disk, folder: string, clock: Clock, member: string, incarnation: string) {
    this.#disk = disk
    this.#dir = pathIn(folder, workNotesName)
    this.#clock = clock
    this.#member = member
    disk.makeFolder(this.#dir)
    const own = pathIn(this.#dir, member)
    if (disk.entry(own)) disk.rename(own, `${own}${endMark}${incarnation}`)
    this.#file = disk.open(own, 'create')
  }

  /** Some work begins. Nothing else does before `over`. A note that cannot be written is not missed. */
  begins(work: string): void {
    const note = Buffer.from(`${this.#clock.now()} ${workIn(work)}\0`)
    attempt(() => void this.#file.write(note, 0))
  }

  /** It has let other work begin. */
  over(): void {
    attempt(() => void this.#file.write(nothing, 0))
  }

  /** Reads which work members ended under. `alive`: the others whose processes live. @throws DiskError */
  look(alive: ReadonlySet<string>): void {
    const names = this.#disk.list(this.#dir)
    this.#ends.clear()
    for (const name of names) {
      if (name === this.#member || alive.has(name)) continue
      // Another member may have removed it, or given it another name, since it was listed.
      attempt(() => {
        const work = this.#workOf(name)
        if (work !== undefined) this.#ends.set(work, this.endsUnder(work) + 1)
      })
    }
  }

  /** How many processes have ended under this work, as the last look saw it. */
  endsUnder(work: string): number {
    return this.#ends.get(workIn(work)) ?? 0
  }

  /**
   * The work is parked: what comes after that counts from zero. The folder is listed again: a member
   * that has come back since the last look has given the note of its end another name.
   * @throws DiskError
   */
  forget(work: string): void {
    for (const name of this.#disk.list(this.#dir))
      if (name !== this.#member && this.#workOf(name) === workIn(work))
        this.#disk.remove(pathIn(this.#dir, name))
    this.#ends.delete(workIn(work))
  }

  /** The member ends in order, whatever the disk does: a note without work is none. */
  close(): void {
    attempt(() => this.#file.close())
    attempt(() => this.#disk.remove(pathIn(this.#dir, this.#member)))
  }

  /** The work in a note; a note without any is removed if its member cannot come back to it. */
  #workOf(name: string): string | undefined {
    const path = pathIn(this.#dir, name)
    const note = this.#disk.entry(path) ? noteIn(readWhole(this.#disk, path)) : undefined
    if (note && isBlaming(note.at, this.#clock.now())) return note.work
    if (name.includes(endMark)) this.#disk.remove(path)
    return undefined
  }
}

const nothing = Uint8Array.of(0)
