/** How the verdicts of a rehearsal become findings. Pure. */
import type { Level, Verdict } from '../../actors/index.ts'

/** A verdict with the actor that it is about. `kind`: as users say it, such as `workflow order`. */
export type Found = Verdict & { readonly kind: string; readonly id: string }

/** A finding of a rehearsal: all verdicts of one sort about one kind of actors. */
export type Finding = {
  /** `blocks`: it stops; `acts`: it acts otherwise, or data go; `notes`: worth a look. */
  readonly level: Level
  /** The sort, such as `DIVERGED` or `would wait otherwise`. */
  readonly what: string
  /** Such as `workflow order`, `entity account` or `worker mailer`. */
  readonly kind: string
  /** How many runs or actors it is about. */
  readonly count: number
  /** At most 10 of them, in the order of their ids. */
  readonly examples: readonly { readonly id: string; readonly reason: string }[]
  /** The remedy. */
  readonly fix: string
}

const examplesMax = 10

const levels: readonly Level[] = ['blocks', 'acts', 'notes']

/** Whether a level is as bad as another one, or worse. */
export const isAtLeast = (level: Level, other: Level): boolean =>
  levels.indexOf(level) <= levels.indexOf(other)

/** Findings that grow. Which ones there are, and in which order, does not depend on the order of the verdicts. */
export class Findings {
  readonly #all = new Map<string, { count: number; examples: Finding['examples']; of: Found }>()

  add(found: Found): void {
    const { level, what, kind, id, reason } = found
    const key = [levels.indexOf(level), kind, what].join('\0')
    const known = this.#all.get(key) ?? { count: 0, examples: [], of: found }
    known.count++
    if (!known.examples.some((each) => each.id === id && each.reason === reason))
      known.examples = [...known.examples, { id, reason }].sort(byId).slice(0, examplesMax)
    this.#all.set(key, known)
  }

  /** The worst first. */
  get list(): readonly Finding[] {
    return [...this.#all]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, { count, examples, of }]) => {
        const { level, what, kind, fix } = of
        return { level, what, kind, count, examples, fix }
      })
  }
}

type Example = Finding['examples'][number]

const byId = (one: Example, other: Example): number =>
  one.id < other.id ? -1 : Number(one.id > other.id)
