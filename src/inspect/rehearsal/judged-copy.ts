/**
 * A rehearsal on an opened copy: the reader sends its actors in lots to a judge, and with `against` to a
 * second one, whose findings are no news. A lot whose judge is lost is judged again one by one, so that
 * the run is named. It is apart from the processes, which know nothing of lots.
 */
import type { RecordedTurn } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import {
  Findings,
  type Found,
  type RehearsalReport,
  type RehearsedParts,
  type StoredFacts,
  type StoredPart,
} from '../../flow/index.ts'
import { type Answered, JudgeProcess, type JudgeTerms, type Lost } from './judge-process.ts'

/** The data and the builds of a rehearsal. */
export type JudgedCopy = {
  readonly parts: RehearsedParts
  /** The new build, and the old one whose findings are dropped. */
  readonly judge: JudgeTerms
  readonly against: JudgeTerms | undefined
  readonly signal: AbortSignal
  /** Called after each lot with the number of runs and actors until then. */
  readonly onProgress: (judged: number) => void
}

/** So many parts of a lot may be lost. Then the rest of it is not judged, and counted. */
const lostMax = 3

/** The judge of one build, which begins again when its process is lost. */
class Bench {
  readonly #terms: JudgeTerms
  #process: JudgeProcess | undefined
  #isEnded = false
  #still = 0
  /** Runs and actors that no process came to an end with. */
  notJudged = 0
  /** Kinds whose actors have cost too many processes. */
  readonly #given = new Set<string>()

  constructor(terms: JudgeTerms) {
    this.#terms = terms
  }

  /** Loads the build. @throws KeelsonError `CONFIG` */
  begin(): Promise<JudgeProcess> {
    return this.#loaded()
  }

  /** Questions that wait, and later ones, are refused with `CLOSED`. */
  end(): void {
    this.#isEnded = true
    this.#process?.end()
  }

  async judge(whole: readonly StoredPart[]): Promise<readonly Found[]> {
    const lot = whole.filter(({ kind }) => !this.#given.has(kind))
    this.notJudged += whole.length - lot.length
    const answer = await this.#asked({ ask: 'judge', lot, oneByOne: false })
    if (!('lost' in answer)) return this.#foundIn(answer)
    return this.#oneByOne(lot)
  }

  async turns(lot: readonly RecordedTurn[]): Promise<readonly Found[]> {
    const answer = await this.#asked({ ask: 'turns', lot })
    if (!('lost' in answer)) return this.#foundIn(answer)
    const found: Found[] = []
    let lost = 0
    for (const turn of lot) {
      const asks = lost < lostMax && lot.length > 1
      const one = asks ? await this.#asked({ ask: 'turns', lot: [turn] }) : lost === 0 && answer
      if (one && !('lost' in one)) found.push(...this.#foundIn(one))
      else this.notJudged++
      if (!one || !('lost' in one)) continue
      lost++
      found.push(lostOf(turn, one, this.#terms.hangMs))
    }
    return found
  }

  async rest(): Promise<readonly Found[]> {
    const answer = await this.#asked({ ask: 'rest' })
    if ('lost' in answer) return []
    this.#still = 0
    return this.#foundIn(answer)
  }

  async whole(facts: StoredFacts): Promise<readonly Found[]> {
    const answer = await this.#asked({ ask: 'whole', facts })
    return 'lost' in answer ? [wholeLost] : this.#foundIn(answer)
  }

  async #oneByOne(lot: readonly StoredPart[]): Promise<readonly Found[]> {
    const found: Found[] = []
    let left = lot
    for (let lost = 0; left.length > 0; ) {
      const answer = await this.#asked({ ask: 'judge', lot: left, oneByOne: true })
      if (!('lost' in answer)) return [...found, ...this.#foundIn(answer)]
      const at = answer.at ?? 0
      const part = left[at] as StoredPart
      this.notJudged++
      found.push(lostOf(part, answer, this.#terms.hangMs))
      // Findings before it went with the process: they are judged once more.
      left = left.toSpliced(at, 1)
      if (++lost < lostMax) continue
      this.#given.add(part.kind)
      const others = left.filter(({ kind }) => kind !== part.kind)
      this.notJudged += left.length - others.length
      ;[left, lost] = [others, 0]
    }
    return found
  }

  async #loaded(): Promise<JudgeProcess> {
    this.#refuseEnded()
    const judge = new JudgeProcess(this.#terms)
    this.#process = judge
    await judge.load().catch((error: unknown) => {
      this.#refuseEnded()
      throw error
    })
    return judge
  }

  #refuseEnded(): void {
    if (this.#isEnded) throw new KeelsonError('CLOSED', 'the rehearsal was ended')
  }

  async #asked(question: Parameters<JudgeProcess['ask']>[0]): Promise<Answered | Lost> {
    const judge = this.#process ?? (await this.#loaded())
    const answer = await judge.ask(question)
    this.#refuseEnded()
    if ('lost' in answer) {
      this.notJudged += this.#still
      this.#still = 0
      judge.end()
      this.#process = undefined
    } else this.#still = answer.still
    return answer
  }

  #foundIn({ found, refused, thrown }: Answered): readonly Found[] {
    return [...found, ...refused.map(refusedOf), ...thrown.map(thrownOf)]
  }
}

const lostOf = (
  { kind, id, run }: Pick<StoredPart, 'kind' | 'id' | 'run'>,
  { lost }: Lost,
  hangMs: number,
): Found => {
  const what = lost === 'hangs' ? 'does not end' : 'ends its process'
  const reason =
    lost === 'hangs' ? `nothing came back for ${hangMs} ms` : 'the process that judged it has ended'
  const shown = run ? `workflow ${kind.slice('$flow-'.length)}` : `entity ${kind}`
  return {
    level: 'blocks',
    what,
    reason,
    fix: 'look for an endless loop, or for `process.exit`',
    kind: shown,
    id,
  }
}

/** Nothing else would count this part of the rehearsal as not judged. */
const wholeLost: Found = {
  level: 'notes',
  what: 'was not judged',
  kind: 'program',
  id: 'schedules, queues, kinds and retention',
  reason: 'the process that judged them has ended, or does not answer',
  fix: 'run the rehearsal again, and look at what the build does with its memory',
}

/** The judged code has attempted something outside: a body acts through `ctx` alone. */
const refusedOf = (what: string): Found => ({
  level: 'notes',
  what: 'acts outside of ctx',
  kind: 'program',
  id: what,
  reason: `${what} was refused`,
  fix: 'do it in a step, an alarm or a handler: bodies, `migrate` and `index` are replayed',
})

/** The judged code has left an error that nobody handles: in a service Node ends the process. */
const thrownOf = (what: string): Found => ({
  level: 'blocks',
  what: 'ends the process',
  kind: 'program',
  id: what,
  reason: `nobody handles ${what}`,
  fix: 'await it, or catch it: Node ends a process for a rejection or a throw that nobody handles',
})

/** Judges everything. @throws KeelsonError `CONFIG`, `CLOSED` when the signal ends it; as `lots` */
export const judgedCopy = async (given: JudgedCopy): Promise<RehearsalReport> => {
  const { parts, against, signal } = given
  const [bench, old] = [new Bench(given.judge), against && new Bench(against)]
  const findings = new Findings()
  const counts = { runs: 0, actors: 0, turns: 0 }
  const ends = (): void => {
    bench.end()
    old?.end()
  }
  signal.addEventListener('abort', ends)
  if (signal.aborted) ends()
  const adds = async (ask: (of: Bench) => Promise<readonly Found[]>): Promise<void> => {
    const [found, known] = await Promise.all([ask(bench), old ? ask(old) : []])
    const dropped = new Set(known.map(keyOf))
    for (const each of found) if (!dropped.has(keyOf(each))) findings.add(each)
  }
  try {
    await Promise.all([bench.begin(), old?.begin()])
    for await (const lot of readAhead(parts.lots())) {
      for (const { run } of lot) counts[run ? 'runs' : 'actors']++
      await adds((of) => of.judge(lot))
      given.onProgress(counts.runs + counts.actors)
    }
    for await (const lot of readAhead(parts.turns())) {
      counts.turns += lot.length
      await adds((of) => of.turns(lot))
    }
    await adds((of) => of.rest())
    const { facts } = parts
    await adds((of) => of.whole(facts))
    const notJudged = bench.notJudged
    const all = { ...counts, endedLeft: facts.left, notJudged }
    return { findings: findings.list, counts: all, asOf: given.judge.asOf }
  } finally {
    signal.removeEventListener('abort', ends)
    ends()
  }
}

/** Reads the next item while the present one is used. */
async function* readAhead<T>(items: AsyncIterable<T>): AsyncIterable<T> {
  const reader = items[Symbol.asyncIterator]()
  let next = reader.next()
  try {
    for (;;) {
      const { done, value } = await next
      if (done) return
      next = reader.next()
      // Its failure is heard of with the next item, or not at all.
      next.catch(() => undefined)
      yield value
    }
  } finally {
    await next.catch(() => undefined)
  }
}

const keyOf = ({ level, what, kind, id }: Found): string => [level, what, kind, id].join('\0')
