/**
 * The notes of the work that a member of an engine does without a call. The present one is on its own
 * disk, where it costs no request. The ends that the directory has are counted: `ended-work.ts`.
 */
import type { WorkLedger } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError } from '../../errors.ts'
import type { Directory, DirectoryView, Disk } from '../../storage/index.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'
import { isBlaming, noteLeft, removeNote, WorkNotes, workIn } from '../placement/work-notes.ts'

/** A member, its cache, and the directory. */
export type EngineNotesParts = {
  readonly ends: EngineStorage['ends']
  readonly directory: Directory
  readonly calls: Pick<InstanceType<EngineStorage['EngineCalls']>, 'ask'>
  readonly disk: Disk
  readonly clock: Clock
  readonly dir: string
  readonly member: string
}

type Steps = (view: DirectoryView) => ReturnType<EngineStorage['ends']['forgetting']>

/**
 * Lets the others know under which work the last start of this member has ended. Its process is over. The
 * others may take its shards soon: nothing is awaited before it.
 */
export const tellLastEnd = async (parts: EngineNotesParts): Promise<void> => {
  const { ends, disk, dir, member, clock } = parts
  const end = noteLeft(disk, dir, member)
  if (!end) return
  await carriedOut(parts, (view) => {
    const step = ends.noting(view, member, end, (at) => isBlaming(at, clock.now()))
    return step ? [step] : []
  })
  removeNote(disk, dir, member)
}

/** Makes changes until there is none to make. */
const carriedOut = async (
  { directory, calls }: Pick<EngineNotesParts, 'directory' | 'calls'>,
  stepsOf: Steps,
): Promise<void> => {
  for (;;) {
    const [step] = stepsOf(await calls.ask(() => directory.view()))
    if (!step) return
    try {
      await calls.ask(() => directory.set(step.name, step.revision, step.value))
    } catch (error) {
      // Another member was first, or an earlier attempt without an answer was.
      if (!isKeelsonError(error, 'CONFLICT')) throw error
    }
  }
}

/** The notes of one start of a member, while it holds the lock of its cache. */
export class EngineNotes implements WorkLedger {
  readonly #parts: EngineNotesParts
  readonly #own: WorkNotes
  readonly #forgotten = new Set<string>()
  #ends: ReadonlyMap<string, string> = new Map()

  /** @throws DiskError */
  constructor(parts: EngineNotesParts, incarnation: string) {
    const { disk, dir, clock, member } = parts
    this.#parts = parts
    this.#own = new WorkNotes(disk, dir, clock, member, incarnation)
  }

  begins(work: string): void {
    this.#own.begins(work)
  }

  over(): void {
    this.#own.over()
  }

  /** The directory has changed. @throws KeelsonError `CORRUPT` for a damaged entry */
  saw(view: DirectoryView): void {
    const { ends, clock } = this.#parts
    this.#ends = ends.endsIn(view, (at) => isBlaming(at, clock.now()))
  }

  endsUnder(work: string): number {
    return this.#under(work).length
  }

  forget(work: string): void {
    for (const key of this.#under(work)) this.#forgotten.add(key)
    // Without an answer of the engine this member ends, or asks on.
    carriedOut(this.#parts, (view) => this.#parts.ends.forgetting(view, workIn(work))).catch(
      () => undefined,
    )
  }

  /** The member ends in order. */
  close(): void {
    this.#own.close()
  }

  /** The keys of the ends under some work that count. */
  #under(work: string): readonly string[] {
    return [...this.#ends].flatMap(([key, each]) =>
      each === workIn(work) && !this.#forgotten.has(key) ? [key] : [],
    )
  }
}
