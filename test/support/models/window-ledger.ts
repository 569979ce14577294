/**
 * The adds under windows of one queue, as their callers and its handler have seen them over all lives
 * of its program, and what of it breaks a promise (W10): the job of a window is made of the add that
 * the window keeps, starts in its time, and runs once in each life; its attributes are those of that
 * add; no more jobs run at once than the limit that was changed last. Adds of one key follow each other.
 */
import type { JobLook } from '../../../src/flow/index.ts'

/** The window of each key, by the options of an add. */
export const windowsOf = {
  last: { debounce: { key: 'last', ms: 2_000 } },
  bounded: { debounce: { key: 'bounded', ms: 2_000, maxMs: 5_000 } },
  first: { debounce: { key: 'first', ms: 1_000, keep: 'first' } },
  throttle: { throttle: { key: 'throttle', ms: 3_000 } },
  trailing: { throttle: { key: 'trailing', ms: 3_000, keep: 'last' } },
} as const

/** The name of a window, which is its key too. */
export type WindowName = keyof typeof windowsOf

/** Windows of these names, with other times. */
export type Windows = Readonly<Record<WindowName, WindowOptions>>

type WindowOptions = {
  readonly debounce?: { readonly ms: number; readonly maxMs?: number; readonly keep?: string }
  readonly throttle?: { readonly ms: number; readonly keep?: string }
}

/** The limit of the declaration. */
export const declaredConcurrency = 3

/** An add. Its number is its value, and grows. */
export type WindowAdd = {
  readonly number: number
  readonly window: WindowName
  readonly color: string
  /** In ms since 1970. */
  readonly askedAt: number
}

/** A job, by what was answered and what its handler got. */
class WindowJob {
  /** The adds that were answered with it; the first is the one that made it, if that was answered. */
  readonly adds: WindowAdd[] = []
  /** The answer to an add says that this add has made it. */
  madeBy: WindowAdd | undefined
  /** The number of the add that its handler got. */
  value: number | undefined
  begunIn: number | undefined
}

/** What happened to the jobs of one queue. */
export class WindowLedger {
  readonly wrong: string[] = []
  readonly #adds = new Map<number, WindowAdd>()
  readonly #jobs = new Map<string, WindowJob>()
  readonly #running = new Set<string>()
  readonly #windows: Windows
  #limits = new Set([declaredConcurrency])
  #life = 1

  constructor(windows: Windows = windowsOf) {
    this.#windows = windows
  }

  /** The queue has another life: nothing of the last one runs. */
  dies(): void {
    this.#life++
    this.#running.clear()
  }

  get life(): number {
    return this.#life
  }

  /** The jobs that are known. */
  get ids(): readonly string[] {
    return [...this.#jobs.keys()]
  }

  /** An add is asked for. */
  asks(add: WindowAdd): void {
    this.#adds.set(add.number, add)
  }

  /** An add is answered. */
  answered(number: number, id: string, isRepeated: boolean, isReplaced: boolean): void {
    const add = this.#adds.get(number) as WindowAdd
    const job = this.#job(id)
    const { keep, isDebounce, ms } = termsOf(this.#windows[add.window])
    const isBefore = job.value !== undefined && job.value !== number
    if (isDebounce && isBefore) this.#fails(id, `had begun, and got add ${number}`)
    if (keep === 'last' && isRepeated && !isReplaced) this.#fails(id, `did not take add ${number}`)
    if (keep === 'first' && isReplaced) this.#fails(id, `took add ${number}`)
    if (!isRepeated) {
      if (job.adds.length > 0) this.#fails(id, 'is the id of two jobs')
      job.madeBy = add
      const before = isDebounce || keep === 'last' ? undefined : this.#before(id, add)
      if (before && add.askedAt + answerMax < before.askedAt + ms)
        this.#fails(id, `was made ${add.askedAt - before.askedAt} ms after the job before`)
    }
    job.adds.push(add)
    this.#judgeValue(id, job)
  }

  /** The add that made the job before this one, under the same key, as far as is known. */
  #before(id: string, { window }: WindowAdd): WindowAdd | undefined {
    const made = [...this.#jobs].flatMap(([other, { madeBy }]) =>
      madeBy?.window === window && Number(other) < Number(id) ? madeBy : [],
    )
    return made.reduce<WindowAdd | undefined>(
      (last, add) => (last && last.number > add.number ? last : add),
      undefined,
    )
  }

  /** A handler begins with the value of an add. */
  begins(id: string, number: number, at: number): void {
    const add = this.#adds.get(number)
    const job = this.#job(id)
    if (!add) {
      this.#fails(id, `runs with ${number}, which nobody has added`)
      return
    }
    if (job.begunIn === this.#life) this.#fails(id, 'runs twice in one life')
    if (job.value !== undefined && job.value !== number)
      this.#fails(id, `ran with ${job.value}, and runs with ${number}`)
    job.begunIn = this.#life
    const isFirst = job.value === undefined
    job.value = number
    this.#judgeValue(id, job)
    if (isFirst) this.#judgeTime(id, job, add, at)
    this.#running.add(id)
    const most = Math.max(...this.#limits)
    if (this.#running.size > most) this.#fails(id, `is one of ${this.#running.size} of ${most}`)
  }

  /** The job is made of the last add that was answered, or of the first one, or of one without an answer. */
  #judgeValue(id: string, { value, adds }: WindowJob): void {
    const add = value === undefined ? undefined : this.#adds.get(value)
    if (value === undefined || !add) return
    const { keep } = termsOf(this.#windows[add.window])
    const odd = adds.find((each) =>
      each.window !== add.window || keep === 'last' ? each.number > value : each.number < value,
    )
    if (odd) this.#fails(id, `of ${add.window} is made of add ${value}, and not of ${odd.number}`)
  }

  #judgeTime(id: string, { adds }: WindowJob, { window }: WindowAdd, at: number): void {
    const { isDebounce, ms, maxMs } = termsOf(this.#windows[window])
    const [first] = adds
    const last = adds.at(-1)
    if (isDebounce && first && last && at < Math.min(last.askedAt + ms, first.askedAt + maxMs))
      this.#fails(id, `starts ${at - last.askedAt} ms after its last add`)
    const before = first && !isDebounce ? this.#before(id, first) : undefined
    if (before && at < before.askedAt + ms)
      this.#fails(id, `starts ${at - before.askedAt} ms after the add of the job before`)
  }

  /** A handler has ended. */
  ends(id: string): void {
    this.#running.delete(id)
  }

  /** A change of the limit is asked for; `null`: the declared one. */
  limits(concurrency: number | null): void {
    this.#limits.add(concurrency ?? declaredConcurrency)
  }

  /** A change is answered: it holds until the next one. */
  limited(concurrency: number | null): void {
    this.#limits = new Set([concurrency ?? declaredConcurrency])
  }

  /** The limit that holds, as it was answered. */
  limitShown(concurrency: number): void {
    if (!this.#limits.has(concurrency))
      this.wrong.push(`W10: the limit is ${concurrency}, and not ${[...this.#limits].join(' or ')}`)
  }

  /** Judges the end of all lives: every job is done. `listed`: the jobs with each color. */
  judgeEnd(looks: ReadonlyMap<string, JobLook | undefined>, listed: Colors): void {
    for (const [id, job] of this.#jobs) {
      const look = looks.get(id)
      if (look?.state !== 'done') {
        this.#fails(id, `is ${look?.state ?? 'lost'} in the end`)
        continue
      }
      if (job.value !== look.result)
        this.#fails(id, `has ${look.result}, and ran with ${job.value}`)
      const own = this.#adds.get(look.result as number)?.color
      for (const [color, ids] of Object.entries(listed))
        if (ids.includes(id) !== (color === own))
          this.#fails(id, `has the color ${own}, and is listed with ${color}: ${ids.includes(id)}`)
    }
  }

  #job(id: string): WindowJob {
    const job = this.#jobs.get(id) ?? new WindowJob()
    this.#jobs.set(id, job)
    return job
  }

  #fails(id: string, text: string): void {
    this.wrong.push(`W10: job ${id} ${text}`)
  }
}

/** The ids of the jobs that are listed with each color. */
export type Colors = Readonly<Record<string, readonly string[]>>

/** An answer may come so much later than the turn in which its add was made, in ms. */
const answerMax = 120_000

const termsOf = ({ debounce, throttle }: WindowOptions) => {
  const { ms } = (debounce ?? throttle) as { ms: number }
  const keep = (debounce ?? throttle)?.keep ?? (debounce ? 'last' : 'first')
  return { keep, isDebounce: debounce !== undefined, ms, maxMs: debounce?.maxMs ?? 1e15 }
}
