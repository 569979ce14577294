/**
 * The crashes of processes, those with one error as one record: the error with its causes and the
 * frames of the user, how often it came, and when first and last. So a crash loop is one line, and
 * hides nothing. Bounded, and lost with the process. Pure; it is apart from `records.ts` because a
 * record counts for as long as its error comes back, and a ring forgets.
 */
import type { KeptError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { isError } from '../../thrown.ts'

/** Whose code failed: the handler of a server or of an actor, a machine, or a task. */
export type CrashedPart = 'handler' | 'machine' | 'task'

/** The crashes of one process, or of those of its name, with one error. Times are in ms since 1970. */
export type CrashRecord = {
  readonly what: CrashedPart
  /** The name of the process. */
  readonly subject: string
  /** The number of the last one. */
  readonly pid: number
  /** The names and numbers of the processes above it, the nearest first. */
  readonly starters: readonly string[]
  readonly count: number
  readonly firstAt: number
  readonly lastAt: number
  /** Of the last one, the reason in one line, and its report. */
  readonly reason: string
  readonly lastMessage: string
  readonly text: string
  /** The record of its error; `undefined` if the reason is none. */
  readonly error: KeptError | undefined
}

/** The line of a crash. */
type Line = { readonly at: number; readonly subject: string; readonly text: string } & {
  readonly reason?: string
  readonly lastMessage?: string
}

/** Whose code fails in a process of this kind. */
export const partOf = (process: string): CrashedPart =>
  process === 'machine' || process === 'task' ? process : 'handler'

/** The facts about a crash that its line does not have. */
type Crashed = {
  /** The kind of the process. */
  readonly process: string
  readonly pid: number
  readonly starters: readonly string[]
  readonly thrown: unknown
}

/** So many records are kept: of more, the one that came back last stays. */
const recordsMax = 100

/** The crashes of a System. */
export class CrashRecords {
  readonly #byKey = new Map<string, CrashRecord>()

  /** Records one. */
  add({ at, subject, text, reason = '', lastMessage = '' }: Line, crashed: Crashed): void {
    const { process, pid, starters, thrown } = crashed
    const key = `${subject}\n${reason.replace(/\d+/g, '0')}`
    const before = this.#byKey.get(key)
    this.#byKey.delete(key)
    this.#byKey.set(key, {
      what: partOf(process),
      subject,
      pid,
      starters,
      count: (before?.count ?? 0) + 1,
      firstAt: before?.firstAt ?? at,
      lastAt: at,
      reason,
      lastMessage,
      text,
      error: isError(thrown) ? failureRecord(thrown) : undefined,
    })
    if (this.#byKey.size <= recordsMax) return
    for (const oldest of this.#byKey.keys()) {
      this.#byKey.delete(oldest)
      return
    }
  }

  /** All of them; the one that came last is the last. */
  get all(): readonly CrashRecord[] {
    return [...this.#byKey.values()]
  }

  /**
   * The crashes of a process, by its name or its number as `<7>`. If it has none, of the processes
   * that it has started: it ended because they did.
   */
  of(title: string): readonly CrashRecord[] {
    const own = this.all.filter(
      ({ subject, pid }) => isTitle(title, subject) || `<${pid}>` === title,
    )
    if (own.length > 0) return own
    return this.all.filter(({ starters }) => starters.some((each) => isTitle(title, each)))
  }
}

/** Health has a child with its supervisor: `app/mailer`. */
const isTitle = (title: string, subject: string): boolean =>
  title === subject || title.endsWith(`/${subject}`)
