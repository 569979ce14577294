/**
 * The changes of a shard's keys, as its applier makes them, for watchers. A frame is shown after it
 * was applied, with the rows as they are then. Without a watcher it costs one comparison a frame.
 */
import {
  type Command,
  type CommandAnswer,
  commandsOf,
  type FrameUnits,
  living,
  namedKeys,
  type Row,
  type Rows,
  type UnitAnswer,
  unitsIn,
} from '../../storage/index.ts'

/**
 * The change of a command: keys, or all keys of a namespace (`undefined`: of the shard). `ended`:
 * it changed only the keys that have no value now.
 */
export type Touched =
  | { readonly kind: 'keys'; readonly keys: readonly string[]; readonly ended: boolean }
  | { readonly kind: 'clear'; readonly namespace: string | undefined }

/** A change of one key to a row, or to none; or the removal of a namespace. */
export type KeyChange = {
  readonly lsn: number
  /** The stamp of the frame, in ms. */
  readonly time: number
} & (
  | { readonly kind: 'key'; readonly key: string; readonly row: Row | undefined }
  | { readonly kind: 'clear'; readonly namespace: string | undefined }
)

/** An applied frame. `answers` says which of its units were refused. */
export type AppliedFrame = {
  readonly lsn: number
  readonly time: number
  readonly units: FrameUnits
  readonly answers: readonly UnitAnswer[]
  readonly rows: Rows
}

/** An applied frame as listeners are shown it. It is read before the next one is applied. */
export class ShownFrame {
  readonly frame: AppliedFrame
  #changes: readonly KeyChange[] | undefined

  constructor(frame: AppliedFrame) {
    this.frame = frame
  }

  /** Its changes of keys; none if it changed no key. */
  get changes(): readonly KeyChange[] {
    this.#changes ??= changesOf(this.frame)
    return this.#changes
  }
}

/** A listener to the changes of a shard. */
export type ChangeListener = {
  readonly applied: (shown: ShownFrame) => void
  /** Frames may have been applied that were not shown: the listener reads the log for them. */
  readonly missed: () => void
}

/** The listeners to one shard. */
export class ShardChanges {
  readonly #listeners = new Set<ChangeListener>()

  /** Whether there is a listener. */
  get isWatched(): boolean {
    return this.#listeners.size > 0
  }

  /** Adds a listener. Returns the function that removes it. */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Shows a frame that was applied just now. */
  show(frame: AppliedFrame): void {
    const shown = new ShownFrame(frame)
    for (const { applied } of this.#listeners) applied(shown)
  }

  /** The applier has rebuilt its rows from the log. */
  rebuilt(): void {
    for (const { missed } of this.#listeners) missed()
  }
}

/**
 * The changes that the units of a frame may have made, in order. With `answers` commands without an
 * effect are left out; the log alone does not show which had one. A turn changes the keys that it
 * writes. Pure.
 */
export function* touchedBy(
  units: FrameUnits,
  answers?: readonly UnitAnswer[],
): IterableIterator<Touched> {
  let at = 0
  for (const unit of unitsIn(units)) {
    const answer = answers?.[at++]
    if (answer?.kind === 'refused') continue
    const each = answer && 'answers' in answer ? answer.answers : [answer]
    for (const [index, command] of commandsOf(unit).entries())
      if (hasEffect(command, each[index] as CommandAnswer | undefined)) yield touchedByOne(command)
  }
}

const touchedByOne = (command: Command): Touched => {
  if (command.kind === 'clear') return { kind: 'clear', namespace: command.namespace }
  return { kind: 'keys', keys: namedKeys(command), ended: command.kind === 'removeExpired' }
}

const lockCommands: ReadonlySet<Command['kind']> = new Set(['lock', 'extend', 'unlock'])

/** Whether a command can have changed a value. A lock and an empty patch never do. */
const hasEffect = (command: Command, answer: CommandAnswer | undefined): boolean => {
  if (lockCommands.has(command.kind)) return false
  if (command.kind === 'setRange' && command.patch.bytes.length === 0) return false
  switch (answer?.kind) {
    case 'set':
      return answer.written
    case 'compareAndSet':
      return answer.swapped
    case 'deleteField':
    case 'expire':
    case 'persist':
      return answer.existed
    case 'removeExpired':
      return answer.removed > 0
    default:
      // A removal without a result may have taken a value away that had expired.
      return true
  }
}

/** The changes of an applied frame: of each key the last one. */
const changesOf = ({ lsn, time, units, answers, rows }: AppliedFrame): readonly KeyChange[] => {
  const changes = new Map<string, KeyChange>()
  for (const touched of touchedBy(units, answers)) {
    if (touched.kind === 'clear') {
      changes.set(`\0${touched.namespace}`, { lsn, time, ...touched })
      continue
    }
    for (const key of touched.keys) {
      const row = living(rows.get(key), time)
      if (row && touched.ended) continue
      changes.delete(key)
      changes.set(key, { lsn, time, kind: 'key', key, row })
    }
  }
  return [...changes.values()]
}
